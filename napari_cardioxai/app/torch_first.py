"""Which comes first, torch or Qt: decided here and nowhere else.

From torch 2.9 on, importing torch after Qt fails on Windows (WinError 1114 or
126 while loading c10.dll), because Qt brings an older C++ runtime into the
process; pytorch#166628. Importing torch first costs one or two seconds of
start-up, so on every other system it is left to the job that needs it.
"""

from __future__ import annotations

import sys

from napari_cardioxai.errors import CardioxaiError


def import_torch_before_qt() -> None:
    """Import torch now where it could not be imported later.

    Called at the top of `window.launch`, before the first Qt import. Where Qt
    is there already (the plugin was opened from a running napari) nothing can
    be done any more; the segmentation then reports the failure and how to
    avoid it.
    """
    if sys.platform != "win32" or qt_is_loaded():
        return
    import torch  # noqa: F401


def import_torch() -> None:
    """Import torch in a worker, where it takes a second or two.

    Raises
    ------
    CardioxaiError
        When it came too late: after Qt, on Windows.
    """
    try:
        import torch  # noqa: F401
    except OSError as error:
        raise CardioxaiError(
            "torch could not be loaded into a napari that was already open; start the program "
            "with `cardioxai gui` instead"
        ) from error


def qt_is_loaded() -> bool:
    """Whether a Qt binding has been imported into this process."""
    return any(f"{name}.QtCore" in sys.modules for name in ("PyQt6", "PySide6", "PyQt5"))
