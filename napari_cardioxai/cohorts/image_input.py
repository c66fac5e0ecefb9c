"""Pictures and volumes as an image classifier sees them, and the way back to their own grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cardioxai.errors import CohortError
from napari_cardioxai.scans.scan import Scan

INTENSITIES = ("percentiles", "range")
_FINEST_BLUR = 1.0  # steps below this many voxels need no smoothing
_TOP = 1.5  # what is brighter than the 99th percentile may come up to this
# Axes (z, y, x) of every oriented volume in RAS: to the head, to the back, to the left.
_STANDARD_AXES_RAS = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class InputSpec:
    """What a classifier's input is like.

    Attributes
    ----------
    size
        (y, x) of pictures or (z, y, x) of volumes, in pixels.
    spacing_mm
        Distance of the pixels. None: the whole picture is fitted into `size`,
        its proportions kept, which pictures without known pixels need.
    intensities
        "percentiles": the 1st becomes 0 and the 99th 1, brighter ones up to
        1.5, of what is not exactly 0; "range": the lowest becomes 0 and the
        highest 1, for pictures whose window was chosen already.

    Raises
    ------
    CohortError
        When the numbers make no input.
    """

    size: tuple[int, ...]
    spacing_mm: float | None = None
    intensities: Literal["percentiles", "range"] = "percentiles"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(int(side) for side in self.size))
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise CohortError(
                f"an input has (y, x) or (z, y, x) pixels, not {' x '.join(map(str, self.size))}."
            )
        if self.spacing_mm is not None and not self.spacing_mm > 0:
            raise CohortError(f"a spacing of {self.spacing_mm} mm is none; it must be positive.")
        if self.intensities not in INTENSITIES:
            raise CohortError(
                f"intensities cannot be {self.intensities!r}; choose {' or '.join(INTENSITIES)}."
            )

    @property
    def dims(self) -> int:
        """2 for pictures, 3 for volumes."""
        return len(self.size)

    def as_json(self) -> dict[str, Any]:
        """Plain types, for cards and caches."""
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> InputSpec:
        """Inverse of `as_json`; TypeError for fields that are unknown or missing."""
        return cls(**{**values, "size": tuple(values["size"])})


@dataclass(frozen=True)
class InputTransform:
    """Where the pixels of an input lie in the picture that it was made from.

    Attributes
    ----------
    matrix, offset
        Index in the picture = matrix @ index in the input + offset, for (y, x)
        or (z, y, x).
    shape
        Of the picture.
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]
    shape: tuple[int, ...]

    def restore(self, values: NDArray, *, outside: float = 0.0) -> NDArray[np.float32]:
        """Bring a map over the input, such as a heatmap, back onto the picture's own grid.

        Parameters
        ----------
        values
            Of the input's size; linearly interpolated.
        outside
            Where the input does not reach.

        Returns
        -------
        float32 of the picture's shape.
        """
        back = np.linalg.inv(self.matrix)
        return ndimage.affine_transform(
            np.asarray(values, np.float32),
            back,
            -back @ self.offset,
            self.shape,
            order=1,
            mode="constant",
            cval=outside,
        )


@dataclass(frozen=True)
class ImageInput:
    """An input and where it came from.

    Attributes
    ----------
    data
        Intensities about 0 to 1, float32, of the size that the spec says.
    transform
        Back to the picture.
    """

    data: NDArray[np.float32]
    transform: InputTransform


def prepare_scan(scan: Scan, spec: InputSpec) -> ImageInput:
    """The input that a scan makes: its first frame, and of pictures its first slice.

    A volume whose position is known is turned to standard axes (z to the
    head, y to the back, x to the left), however it was stored.

    Raises
    ------
    CohortError
        When a volume is asked for and the scan is a picture, or the other way
        round, or its pixel size is needed and unknown.
    """
    frame = np.asarray(scan.data[0])
    spacing = scan.geometry.spacing_mm
    if spec.dims == 2:
        if len(frame) > 1:
            raise CohortError(
                f"{scan.name} is a volume of {len(frame)} slices; the model reads single pictures."
            )
        return prepare(frame[0], spec, spacing_mm=None if spacing is None else spacing[1:])
    if len(frame) == 1:
        raise CohortError(f"{scan.name} is a single picture; the model reads volumes.")
    return prepare(frame, spec, spacing_mm=spacing, affine=scan.geometry.affine)


def prepare(
    picture: NDArray,
    spec: InputSpec,
    *,
    spacing_mm: tuple[float, ...] | None = None,
    affine: NDArray[np.float64] | None = None,
) -> ImageInput:
    """Bring a picture or volume to the size, spacing, axes and intensities of a spec.

    Its middle comes to the middle of the input; where the input reaches
    further than the picture it is 0. Before pixels are made coarser the
    picture is smoothed, sigma a half of what the step exceeds one pixel.

    Parameters
    ----------
    picture
        Shape (y, x) or (z, y, x).
    spec
        What the input is like.
    spacing_mm
        Along the axes of the picture; None when unknown.
    affine
        Of a volume: (x, y, z, 1) to RAS mm, as `Geometry.affine`.

    Raises
    ------
    CohortError
        When the spec asks for a spacing and that of the picture is unknown.
    """
    if picture.ndim != spec.dims:
        raise CohortError(f"a picture of {picture.ndim} axes is no input of {spec.dims}.")
    if spec.spacing_mm is not None and spacing_mm is None:
        raise CohortError(
            f"the model works at {spec.spacing_mm:g} mm, but the pixel size of the picture is "
            "unknown."
        )
    pixel = np.array(spacing_mm or (1.0,) * spec.dims, float)
    axes = _axes_of(affine, spec.dims)
    if spec.spacing_mm is not None:
        step_mm = np.full(spec.dims, spec.spacing_mm)
    else:
        extent = np.abs(axes.T) @ (np.array(picture.shape) * pixel)
        step_mm = np.full(spec.dims, (extent / np.array(spec.size)).max())
    # Columns: what one step along each axis of the input is in pixels of the picture.
    matrix = axes * step_mm[None, :] / pixel[:, None]
    middle_in, middle_out = (np.array(picture.shape) - 1) / 2, (np.array(spec.size) - 1) / 2
    offset = middle_in - matrix @ middle_out
    values = _scaled(np.asarray(picture, np.float32), spec.intensities)
    coarser = np.abs(matrix).max(1)
    blur = np.where(coarser > _FINEST_BLUR, (coarser - 1) / 2, 0)
    if blur.any():
        values = ndimage.gaussian_filter(values, blur, mode="nearest")
    if np.allclose(matrix, np.eye(spec.dims)) and picture.shape == spec.size:
        data = values
    else:
        data = ndimage.affine_transform(
            values, matrix, offset, spec.size, order=1, mode="grid-constant", cval=0.0
        )
    return ImageInput(data.astype(np.float32), InputTransform(matrix, offset, picture.shape))


def _axes_of(affine: NDArray[np.float64] | None, dims: int) -> NDArray[np.float64]:
    """Axes of the input (columns) in the unit axes of the picture (rows)."""
    if affine is None or dims == 2:
        return np.eye(dims)
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    picture_axes = columns[:, ::-1]  # columns z, y, x in RAS
    return np.linalg.inv(picture_axes) @ _STANDARD_AXES_RAS.T


def _scaled(values: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    counted = values[values != 0] if how == "percentiles" else values
    if not counted.size:
        return np.zeros_like(values)
    limits = (1, 99) if how == "percentiles" else (0, 100)
    low, high = np.percentile(counted, limits)
    if high <= low:
        return np.zeros_like(values)
    scaled = np.clip((values - low) / (high - low), 0, _TOP)
    return scaled.astype(np.float32)
