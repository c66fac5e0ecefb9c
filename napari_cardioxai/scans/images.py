"""2-D pictures and NumPy arrays as scans; their pixel size is unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_cardioxai.errors import ScanError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.entry import Entry
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.listing import in_natural_order
from napari_cardioxai.scans.scan import Kind, Provenance, Scan

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".npy")
NO_SPACING = "The pixel size is unknown, so nothing can be measured in mm."
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,  # Pillow's answer to some damaged PNGs
    TypeError,
    MemoryError,
    OverflowError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
)


def is_picture(path: Path) -> bool:
    """Whether the file name is that of a PNG, JPEG or NPY file."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def list_images(folder: Path) -> list[Path]:
    """Pictures that lie directly in a folder, numbers in names counted as numbers.

    Raises
    ------
    ScanError
        When the folder cannot be read.
    """
    try:
        files = [f for f in Path(folder).iterdir() if f.is_file() and not f.name.startswith(".")]
    except OSError as error:
        raise ScanError(f"{folder} cannot be read ({error.strerror or error}).") from error
    return in_natural_order(f for f in files if is_picture(f))


def is_picture_folder(path: Path) -> bool:
    """Whether a path is a folder of pictures, with no other scan directly in it."""
    if not Path(path).is_dir() or not list_images(path):
        return False
    others = [f for f in Path(path).iterdir() if f.is_file() and not is_picture(f)]
    return not any(_is_other_scan(f) for f in others)


def _is_other_scan(path: Path) -> bool:
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def image_entry(path: Path) -> Entry:
    """Describe a picture from its header alone.

    Raises
    ------
    ScanError
        When the file is missing, damaged, or no picture.
    """
    path = Path(path)
    shape = _shape(path)

    def load(on_progress: Progress = silent) -> Scan:
        on_progress(0, 1, path.name)
        scan = read_image(path)
        on_progress(1, 1, path.name)
        return scan

    return Entry(
        name=path.stem,
        kind=_kind(shape),
        shape=shape,
        spacing_mm=None,
        frame_times_ms=None,
        order_rule="",
        warnings=(NO_SPACING,),
        load=load,
    )


def read_image(path: Path) -> Scan:
    """Read a PNG, JPEG or NPY file.

    Pictures are grey, or turned into it by luminance, shape (1, 1, y, x); 16
    bits are kept. Arrays are (y, x), (z, y, x) or (t, z, y, x).

    Raises
    ------
    ScanError
        When the file is missing, damaged, or no picture.
    """
    path = Path(path)
    try:
        data = _array(path)[:] if path.suffix.lower() == ".npy" else _picture(path)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    data = _numeric(data, path)
    data = data.reshape(_four(data.shape, path))
    return Scan(
        data=data,
        geometry=Geometry(None),
        provenance=Provenance(path, (path,), "", (NO_SPACING,)),
        kind=_kind(data.shape),
        name=path.stem,
    )


def _unreadable(path: Path, error: BaseException) -> ScanError:
    if isinstance(error, FileNotFoundError):
        return ScanError(f"{path} does not exist; check the path.")
    return ScanError(f"{path.name} is damaged or no PNG, JPEG or NPY picture; export it again.")


def _array(path: Path) -> np.ndarray:
    """A NumPy file mapped, never unpickled."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        if image.mode in ("L", "I", "F") or image.mode.startswith("I;16"):
            return np.asarray(image)
        if image.mode in ("1", "LA", "La"):
            return np.asarray(image.convert("L"))
        return np.asarray(image.convert("RGB").convert("L"))


def _numeric(data: np.ndarray, path: Path) -> np.ndarray:
    """A copy of kinds that the rest of the program computes with."""
    _check_kind(data, path)
    if data.dtype.kind == "b":
        return np.asarray(data, np.uint8)
    if data.dtype.kind == "f":
        return np.nan_to_num(np.asarray(data, np.float32), posinf=0, neginf=0)
    return np.array(data)


def _check_kind(data: np.ndarray, path: Path) -> None:
    if data.dtype.kind not in "biuf":
        raise ScanError(f"{path.name} holds {data.dtype} values; save grey values as numbers.")


def _shape(path: Path) -> tuple[int, int, int, int]:
    try:
        if path.suffix.lower() == ".npy":
            array = _array(path)
            _check_kind(array, path)
            shape = array.shape
        else:
            with Image.open(path) as image:
                shape = image.size[::-1]
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return _four(shape, path)


def _four(shape: tuple[int, ...], path: Path) -> tuple[int, int, int, int]:
    """The shape as (t, z, y, x)."""
    if not 2 <= len(shape) <= 4 or 0 in shape:
        raise ScanError(
            f"{path.name} has shape {shape}; an array must be (y, x), (z, y, x) or (t, z, y, x)."
        )
    t, z, y, x = (1,) * (4 - len(shape)) + tuple(shape)
    return t, z, y, x


def _kind(shape: tuple[int, ...]) -> Kind:
    frames, slices = shape[:2]
    if frames > 1:
        return Kind.SHORT_AXIS if slices >= 3 else Kind.LONG_AXIS
    return Kind.VOLUME if slices > 1 else Kind.IMAGE
