"""Label files: whatever scheme and grid they come in, one scheme in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from napari_cardioxai.anatomy.labels import CARDIOXAI, Labels, LabelScheme
from napari_cardioxai.anatomy.recognise import listed, recognise_scheme
from napari_cardioxai.errors import LabelError
from napari_cardioxai.files import replacing
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import (
    description_of,
    file_order,
    is_nifti,
    memory_order,
    plain_storage,
    read_nifti,
    write_nifti,
)
from napari_cardioxai.scans.scan import Kind, Provenance, Scan

# Written into our files, so that on reading their scheme is known and not recognised.
SCHEME_MARK = "napari-cardioxai labels: 1 LV, 2 MYO, 3 RV"
ALIGNED_VOXELS = 0.1  # how far corners may be apart on one and the same grid
VOXEL_TOLERANCE = 0.01  # in volume, as for sform against pixdim
LANDED = 0.5  # part of the labels that must fall into the scan for positions to be believed


def read_labels(
    path: Path, *, scan: Scan | None = None, scheme: LabelScheme | None = None
) -> Labels:
    """Read labels as 1 LV, 2 myocardium, 3 RV; `write_labels` is the inverse.

    Parameters
    ----------
    path
        NIfTI (3-D or 4-D, whole numbers of any type) or PNG (one slice).
    scan
        The scan that they belong to. Labels are then brought onto its grid:
        through the positions in both files, or voxel by voxel where those do
        not meet but the files have the same shape. Its frame times are used.
    scheme
        Which value is what. When None: ours in files that `write_labels` made,
        recognised from the shapes in others.

    Returns
    -------
    Labels
        `notes` tell the scheme and what was done to fit the scan.

    Raises
    ------
    LabelError
        When values are not whole numbers, have no name, or do not fit the scan.
    ScanError
        When the file cannot be read.
    """
    path = Path(path)
    stored, mark = _read(path)
    values = _whole_numbers(path, stored.data)
    notes = list(stored.provenance.warnings)
    if scheme is None and mark == SCHEME_MARK:
        scheme = CARDIOXAI
    elif scheme is None:
        scheme, reason = recognise_scheme(values, stored.geometry.spacing_mm)
        notes.append(reason)
    data = _in_our_scheme(values, scheme)
    geometry, times, cycle_ms = stored.geometry, stored.frame_times_ms, stored.cycle_ms
    if scan is not None:
        data, said = _onto_scan(data, stored.geometry, scan)
        # The scan knows its own position and time; what the label header lacks does not matter.
        notes = [*notes[len(stored.provenance.warnings) :], *said]
        geometry, cycle_ms = scan.geometry, scan.cycle_ms
        times = scan.frame_times_ms if len(data) == len(scan.data) else None
    return Labels(data, geometry, frame_times_ms=times, cycle_ms=cycle_ms, notes=tuple(notes))


def read_labels_onto(path: Path, other: Labels) -> Labels:
    """Read labels onto the grid of others, to compare them.

    Raises
    ------
    LabelError, ScanError
        As `read_labels`, and when the numbers of frames differ.
    """
    found = read_labels(path)
    if len(found.data) != len(other.data):
        raise LabelError(
            f"{Path(path).name} has {len(found.data)} frames and what it is compared with "
            f"{len(other.data)}; compare the same frames."
        )
    grid = Scan(other.data, other.geometry, Provenance(Path(path), ()))
    data, said = _onto_scan(found.data, found.geometry, grid)
    return replace(found, data=data, geometry=other.geometry, notes=(*found.notes, *said))


def write_labels(path: Path, labels: Labels) -> None:
    """Write labels as NIfTI on their own grid, or one slice as PNG; inverse of `read_labels`.

    Raises
    ------
    LabelError
        When several slices or frames are to go into one PNG.
    OutputError
        When the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        write_nifti(
            path,
            labels.data,
            labels.geometry,
            frame_times_ms=labels.frame_times_ms,
            cycle_ms=labels.cycle_ms,
            dtype=np.uint8,
            description=SCHEME_MARK,
        )
        return
    if labels.data.shape[:2] != (1, 1):
        raise LabelError(f"A PNG holds one slice; write {path.stem} as .nii.gz instead.")
    mark = PngInfo()
    mark.add_text("Description", SCHEME_MARK)
    with replacing(path) as beside:
        Image.fromarray(labels.data[0, 0].astype(np.uint8)).save(beside, format="PNG", pnginfo=mark)


def _read(path: Path) -> tuple[Scan, str]:
    """The values as stored, and the description that the file carries."""
    if is_nifti(path):
        return read_nifti(path), description_of(path)
    if path.suffix.lower() != ".png":
        raise LabelError(f"{path.name} is no label file; NIfTI (.nii, .nii.gz) and PNG are read.")
    try:
        with Image.open(path) as picture:
            pixels = np.array(picture)  # palette pictures give their indices
            mark = str(picture.info.get("Description", ""))
    except FileNotFoundError as error:
        raise LabelError(f"{path} does not exist.") from error
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise LabelError(f"{path.name} is not a readable PNG; export it again.") from error
    if pixels.ndim == 3:
        colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]
        if (colours != colours[..., :1]).any():
            raise LabelError(f"{path.name} is a colour picture; labels need one value a pixel.")
        pixels = colours[..., 0]
    provenance = Provenance(path, (path,))
    return Scan(pixels[None, None], Geometry(None), provenance, kind=Kind.IMAGE), mark


def _whole_numbers(path: Path, data: np.ndarray) -> np.ndarray:
    """The values as integers, shape kept."""
    if data.dtype.kind in "ui":
        return data
    values = np.rint(data).astype(np.int32) if data.dtype.kind == "f" else data.astype(np.uint8)
    if data.dtype.kind == "f" and (values != data).any():
        raise LabelError(f"{path.name} holds fractions; labels are whole numbers.")
    return values


def _in_our_scheme(values: np.ndarray, scheme: LabelScheme) -> np.ndarray:
    """Values 1 LV, 2 myocardium, 3 RV, uint8, of the same shape."""
    ours = np.zeros(values.shape, np.uint8)
    for ours_value, value in enumerate((scheme.lv, scheme.myo, scheme.rv), start=1):
        if value > 0:
            ours[values == value] = ours_value
    unnamed = np.unique(values[(ours == 0) & (values != 0)])
    if unnamed.size:
        raise LabelError(f"{listed(unnamed.tolist())} with no meaning in the scheme {scheme}.")
    return ours


# Onto a scan -----------------------------------------------------------------


def _onto_scan(data: np.ndarray, geometry: Geometry, scan: Scan) -> tuple[np.ndarray, list[str]]:
    """Labels (t, z, y, x) on the grid of the scan, and what was done for it."""
    notes = []
    frames, shape = len(scan.data), scan.data.shape[1:]
    if len(data) not in (1, frames):
        raise LabelError(f"The labels have {len(data)} frames and the scan has {frames}.")
    if len(data) < frames:
        notes.append(f"The labels have one frame, the scan {frames}; which one it is, is not said.")

    ours = scan.geometry.storage or plain_storage(scan.geometry)
    theirs = geometry.storage or ours  # a PNG was drawn on what is seen
    in_file = file_order(data, theirs)
    same_shape = in_file.shape[:3] == _file_shape(shape, ours.axes)
    if geometry.affine is not None and scan.geometry.affine is not None:
        to_labels = np.linalg.inv(geometry.affine) @ scan.geometry.affine
        if _one_grid(to_labels, shape, data.shape[1:]):
            return _resampled(data, to_labels, shape), notes
        # A label file saved without the position of its image has voxels of another size.
        ratio = abs(np.linalg.det(to_labels))
        if not same_shape or abs(ratio - 1) <= VOXEL_TOLERANCE:
            landed = _resampled(data, to_labels, shape)
            kept = np.count_nonzero(landed) * ratio / max(np.count_nonzero(data), 1)
            if kept >= LANDED or not data.any():
                notes.append(
                    f"The labels, {_dims(data.shape[1:])} (slices, rows, columns), were brought "
                    f"onto the scan's {_dims(shape)} by their positions; "
                    f"{kept:.0%} of the labelled volume lies inside."
                )
                return landed, notes
    if same_shape:
        if geometry.affine is not None and scan.geometry.affine is not None:
            notes.append(
                "The label file is placed elsewhere than the scan; laid on it voxel by voxel."
            )
        return memory_order(in_file, ours), notes
    raise LabelError(
        f"The labels have {_dims(data.shape[1:])} slices, rows and columns, the scan has "
        f"{_dims(shape)}, and their positions do not meet; are they of another scan?"
    )


def _dims(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _file_shape(shape: tuple[int, ...], axes: tuple[int, int, int]) -> tuple[int, ...]:
    """A (z, y, x) shape in the order of the file's axes."""
    return tuple(shape[axes.index(file_axis)] for file_axis in range(3))


def _one_grid(to_labels: np.ndarray, shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether the corners of both grids meet, whatever the order of their axes."""
    if np.prod(shape) != np.prod(other):
        return False
    corners = np.array(np.meshgrid(*((0, n - 1) for n in shape[::-1]))).reshape(3, -1)
    at = to_labels[:3, :3] @ corners + to_labels[:3, 3:]
    last = np.array(other[::-1])[:, None] - 1
    return bool((np.minimum(np.abs(at), np.abs(at - last)) <= ALIGNED_VOXELS).all())


def _resampled(data: np.ndarray, to_labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The nearest label at every voxel of a (z, y, x) grid; 0 outside.

    `to_labels` maps the grid's (x, y, z, 1) to that of `data`, shape (4, 4).
    """
    slices, rows, columns = shape
    out = np.zeros((len(data), slices, rows * columns), data.dtype)
    y, x = (index.ravel() for index in np.mgrid[:rows, :columns])
    size = np.array(data.shape[:0:-1])[:, None]
    for z in range(slices):
        grid = np.stack([x, y, np.full_like(x, z)])
        at = np.rint(to_labels[:3, :3] @ grid + to_labels[:3, 3:]).astype(int)
        inside = ((at >= 0) & (at < size)).all(axis=0)
        ix, iy, iz = at[:, inside]
        out[:, z, inside] = data[:, iz, iy, ix]
    return out.reshape(len(data), *shape)
