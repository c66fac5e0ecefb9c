"""Files of a folder, in the order in which people number them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_cardioxai.errors import ScanError

DICOMDIR = "DICOMDIR"  # the table of contents of a medium: stands for the folder that it lies in


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which picture 9 comes before picture 10."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts]


def in_natural_order(files: Iterable[Path]) -> list[Path]:
    """Sort paths with the numbers in them counted as numbers."""
    return sorted(files, key=natural_key)


def files_below(paths: Iterable[Path]) -> list[Path]:
    """All files at and below the paths, hidden ones left out; a DICOMDIR stands for its folder.

    Raises
    ------
    ScanError
        When a path does not exist or may not be read.
    """
    files: dict[Path, None] = {}
    for path in paths:
        try:
            if path.is_file() and path.name.upper() == DICOMDIR:
                path = path.parent
            if path.is_dir():
                files |= dict.fromkeys(_files_in(path))
            elif path.is_file():
                files[path] = None
            else:
                raise ScanError(f"{path} does not exist; check the path.")
        except OSError as error:
            raise ScanError(f"{path} cannot be read ({error.strerror or error}).") from error
    return list(files)


def _files_in(folder: Path) -> Iterator[Path]:
    for parent, below, names in os.walk(folder, onerror=_fail):
        below[:] = sorted(name for name in below if not _is_hidden(name))
        found = [Path(parent, name) for name in names if not _is_hidden(name)]
        yield from (file for file in in_natural_order(found) if file.is_file())


def _fail(error: OSError) -> None:
    raise error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
