#!/usr/bin/env bash
# Run a command on the display, or under Xvfb with software OpenGL where there is none.
#   tools/on_screen.sh [--virtual] COMMAND...
set -euo pipefail

virtual=false
if [ "${1:-}" = --virtual ]; then
  virtual=true
  shift
fi

if ! $virtual && { [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }; then
  exec "$@"
fi

# The command reads CARDIOXAI_VIRTUAL_DISPLAY to leave a screenshot instead of an open window.
export LIBGL_ALWAYS_SOFTWARE=1 CARDIOXAI_VIRTUAL_DISPLAY=1 QT_QPA_PLATFORM=xcb
exec xvfb-run --auto-servernum --server-args="-screen 0 1920x1080x24 -dpi 96" "$@"
