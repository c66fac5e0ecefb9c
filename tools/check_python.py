"""Say in one sentence when the interpreter is too old or too new."""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        f"Python {sys.version_info[0]}.{sys.version_info[1]} is not supported: "
        "napari-cardioxai needs 3.11, 3.12 or 3.13; choose one with `make PYTHON=python3.12 ...`."
    )
