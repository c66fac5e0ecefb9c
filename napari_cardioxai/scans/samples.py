"""The study that is shipped with the program."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from napari_cardioxai.errors import ScanError

SUNNYBROOK_CINE = "sunnybrook-cine"


def samples_folder() -> Path:
    """Folder of the shipped samples, in an installed package as in a checkout.

    Raises
    ------
    ScanError
        When the program was installed without them.
    """
    package = Path(str(files("napari_cardioxai")))
    for folder in (package / "sample_data", package.parent / "sample_data"):
        if folder.is_dir():
            return folder
    raise ScanError(
        "the sample data are not installed; install napari-cardioxai from its wheel again."
    )


def sample_path(name: str = SUNNYBROOK_CINE) -> Path:
    """Path of a shipped sample study, ready to be opened like any other.

    Parameters
    ----------
    name
        Folder name of the sample; `sample_data/README.md` lists them with
        their sources and licences.

    Raises
    ------
    ScanError
        When there is no sample of that name.
    """
    folder = samples_folder()
    known = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if name not in known:
        raise ScanError(f"there is no sample named {name!r}; choose one of: {', '.join(known)}.")
    return folder / name
