"""NIfTI files: onto our axes on reading, back onto the file's own grid on writing.

A file keeps (i, j, k, t) with an affine that may permute, flip, tilt or
contradict itself. In memory a scan is (t, z, y, x) with slices along z and
pictures that are not mirrored; `StorageOrder` remembers the way back.
"""

from __future__ import annotations

import gzip
import json
import logging
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.imageglobals import logger as nibabel_logger
from nibabel.nifti1 import Nifti1Extension
from nibabel.openers import Opener
from nibabel.spatialimages import HeaderDataError

from napari_cardioxai.errors import OutputError, ScanError
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.entry import Entry
from napari_cardioxai.scans.geometry import Geometry, StorageOrder, spacing_of
from napari_cardioxai.scans.scan import Kind, Provenance, Scan

SUFFIXES = (".nii", ".nii.gz")
PLAUSIBLE_CYCLE_MS = (200.0, 3000.0)  # 300 down to 20 beats a minute
THICK_SLICE_RATIO = 1.2  # spacing from which an axis is the slice axis
VOLUME_TOLERANCE = 0.01  # sform against pixdim
SHEAR_TOLERANCE = np.sin(np.radians(0.5))

# The header's xyzt_units: space in the lowest three bits, time in the next three; 0 is unknown.
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_MS_PER_UNIT = {8: 1000.0, 16: 1.0, 24: 0.001}
_TIME_UNITS = {0: "(no unit)", 8: "s", 16: "ms", 24: "µs"}
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    MemoryError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
)


@dataclass(frozen=True)
class _Described:
    """A NIfTI file as its header tells it, voxels not yet read."""

    image: Any
    shape_ijkt: tuple[int, int, int, int]
    geometry: Geometry
    storage: StorageOrder
    frame_times_ms: np.ndarray | None
    cycle_ms: float | None
    warnings: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape in memory, (t, z, y, x)."""
        z, y, x = (self.shape_ijkt[axis] for axis in self.storage.axes)
        return self.shape_ijkt[3], z, y, x

    @property
    def kind(self) -> Kind:
        """Three slices or more over time are a short-axis stack, fewer a long-axis view."""
        frames, slices = self.shape[:2]
        if frames > 1:
            return Kind.SHORT_AXIS if slices >= 3 else Kind.LONG_AXIS
        return Kind.VOLUME if slices > 1 else Kind.IMAGE


def is_nifti(path: Path) -> bool:
    """Whether the file name is that of a NIfTI file."""
    return path.name.lower().endswith(SUFFIXES)


def nifti_entry(path: Path) -> Entry:
    """Describe a NIfTI file from its header alone.

    Raises
    ------
    ScanError
        When the file is missing, cut short, or no NIfTI image.
    """
    path = Path(path)
    described = _describe(path)

    def load(on_progress: Progress = silent) -> Scan:
        on_progress(0, 1, path.name)
        scan = read_nifti(path)
        on_progress(1, 1, path.name)
        return scan

    return Entry(
        name=_stem(path),
        kind=described.kind,
        shape=described.shape,
        spacing_mm=described.geometry.spacing_mm,
        frame_times_ms=described.frame_times_ms,
        order_rule=_order_rule(described),
        warnings=described.warnings,
        load=load,
        middle_slice=lambda: _middle_slice(path, described),
    )


def read_nifti(path: Path) -> Scan:
    """Read a NIfTI file as a scan; `write_nifti` is the inverse.

    Intensities keep their integer type, or are float32 where the header
    scales them. Axes and signs are chosen for display (see `_axis_order`).

    Raises
    ------
    ScanError
        When the file is missing, cut short, or no grey-value NIfTI image.
    """
    path = Path(path)
    described = _describe(path)
    data = memory_order(_voxels(path, described), described.storage)
    warnings = described.warnings
    if data.dtype.kind == "f" and not (finite := np.isfinite(data)).all():
        warnings += (f"{(~finite).sum()} voxels of {path.name} are not finite and were set to 0.",)
        data = np.where(finite, data, data.dtype.type(0))
    return Scan(
        data=data,
        geometry=described.geometry,
        provenance=Provenance(path, (path,), _order_rule(described), warnings),
        kind=described.kind,
        name=_stem(path),
        frame_times_ms=described.frame_times_ms,
        cycle_ms=described.cycle_ms,
    )


def write_nifti(
    path: Path,
    data: np.ndarray,
    geometry: Geometry,
    *,
    frame_times_ms: np.ndarray | None = None,
    cycle_ms: float | None = None,
    dtype: np.dtype | type | None = None,
    description: str = "",
) -> None:
    """Write an array onto the grid that it came from; `read_nifti` is the inverse.

    With `geometry.storage` the array goes back to the file's own axis order
    and affine. Without it the file keeps (x, y, z, t). An unknown position is
    written as such: both form codes 0. What the header has no field for
    (unequal gaps, uneven frame times, the recorded cycle) travels in a
    comment extension, which other programs pass over.

    Parameters
    ----------
    data
        Shape (t, z, y, x). One frame makes a 3-D file, several a 4-D one.
    frame_times_ms
        Shape (t,), in ms; the header gets the first one and the median interval.
    cycle_ms
        Recorded length of the heart cycle in ms.
    dtype
        Type on disk; that of `data` when None.
    description
        What the file is, for the header's own field: 79 letters of ASCII.

    Raises
    ------
    OutputError
        When the name does not end in .nii or .nii.gz, or cannot be written.
    """
    path = Path(path)
    if not is_nifti(path):
        raise OutputError(f"{path.name} must end in .nii.gz or .nii to be written as NIfTI.")
    storage = geometry.storage or plain_storage(geometry)
    voxels = file_order(data, storage)
    if len(data) == 1:
        voxels = voxels[..., 0]
    image = nib.Nifti1Image(voxels.astype(_disk_type(dtype or data.dtype), copy=False), None)
    header = image.header
    header.set_data_dtype(image.get_data_dtype())
    image.set_qform(storage.affine, 0 if geometry.affine is None else 1)
    image.set_sform(storage.affine, 0 if geometry.affine is None else 1)
    header.set_xyzt_units("unknown" if geometry.spacing_mm is None else "mm", "msec")
    if len(data) > 1:
        # 0 is NIfTI's way to say that the interval is unknown.
        interval = 0.0 if frame_times_ms is None else float(np.median(np.diff(frame_times_ms)))
        header["pixdim"][4] = interval
        header["toffset"] = 0.0 if frame_times_ms is None else float(frame_times_ms[0])
    header["descrip"] = description.encode("ascii")
    extra = _comment(geometry, storage, frame_times_ms, cycle_ms)
    if extra is not None:
        header.extensions.append(extra)
    with replacing(path) as beside:
        nib.save(image, beside)


def description_of(path: Path) -> str:
    """What a NIfTI header says in its description field."""
    image, _ = _open(Path(path))
    return image.header["descrip"].item().decode("ascii", "replace")


def memory_order(voxels: np.ndarray, storage: StorageOrder) -> np.ndarray:
    """Turn a file's (i, j, k, t) array into ours, (t, z, y, x); inverse of `file_order`."""
    data = voxels.transpose(3, *storage.axes)
    return np.ascontiguousarray(np.flip(data, _flipped_axes(storage)))


def file_order(data: np.ndarray, storage: StorageOrder) -> np.ndarray:
    """Turn our (t, z, y, x) array into the file's, (i, j, k, t); inverse of `memory_order`."""
    ours = [1 + storage.axes.index(file_axis) for file_axis in range(3)]
    return np.flip(data, _flipped_axes(storage)).transpose(*ours, 0)


def _flipped_axes(storage: StorageOrder) -> tuple[int, ...]:
    return tuple(1 + axis for axis, flipped in enumerate(storage.flipped) if flipped)


def _stem(path: Path) -> str:
    return path.name[: -len(".nii.gz")] if path.name.lower().endswith(".gz") else path.stem


def _order_rule(described: _Described) -> str:
    return "file order" if described.shape[0] > 1 else ""


# Reading ---------------------------------------------------------------------


def _describe(path: Path) -> _Described:
    image, pixdim = _open(path)
    header = image.header
    shape, time_axis = _shape_ijkt(path, header)
    affine, known, warnings = _file_affine(header, pixdim, shape[:3])
    straight = affine
    if affine is not None:
        straight, said = _orthonormal(affine)
        warnings += said
    axes, flipped = _axis_order(straight if known else None, _voxel_mm(straight), shape[:3])
    storage = StorageOrder(axes, flipped, np.eye(4) if affine is None else affine)
    times, said = _frame_times(header, frames=shape[3], time_axis=time_axis)
    warnings += said
    remembered = _remembered(header, storage, shape)
    ours = None if straight is None else straight @ _index_map(storage, shape[:3])
    geometry = Geometry(
        spacing_mm=None if ours is None else spacing_of(ours),
        affine=ours if known else None,
        slice_positions_mm=remembered.get("slice_positions_mm"),
        storage=storage,
    )
    if times is not None:
        times = remembered.get("frame_times_ms", times)
    cycle_ms = remembered.get("cycle_ms")
    return _Described(image, shape, geometry, storage, times, cycle_ms, tuple(warnings))


def _open(path: Path) -> tuple[Any, np.ndarray]:
    """The image, and its voxel sizes as stored: its header has bad ones mended, unsaid."""
    try:
        with _quiet_nibabel():
            image = nib.load(path, mmap=False)
            if not isinstance(image, nib.Nifti1Image):
                raise ImageFileError(f"{type(image).__name__} is another format")
            with image.file_map["image"].get_prepare_fileobj("rb") as file:
                stored = type(image.header).from_fileobj(file, check=False)
        if image.get_data_dtype().kind not in "iuf":
            raise ScanError(
                f"{path.name} holds colours or complex numbers; grey values are needed."
            )
        complete = _is_complete(path, image)
    except FileNotFoundError as error:
        raise ScanError(f"{path} does not exist.") from error
    except _UNREADABLE as error:
        raise ScanError(
            f"{path.name} cannot be read as NIfTI: it is damaged, cut short or of another format."
        ) from error
    if not complete:
        raise _cut_short(path)
    return image, np.abs(np.array(stored["pixdim"][1:4], float))


@contextmanager
def _quiet_nibabel() -> Iterator[None]:
    """Keep what nibabel mends in a header off standard error.

    Its own suppressor takes the log's handlers away, upon which Python's handler
    of last resort prints.
    """

    def nothing(record: logging.LogRecord) -> bool:
        return False

    nibabel_logger.addFilter(nothing)
    try:
        yield
    finally:
        nibabel_logger.removeFilter(nothing)


def _cut_short(path: Path) -> ScanError:
    return ScanError(f"{path.name} is cut short or damaged; copy or export it again.")


def _is_complete(path: Path, image: Any) -> bool:
    """Whether the file is long enough for the voxels that its header promises."""
    proxy = image.dataobj
    needed = proxy.offset + math.prod(proxy.shape) * proxy.dtype.itemsize
    if not path.name.lower().endswith(".gz"):
        return path.stat().st_size >= needed
    # A gzip file ends with its unpacked size (modulo 2**32), which mostly spares unpacking it.
    with path.open("rb") as file:
        file.seek(-4, 2)
        if int.from_bytes(file.read(4), "little") == needed % 2**32:
            return True
    with Opener(str(path)) as file:
        file.seek(needed - 1)
        return len(file.read(1)) == 1


def _voxels(path: Path, described: _Described) -> np.ndarray:
    """Intensities (i, j, k, t) in native byte order."""
    # Unpacked here and to the end, because only that checks the sum that gzip keeps.
    proxy = described.image.dataobj
    try:
        content = path.read_bytes()
        if path.name.lower().endswith(".gz"):
            content = gzip.decompress(content)
        stored = np.frombuffer(content, proxy.dtype, math.prod(proxy.shape), proxy.offset)
    except _UNREADABLE as error:
        raise _cut_short(path) from error
    scaled = (proxy.slope, proxy.inter) != (1, 0)
    floating = scaled or stored.dtype.kind == "f"
    data = stored.astype(np.float32 if floating else stored.dtype.newbyteorder("="))
    if scaled:
        data = np.float32(proxy.slope) * data + np.float32(proxy.inter)
    return data.reshape(described.shape_ijkt, order="F")


def _middle_slice(path: Path, described: _Described) -> np.ndarray:
    """The middle slice of the first frame, shape (y, x), without the frames behind it."""
    z, (_, slices, _, _) = described.storage.axes[0], described.shape
    proxy = described.image.dataobj
    wanted: list[slice | int] = [slice(None)] * min(3, proxy.ndim) + [0] * (proxy.ndim - 3)
    if z < proxy.ndim:
        middle = slices - 1 - slices // 2 if described.storage.flipped[0] else slices // 2
        wanted[z] = slice(middle, middle + 1)
    try:
        picture = np.asarray(proxy[tuple(wanted)])
    except _UNREADABLE as error:
        raise _cut_short(path) from error
    size = [1 if axis == z else n for axis, n in enumerate(described.shape_ijkt[:3])]
    return memory_order(picture.reshape(*size, 1), described.storage)[0, 0]


def _shape_ijkt(path: Path, header: Any) -> tuple[tuple[int, int, int, int], int]:
    """Shape with exactly one time axis, and which `pixdim` belongs to that."""
    shape = tuple(int(n) for n in header.get_data_shape())
    if not shape or min(shape) < 1:
        raise ScanError(f"{path.name} holds no voxels.")
    (i, j, k), rest = (*shape[:3], 1, 1)[:3], shape[3:]
    long = [axis for axis, n in enumerate(rest) if n > 1]
    if len(long) > 1:
        raise ScanError(
            f"{path.name} has {len(shape)} axes {shape}; three in space and one in time are taken."
        )
    time = long[0] if long else 0
    return (i, j, k, rest[time] if rest else 1), 4 + time


def _frame_times(
    header: Any, *, frames: int, time_axis: int
) -> tuple[np.ndarray | None, list[str]]:
    """Frame times in ms, shape (t,), or None with the reason."""
    if frames == 1:
        return None, []
    interval = float(header["pixdim"][time_axis])
    unit = int(header["xyzt_units"]) & 0b111000
    unknown = "frame times and heart rate are unknown."
    if interval in (0.0, 1.0) or not np.isfinite(interval):
        said = f"The header's frame interval, {interval:g}, is a placeholder"
        return None, [f"{said}: {unknown}"]
    shortest, longest = PLAUSIBLE_CYCLE_MS
    for candidate in _MS_PER_UNIT if unit == 0 else (unit,):
        factor = _MS_PER_UNIT.get(candidate, np.nan)
        if shortest <= frames * interval * factor <= longest:
            start = float(header["toffset"]) * factor
            # The header is single precision; more digits than these are its rounding.
            times = np.round(np.nan_to_num(start) + interval * factor * np.arange(frames), 4)
            said = f"The header has no time unit; {_TIME_UNITS[candidate]} fits a heart cycle."
            return times, [said] if unit == 0 else []
    limits = f"{shortest:.0f} to {longest:.0f} ms"
    given = f"{interval:g} {_TIME_UNITS.get(unit, 'in no unit of time')}"
    return None, [f"{frames} frames every {given} are no heart cycle ({limits}): {unknown}"]


# Geometry --------------------------------------------------------------------


def _file_affine(
    header: Any, pixdim: np.ndarray, shape: Sequence[int]
) -> tuple[np.ndarray | None, bool, list[str]]:
    """The file's affine in mm after weighing sform, qform and voxel sizes.

    Returns
    -------
    The (i, j, k, 1) to RAS+ mm affine, None where not even the pixel size is
    known; whether position and orientation are known; what was noticed.
    """
    unit = int(header["xyzt_units"]) & 0b111
    mm = _MM_PER_UNIT.get(unit, 1.0)
    warnings = []
    bad = ~(np.isfinite(pixdim) & (pixdim > 0))
    sized = not (bad & (np.array(shape) > 1)).any()
    if sized and bad.any():
        pixdim = np.where(bad, 1.0, pixdim)
        warnings.append("The header gives no slice thickness; 1 mm stands in for it.")
    sform = _form(header, "sform")
    qform = _form(header, "qform") if sized else None
    chosen = sform if sform is not None else qform
    if chosen is None:
        if not sized or (unit == 0 and (pixdim == 1).all()):
            return None, False, ["The header gives neither pixel size nor position."]
        warnings.append("The header has neither sform nor qform: the position is unknown.")
        return np.diag([*(mm * pixdim), 1.0]), False, warnings

    found = abs(np.linalg.det(chosen[:3, :3])) if np.isfinite(chosen).all() else 0.0
    if not sized and not found:
        return None, False, ["The header gives no usable pixel size or position."]
    expected = np.prod(pixdim)
    if sized and abs(found / expected - 1) > VOLUME_TOLERANCE:
        chosen = qform if qform is not None else _with_lengths(chosen, pixdim)
        warnings.append(
            f"A voxel is {found * mm**3:.4g} mm³ by the header's orientation matrix and "
            f"{expected * mm**3:.4g} mm³ by its pixel sizes; the pixel sizes were taken."
        )
    return np.diag([mm, mm, mm, 1.0]) @ chosen, True, warnings


def _form(header: Any, name: str) -> np.ndarray | None:
    """The sform or qform, or None where its code is 0 or it cannot be made out."""
    try:
        affine = getattr(header, f"get_{name}")(coded=True)[0]
    except _UNREADABLE:  # a quaternion longer than 1
        return None
    return None if affine is None else np.asarray(affine, float)


def _with_lengths(affine: np.ndarray, pixdim: np.ndarray) -> np.ndarray:
    """The affine's directions with other lengths; axes of the patient if it has none."""
    fixed = np.diag([*pixdim, 1.0])
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if np.isfinite(affine).all() and (lengths > 0).all():
        directions = affine[:3, :3] / lengths
        if abs(np.linalg.det(directions)) > 0.1:
            fixed[:3, :3] = directions * pixdim
            fixed[:3, 3] = affine[:3, 3]
    return fixed


def _orthonormal(affine: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The nearest affine with perpendicular axes and the same spacing."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / lengths
    shear = np.abs(directions.T @ directions - np.eye(3)).max()
    if shear <= SHEAR_TOLERANCE:
        return affine, []
    u, _, vt = np.linalg.svd(directions)
    straight = affine.copy()
    straight[:3, :3] = (u @ vt) * lengths
    degrees = np.degrees(np.arcsin(min(shear, 1.0)))
    return straight, [f"The axes are {degrees:.1f}° off perpendicular and were straightened."]


def _voxel_mm(affine: np.ndarray | None) -> np.ndarray:
    """Spacing along the file's (i, j, k), shape (3,)."""
    return np.ones(3) if affine is None else np.linalg.norm(affine[:3, :3], axis=0)


def _axis_order(
    affine: np.ndarray | None, spacing: np.ndarray, shape: Sequence[int]
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Which file axes become (z, y, x), and which of them are reversed.

    A single slice, or slices clearly thicker than the pixels, decide what z
    is. (Nearly) isotropic volumes turn to axial pictures from feet to head.
    """
    singles = [axis for axis in range(3) if shape[axis] == 1]
    thickest = int(np.argmax(spacing))
    thick = spacing[thickest] > THICK_SLICE_RATIO * np.delete(spacing, thickest).max()
    if singles or thick:
        z = singles[-1] if singles else thickest
        x, y = (axis for axis in range(3) if axis != z)
        flip_z = False
    elif affine is None:
        z, y, x, flip_z = 2, 1, 0, False
    else:
        nearest = nib.io_orientation(affine)
        x, y, z = (int(np.flatnonzero(nearest[:, 0] == world)[0]) for world in range(3))
        flip_z = bool(nearest[z, 1] < 0)
    if affine is None:
        return (z, y, x), (flip_z, False, False)
    return (z, y, x), (flip_z, *_picture_flips(affine, x=x, y=y))


def _picture_flips(affine: np.ndarray, *, x: int, y: int) -> tuple[bool, bool]:
    """Which of (y, x) to reverse so that the picture is seen as radiologists see it.

    Axial pictures are seen from the feet, coronal ones from the front,
    sagittal ones from the left: in LPS, x cross y must point to +S, +P or +R,
    whichever the plane's normal is nearest. Of the two ways that remain, that
    with x and y rather to the left, back and feet; no flip when even.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    lps = np.diag([-1.0, -1.0, 1.0]) @ directions
    dx, dy = lps[:, x], lps[:, y]
    normal = np.cross(dx, dy)
    towards = np.array([-1.0, 1.0, 1.0])  # R, P, S in LPS
    main = int(np.argmax(np.abs(normal)))
    seen = normal[main] * towards[main] > 0
    preferred = np.array([1.0, 1.0, -1.0])  # L, P, feet in LPS
    best, best_score = (False, False), -np.inf
    for flip_y, flip_x in product((False, True), repeat=2):
        if (flip_y == flip_x) != seen:
            continue
        score = float(((-dx if flip_x else dx) + (-dy if flip_y else dy)) @ preferred)
        if score > best_score + 1e-3:
            best, best_score = (flip_y, flip_x), score
    return best


def _index_map(storage: StorageOrder, shape: Sequence[int]) -> np.ndarray:
    """Matrix from our (x, y, z, 1) to the file's (i, j, k, 1), shape (4, 4)."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1.0
    for ours, (file_axis, flipped) in enumerate(zip(storage.axes, storage.flipped, strict=True)):
        matrix[file_axis, 2 - ours] = -1.0 if flipped else 1.0
        matrix[file_axis, 3] = shape[file_axis] - 1 if flipped else 0.0
    return matrix


# Writing ---------------------------------------------------------------------


def plain_storage(geometry: Geometry) -> StorageOrder:
    """File order (x, y, z) for a scan that did not come from a file with an order."""
    affine = geometry.affine
    if affine is None:
        z, y, x = geometry.spacing_mm or (1.0, 1.0, 1.0)
        affine = np.diag([x, y, z, 1.0])
    return StorageOrder((2, 1, 0), (False, False, False), affine)


def _disk_type(dtype: np.dtype | type) -> np.dtype:
    """The nearest type that NIfTI has."""
    dtype = np.dtype(dtype)
    return np.dtype({"bool": np.uint8, "float16": np.float32}.get(dtype.name, dtype))


def _comment(
    geometry: Geometry,
    storage: StorageOrder,
    frame_times_ms: np.ndarray | None,
    cycle_ms: float | None,
) -> Nifti1Extension | None:
    """What the header's own fields cannot say, read back by `_remembered`."""
    content: dict[str, Any] = {}
    if geometry.slice_positions_mm is not None:
        positions = [float(p) for p in geometry.slice_positions_mm]
        content["slice_positions_mm"] = positions[::-1] if storage.flipped[0] else positions
        content["slice_axis"] = storage.axes[0]
    if frame_times_ms is not None and len(frame_times_ms) > 1:
        steps = np.diff(frame_times_ms)
        if np.ptp(steps) > 1e-3:
            content["frame_times_ms"] = [float(t) for t in frame_times_ms]
    if cycle_ms is not None:
        content["cycle_ms"] = float(cycle_ms)
    if not content:
        return None
    return Nifti1Extension("comment", json.dumps({"cardioxai": content}).encode())


def _remembered(header: Any, storage: StorageOrder, shape: Sequence[int]) -> dict[str, Any]:
    """What `_comment` wrote, as far as it still fits the array."""
    for extension in header.extensions:
        try:
            content = json.loads(bytes(extension.get_content()).rstrip(b"\0"))["cardioxai"]
            positions = [float(p) for p in content.get("slice_positions_mm", ())]
            times = np.array(content.get("frame_times_ms", ()), float)
            cycle_ms = float(content.get("cycle_ms", np.nan))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # somebody else's comment
        kept: dict[str, Any] = {}
        z = storage.axes[0]
        if len(positions) == shape[z] and content.get("slice_axis") == z:
            kept["slice_positions_mm"] = tuple(positions[::-1] if storage.flipped[0] else positions)
        if times.shape == (shape[3],):
            kept["frame_times_ms"] = times
        if np.isfinite(cycle_ms):
            kept["cycle_ms"] = cycle_ms
        return kept
    return {}
