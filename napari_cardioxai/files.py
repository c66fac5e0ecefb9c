"""Writing without ever leaving half a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cardioxai.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that takes its place on success.

    On any error, a cancel included, the temporary file is removed and what
    stood at `path` before is untouched. The sibling keeps the full suffix,
    because writers choose the format by it.

    Raises
    ------
    OutputError
        When the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
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
            # mkstemp, and some writers, make files private; give what a plain open() would.
            umask = os.umask(0)
            os.umask(umask)
            beside.chmod(0o666 & ~umask)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def replacing_files_in(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder whose files move into `folder` together on success.

    For results that belong together: a cancelled or failed job changes none of
    them. Files of other names in `folder` stay, and a folder that was made for
    nothing goes again.

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
                for file in sorted(Path(name).iterdir()):
                    file.replace(folder / file.name)
        finally:
            if not was_there and not any(folder.iterdir()):
                folder.rmdir()


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written to ({error.strerror or error}); choose another folder."
        ) from error
