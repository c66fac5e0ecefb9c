"""The `cardioxai` script and `python -m napari_cardioxai`.

Apart from `cli`, which takes a second to import: Ctrl-C in that second is
answered like any other.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from napari_cardioxai.cli import main as run
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
