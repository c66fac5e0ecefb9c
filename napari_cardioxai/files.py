"""Writing without ever leaving half a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cardioxai.errors import OutputError


def check_file_place(path: Path) -> None:
    """Refuse, before the long work for it, a path at which no file can be written.

    Raises
    ------
    OutputError
        When the path is a folder, or its folder cannot be made or written to.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file.")
    check_folder_place(path.parent)


def check_folder_place(folder: Path) -> None:
    """Refuse, before the long work for it, a folder that cannot be made or written to.

    Raises
    ------
    OutputError
        When a part of the path is a file, or may not be written to.
    """
    with _in_words(folder):
        there = next(p for p in (Path(folder), *Path(folder).absolute().parents) if p.exists())
    if not there.is_dir():
        raise OutputError(f"{there} cannot be written to: it is a file; choose another folder.")
    if not os.access(there, os.W_OK):
        raise OutputError(f"{there} cannot be written to (no permission); choose another folder.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that takes its place on success.

    On any error, a cancel included, the temporary file is removed and what
    stood at `path` before is untouched. The sibling keeps the full suffix,
    because writers choose the format by it.

    Raises
    ------
    OutputError
        When the path is a folder, when its folder cannot be made or written to,
        or when the disk is full.
    """
    path = Path(path)
    check_file_place(path)
    with _in_words(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
        handle, name = tempfile.mkstemp(
            suffix=suffix, prefix=f".{path.name[:40]}-", dir=path.parent
        )
        os.close(handle)
        beside = Path(name)
        try:
            yield beside
            _make_public(beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def replacing_files_in(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder whose files move into `folder` together on success.

    For results that belong together: a cancelled or failed job changes none of
    them. Subfolders are kept. Files of other names in `folder` stay, and a
    folder that was made for nothing goes again.

    Raises
    ------
    OutputError
        When the folder cannot be made or written to, or the disk is full.
    """
    folder = Path(folder)
    with _in_words(folder):
        was_there = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as name:
                yield Path(name)
                for file in sorted(f for f in Path(name).rglob("*") if not f.is_dir()):
                    target = folder / file.relative_to(name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _make_public(file)
                    file.replace(target)
        finally:
            if not was_there and not any(folder.iterdir()):
                folder.rmdir()


def _make_public(file: Path) -> None:
    """The mode that a plain open() gives; mkstemp and safetensors make files private."""
    umask = os.umask(0)
    os.umask(umask)
    file.chmod(0o666 & ~umask)


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written to ({error.strerror or error}); choose another folder."
        ) from error
