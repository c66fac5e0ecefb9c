#!/usr/bin/env bash
# The system libraries that Qt and OpenGL need, and Xvfb for machines without a display.
# Installs what is missing where it can (root on Debian or Ubuntu); elsewhere says what to install.
set -euo pipefail

[ "$(uname -s)" = Linux ] || exit 0

packages=(
  xvfb xauth libegl1 libgl1 libgl1-mesa-dri libopengl0 libxkbcommon-x11-0 libxcb-cursor0
  libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0
  libxcb-xinerama0 libxcb-xkb1 libdbus-1-3 libfontconfig1 libglib2.0-0 python3-venv
)

if ! command -v dpkg-query >/dev/null; then
  if ! command -v Xvfb >/dev/null && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    echo "No display and no Xvfb: install Xvfb, OpenGL (Mesa) and the xcb libraries of Qt 6 with your package manager." >&2
    exit 1
  fi
  exit 0
fi

installed() {
  # Newer releases rename libraries for 64-bit time (libglib2.0-0t64) and provide the old name.
  dpkg-query -W -f '${Status} ${Package} ${Provides}\n' 2>/dev/null |
    grep '^install ok installed' | tr ' ,' '\n\n' | grep -qx "$1"
}

missing=()
for package in "${packages[@]}"; do
  # venv is there when Python itself brings it, as pyenv's does.
  if [ "$package" = python3-venv ]; then
    "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null && continue
  fi
  installed "$package" || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
  echo "Installing system packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "These system packages are missing; install them and run make again:" >&2
  echo "  sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
