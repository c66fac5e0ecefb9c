"""How napari opens our files: sniffed in milliseconds, read as (phase, slice, y, x)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from napari_cardioxai.app.layers import LayerData, scan_to_layer

_NIFTI = (".nii", ".nii.gz")
_DICOM = (".dcm", ".dicom", ".ima")
# A folder on a network drive must be judged by a handful of files.
_FILES_SNIFFED = 8
_FOLDERS_SNIFFED = 4


def get_reader(
    path: str | Sequence[str],
) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Reader for a folder, a file or several, or None when it is none of ours.

    Reads at most 132 bytes of a few files and never raises.
    """
    if not path:  # Path("") would be the working directory
        return None
    try:
        paths = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(p) for p in path]
        return read if paths and all(looks_like_scan(p) for p in paths[:_FILES_SNIFFED]) else None
    except (OSError, ValueError, TypeError):
        return None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Layer data of the default series at `path`."""
    from napari_cardioxai.scans.catalogue import load_scan

    one = isinstance(path, str | os.PathLike)
    scan = load_scan(Path(path) if one else [Path(p) for p in path])
    _letters_on_the_canvas()
    return [scan_to_layer(scan)]


def _letters_on_the_canvas() -> None:
    """Give the viewer that is opening the file its orientation letters, if there is one."""
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        from napari_cardioxai.app.desk import desk_of

        desk_of(viewer)


def looks_like_scan(path: Path) -> bool:
    """Whether a file is DICOM or NIfTI by its name or its magic bytes, or a folder holds one."""
    if path.is_dir():
        return any(_file_looks_like_scan(file) for file in _some_files(path))
    return path.is_file() and _file_looks_like_scan(path)


def _file_looks_like_scan(path: Path) -> bool:
    name = path.name.lower()
    if name.endswith(_NIFTI + _DICOM):
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _some_files(folder: Path) -> Iterator[Path]:
    """The first files of a folder, then of its first sub-folders, two levels down."""
    level = [folder]
    for _ in range(3):
        below: list[Path] = []
        for parent in level[:_FOLDERS_SNIFFED]:
            with os.scandir(parent) as entries:
                found = [e for e in islice(entries, 64) if not e.name.startswith(".")]
            yield from (
                Path(e.path) for e in islice((e for e in found if e.is_file()), _FILES_SNIFFED)
            )
            below += [Path(e.path) for e in found if e.is_dir()]
        level = below
