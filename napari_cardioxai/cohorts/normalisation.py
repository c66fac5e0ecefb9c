"""A labelled cine as the latent models take it, and the way back onto the scan.

Hearts are brought to one pixel size, one place in the picture and one clock, so
that what differs between two sequences is the hearts: shape, size and the way
they move. The length of systole is taken out by the warping of time and is to
be read from the scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_cardioxai.anatomy.base import is_base_first
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality.facts import FRAMES_OF_A_CYCLE, PRESENT_PIXELS
from napari_cardioxai.anatomy.quality.rule import numbered
from napari_cardioxai.anatomy.segments import UNCLEAR_BASE, find_reference
from napari_cardioxai.anatomy.volumes import LV, ejection_fraction, volume_curve_ml, voxel_counts
from napari_cardioxai.cohorts.label_resampling import resampled_in_plane, resampled_in_time
from napari_cardioxai.errors import CohortError, MeasurementError
from napari_cardioxai.scans.geometry import Geometry

SLICES = 3
SYSTOLE = 0.36  # of the cycle, to which end-systole is warped; usual at rest: 0.35 to 0.40
PLAUSIBLE_SYSTOLE = (0.15, 0.75)  # of the cycle; beyond, a frame was taken for end-systole wrongly
LONGEST_CYCLE = 1.5  # of what the frames cover; a longer recorded one belongs to something else
CENTRAL_STEP = 0.2  # of the slices with LV
SAME_PIXEL = 1e-3  # in ratio


@dataclass(frozen=True)
class NormalisationSpec:
    """What sequences are like; a model states the one that it was trained with.

    Attributes
    ----------
    frames
        Frames over the cycle, end-diastole first.
    slices
        "central": the middle one of the slices that hold LV cavity, and one a
        fifth of these slices to either side of it (Clough et al. 2019); for a
        whole ventricle 0.3, 0.5 and 0.7 of its length.
        "basal": the three next to the base (Puyol-Antón et al. 2020).
    size, pixel_mm
        Pixels to each side of the square around the left ventricle, and their size in mm.
    rotate
        Turn the picture so that the septum lies on the left and the anterior wall on top.
    """

    frames: int = 25
    slices: Literal["central", "basal"] = "central"
    size: int = 80
    pixel_mm: float = 1.25
    rotate: bool = False

    def __post_init__(self) -> None:
        if self.frames < FRAMES_OF_A_CYCLE or self.size < 16 or not self.pixel_mm > 0:
            raise CohortError(
                f"sequences need at least {FRAMES_OF_A_CYCLE} frames, 16 pixels to a side and a "
                f"positive pixel size, not {self.frames}, {self.size} and {self.pixel_mm:g} mm."
            )
        if self.slices not in ("central", "basal"):
            raise CohortError(f"slices are central or basal, not {self.slices!r}.")

    @property
    def es_frame(self) -> int:
        """Frame onto which end-systole falls: 9 of 25, 18 of 50."""
        return round(SYSTOLE * self.frames)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of one sequence, (t, z, y, x)."""
        return self.frames, SLICES, self.size, self.size


@dataclass(frozen=True)
class CineTransform:
    """Which place of a scan each place of a sequence is.

    Attributes
    ----------
    spec
        What the sequence is like.
    scan_shape
        Of the labels that it was made from, (t, z, y, x).
    slices
        Indices into the scan, the most basal first.
    to_scan
        (row, column, 1) of the sequence to (row, column) of the scan in pixels, shape (2, 3).
    scan_frames
        Where in the scan each frame of the sequence lies, in frames, shape
        (T,); values of t and more are in the cycle that follows.
    sequence_frames
        Where in the sequence each frame of the scan lies, in frames, shape (t,).
    """

    spec: NormalisationSpec
    scan_shape: tuple[int, int, int, int]
    slices: tuple[int, ...]
    to_scan: NDArray = field(repr=False)
    scan_frames: NDArray = field(repr=False)
    sequence_frames: NDArray = field(repr=False)

    def apply(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels of the scan as a sequence; `restore` is the inverse.

        Parameters
        ----------
        data
            On the grid of the scan, shape (t, z, y, x).

        Returns
        -------
        Shape (T, 3, y, x), uint8.
        """
        if data.shape != self.scan_shape:
            raise CohortError(
                f"labels of shape {data.shape} do not lie on the scan's grid {self.scan_shape}."
            )
        rows, columns = _grid(self.to_scan, (self.spec.size, self.spec.size))
        # What is read is cut out first: the heart fills a fraction of the picture.
        near = tuple(
            slice(max(0, int(places.min()) - 1), max(0, int(places.max()) + 3))
            for places in (rows, columns)
        )
        part = np.ascontiguousarray(data[:, list(self.slices)][..., near[0], near[1]])
        if not part.size:
            return np.zeros(self.spec.shape, np.uint8)
        seen = resampled_in_plane(
            part.reshape(-1, *part.shape[2:]), rows - near[0].start, columns - near[1].start
        )
        return resampled_in_time(seen.reshape(len(data), SLICES, *rows.shape), self.scan_frames)

    def sample(self, pictures: NDArray) -> NDArray[np.float32]:
        """Intensities of the scan at the places and times of a sequence, linear in both.

        Parameters
        ----------
        pictures
            On the grid of the scan, shape (t, z, y, x). What lies beyond the
            picture continues its edge.

        Returns
        -------
        Shape (T, 3, y, x), in the units of the scan.

        Raises
        ------
        CohortError
            When the pictures do not lie on the grid of the labels.
        """
        if pictures.shape != self.scan_shape:
            raise CohortError(
                f"pictures of shape {pictures.shape} do not lie on the grid of the labels, "
                f"{self.scan_shape}; give the scan that was labelled."
            )
        before = np.floor(self.scan_frames).astype(np.intp)
        later = (self.scan_frames - before).astype(np.float32)[:, None, None, None]
        cycle = np.take(
            np.asarray(pictures[:, list(self.slices)], np.float32), before, axis=0, mode="wrap"
        )
        following = np.take(pictures[:, list(self.slices)], before + 1, axis=0, mode="wrap")
        timed = (1 - later) * cycle + later * following
        places = np.broadcast_arrays(*_grid(self.to_scan, (self.spec.size, self.spec.size)))
        sampled = [
            map_coordinates(picture, places, order=1, mode="nearest")
            for picture in timed.reshape(-1, *timed.shape[2:])
        ]
        return np.asarray(sampled, np.float32).reshape(self.spec.shape)

    def restore(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A sequence, decoded ones included, on the scan's own grid; inverse of `apply`.

        Parameters
        ----------
        data
            Values 0 to 3, shape (T, 3, y, x).

        Returns
        -------
        Shape (t, z, y, x), uint8: every frame of the scan. Slices that were not
        taken, and what lies beyond the square around the ventricle, are background.

        Raises
        ------
        CohortError
            When the shape is not that of the sequences.
        """
        data = np.asarray(data)
        if data.shape != self.spec.shape:
            raise CohortError(
                f"a sequence of shape {data.shape} cannot be put back; {self.spec.shape} was made."
            )
        return self._onto_scan(resampled_in_time(data.astype(np.uint8), self.sequence_frames))

    def between(self, frame: int) -> tuple[int, int]:
        """The two frames of a sequence that a frame of the scan lies between."""
        first = int(self.sequence_frames[frame]) % self.spec.frames
        return first, (first + 1) % self.spec.frames

    def restore_frame(self, pair: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
        """One frame of the scan as `restore` makes it, without the rest of the cycle.

        Parameters
        ----------
        pair
            The frames `between(frame)` of a sequence, shape (2, 3, y, x).
        frame
            Of the scan.

        Returns
        -------
        Shape (z, y, x), uint8.
        """
        share = self.sequence_frames[frame] % 1.0
        return self._onto_scan(resampled_in_time(pair, np.array([share])))[0]

    def _onto_scan(self, timed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (k, 3, y, x) in the plane of the scan, (k, z, y, x)."""
        restored = np.zeros((len(timed), *self.scan_shape[1:]), np.uint8)
        if self._landing is None:
            return restored
        near, rows, columns = self._landing
        seen = resampled_in_plane(timed.reshape(-1, *timed.shape[2:]), rows, columns)
        seen = seen.reshape(len(timed), SLICES, *rows.shape)
        for index, z in enumerate(self.slices):
            restored[:, z, near[0], near[1]] = seen[:, index]
        return restored

    @cached_property
    def _landing(self) -> tuple[tuple[slice, slice], NDArray, NDArray] | None:
        """Part of the scan's picture that sequences fill, and where in them each pixel is read."""
        rows, columns = _grid(self._to_sequence, self.scan_shape[2:])
        inside = (np.abs(rows - self._middle) <= self.spec.size / 2) & (
            np.abs(columns - self._middle) <= self.spec.size / 2
        )
        if not inside.any():
            return None
        spans = [np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0)]
        near = slice(spans[0][0], spans[0][-1] + 1), slice(spans[1][0], spans[1][-1] + 1)
        return near, rows[near], columns[near]

    @property
    def _middle(self) -> float:
        return (self.spec.size - 1) / 2

    @cached_property
    def _to_sequence(self) -> NDArray:
        turn = np.linalg.inv(self.to_scan[:, :2])
        return np.column_stack([turn, -turn @ self.to_scan[:, 2]])


@dataclass(frozen=True)
class NormalisedCine:
    """A sequence with the way back.

    Attributes
    ----------
    data
        Labels, values 0 to 3, uint8, or standardised intensities, float32; shape
        (T, 3, y, x), slice 0 is the most basal.
    transform
        Puts sequences back onto the scan.
    notes
        Sentences about what was assumed.
    """

    data: NDArray
    transform: CineTransform
    notes: tuple[str, ...] = ()


def normalise_labels(labels: Labels, spec: NormalisationSpec) -> NormalisedCine:
    """Bring a labelled cine to the pixels, the place and the clock of a model.

    Time is warped piecewise linearly: end-diastole is frame 0, end-systole
    frame `spec.es_frame`, and what follows is spread evenly up to the next
    end-diastole. Both are the frames that the measurements name: the largest and
    the smallest volume of the whole stack. Where the frame times are known,
    time is that of the scan, and the cycle ends where it was recorded to end.

    The square is centred on the centroid of the LV cavity over the cycle and
    the slices taken, the same for all of them. Where the pixels have the right
    size already they are moved by whole pixels and not interpolated.

    Parameters
    ----------
    labels
        A whole cycle of a short-axis stack.
    spec
        What to make.

    Raises
    ------
    CohortError
        When pixel size, frames or slices do not allow it, or end-systole cannot
        be told; when `spec.rotate` and no right ventricle touches the wall.

    References
    ----------
    Clough et al. 2019 (MICCAI); Puyol-Antón et al. 2020 (MICCAI).
    """
    if labels.geometry.spacing_mm is None:
        raise CohortError(
            "the pixel size is unknown, so the heart cannot be brought to a common size; give "
            "labels that carry it."
        )
    curve = _curve(labels)
    found = ejection_fraction(curve)
    clock = _Clock.of(labels, found.ed_frame, found.es_frame)
    slices, notes = _slices(labels, found.ed_frame, found.es_frame, spec.slices)
    to_scan = _placement(labels, slices, found.ed_frame, spec)
    transform = CineTransform(
        spec=spec,
        scan_shape=labels.data.shape,
        slices=slices,
        to_scan=to_scan,
        scan_frames=clock.scan_frames(spec),
        sequence_frames=clock.sequence_frames(spec),
    )
    return NormalisedCine(transform.apply(labels.data), transform, notes)


def normalise_pictures(
    pictures: NDArray, labels: Labels, spec: NormalisationSpec
) -> NormalisedCine:
    """A cine's intensities at the pixels, the place and the clock of a model.

    The labels say where the ventricle is and when it is largest and smallest;
    none of their values reach the sequence.

    Parameters
    ----------
    pictures
        The scan that was labelled, shape (t, z, y, x).
    labels, spec
        As for `normalise_labels`.

    Returns
    -------
    `data` with mean 0 and standard deviation 1 over the sequence, as no scanner
    has a scale of its own.

    Raises
    ------
    CohortError
        As `normalise_labels`; when the pictures lie on another grid or show nothing.
    """
    cine = normalise_labels(labels, spec)
    sampled = cine.transform.sample(pictures)
    spread = float(sampled.std())
    if not np.isfinite(spread) or spread == 0:
        raise CohortError(
            "the picture around the left ventricle is of one value or holds values that are no "
            "numbers; give the scan itself."
        )
    return replace(cine, data=(sampled - sampled.mean()) / spread)


def _curve(labels: Labels) -> NDArray:
    """LV volume in mL of every frame, shape (t,); all of them labelled."""
    frames = len(labels.data)
    if frames < FRAMES_OF_A_CYCLE:
        there = "is one frame" if frames == 1 else f"are {frames} frames"
        raise CohortError(
            f"there {there}; a heart cycle needs {FRAMES_OF_A_CYCLE} or more to be warped."
        )
    curve = volume_curve_ml(labels, LV)
    empty = np.flatnonzero(curve == 0).tolist()
    if len(empty) == frames:
        raise CohortError("no LV cavity is labelled; segment the scan first.")
    if empty:
        raise CohortError(
            f"no LV cavity is labelled in frame {numbered(empty)} of {frames}; label the whole cycle."
        )
    if np.ptp(curve) == 0:
        raise CohortError("the LV volume is the same in every frame, so there is no end-systole.")
    return curve


# Time ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Clock:
    """The cycle of a scan as parts of itself, from end-diastole to the next.

    Attributes
    ----------
    phase
        Of each frame after end-diastole, in [0, 1), shape (t,).
    first
        Frame of end-diastole.
    systole
        Phase of end-systole.
    """

    phase: NDArray
    first: int
    systole: float

    @classmethod
    def of(cls, labels: Labels, ed: int, es: int) -> _Clock:
        times, cycle = _times(labels)
        phase = ((times - times[ed]) / cycle) % 1.0
        systole = float(phase[es])
        least, most = PLAUSIBLE_SYSTOLE
        if not least <= systole <= most:
            raise CohortError(
                f"the smallest LV volume, frame {es + 1}, comes {systole:.0%} of the cycle after "
                f"the largest, frame {ed + 1}, where {least:.0%} to {most:.0%} is plausible; check "
                "the labels of both."
            )
        return cls(phase, ed, systole)

    def scan_frames(self, spec: NormalisationSpec) -> NDArray:
        """Where each frame of a sequence lies in the scan, from the ED frame on."""
        wanted = np.interp(np.arange(spec.frames), *self._knots(spec))
        count = len(self.phase)
        order = np.roll(self.phase, -self.first)
        return self.first + np.interp(wanted, np.append(order, 1.0), np.arange(count + 1.0))

    def sequence_frames(self, spec: NormalisationSpec) -> NDArray:
        """Where each frame of the scan lies in a sequence."""
        frames, phases = self._knots(spec)
        return np.interp(self.phase, phases, frames)

    def _knots(self, spec: NormalisationSpec) -> tuple[NDArray, NDArray]:
        """Frames of the sequence and phases of the scan that meet: ED, ES and the next ED."""
        return np.array([0.0, spec.es_frame, spec.frames]), np.array([0.0, self.systole, 1.0])


def _times(labels: Labels) -> tuple[NDArray, float]:
    """Time of each frame, growing, shape (t,), and length of the cycle, in ms or frames."""
    count = len(labels.data)
    even = np.arange(count, dtype=float), float(count)
    if labels.frame_times_ms is None:
        return even
    times = np.asarray(labels.frame_times_ms, float)
    steps = np.diff(times)
    if times.shape != (count,) or not (steps > 0).all():
        return even
    span = float(times[-1] - times[0])
    covered = span + float(np.median(steps))
    recorded = labels.cycle_ms
    if recorded is not None and span < recorded <= LONGEST_CYCLE * covered:
        return times, float(recorded)
    return times, covered


# Place -----------------------------------------------------------------------


def _slices(
    labels: Labels, ed: int, es: int, which: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Indices of the slices to take, the most basal first, and what was assumed.

    Slices count that hold cavity at end-diastole and still at end-systole, when
    the base has come down and the apex is closed; where these are too few, those
    that hold it at end-diastole.
    """
    areas = voxel_counts(labels.data, LV)
    at_ed = areas[ed] >= PRESENT_PIXELS
    throughout = at_ed & (areas[es] >= PRESENT_PIXELS)
    bearing = np.flatnonzero(throughout if throughout.sum() >= SLICES else at_ed)
    if len(bearing) < SLICES:
        there = "slice holds" if len(bearing) == 1 else "slices hold"
        raise CohortError(
            f"{len(bearing) or 'no'} {there} LV cavity at end-diastole, frame {ed + 1}; "
            f"a sequence needs {SLICES}."
        )
    told = is_base_first(areas.mean(axis=0), labels.geometry)
    if told is False:
        bearing = bearing[::-1]
    notes = () if told is not None else (UNCLEAR_BASE,)
    if which == "basal":
        return tuple(bearing[:SLICES].tolist()), notes
    step = max(1, round(CENTRAL_STEP * len(bearing)))
    middle = (len(bearing) - 1) // 2
    return tuple(bearing[[middle - step, middle, middle + step]].tolist()), notes


def _placement(
    labels: Labels, slices: tuple[int, ...], ed: int, spec: NormalisationSpec
) -> NDArray:
    """`CineTransform.to_scan`: pixel size, centre and rotation, shape (2, 3)."""
    assert labels.geometry.spacing_mm is not None
    size = np.array(labels.geometry.spacing_mm[1:])
    centre = _lv_centre(labels, slices)
    middle = (spec.size - 1) / 2
    turn = np.eye(2)
    if spec.rotate:
        turn = _upright(labels.data[ed], labels.geometry, slices)
    elif (np.abs(size / spec.pixel_mm - 1) <= SAME_PIXEL).all():
        return np.column_stack([turn, np.rint(centre - middle)])
    scale = turn * spec.pixel_mm / size[:, None]
    return np.column_stack([scale, centre - scale @ [middle, middle]])


def _lv_centre(labels: Labels, slices: tuple[int, ...]) -> NDArray:
    """Row and column of the cavity's centroid over the cycle."""
    cavity = np.count_nonzero(labels.data[:, list(slices)] == LV, axis=(0, 1))
    weights = cavity.sum(axis=1), cavity.sum(axis=0)
    return np.array([np.average(np.arange(len(w)), weights=w) for w in weights])


def _upright(frame: NDArray, geometry: Geometry, slices: tuple[int, ...]) -> NDArray:
    """(row, column) away from the centre of the sequence to that of the scan, in mm."""
    try:
        reference = find_reference(frame, geometry)
    except MeasurementError as error:
        raise CohortError(f"the picture cannot be turned to the septum: {error}") from error
    directions = reference.septum_rad[list(slices)]
    septum = np.arctan2(np.sin(directions).mean(), np.cos(directions).mean())
    # Seen from (x, y): left onto the septum, up onto the anterior wall.
    turned = septum - np.pi
    cos, sin = np.cos(turned), np.sin(turned)
    in_xy = np.array([[cos, -sin * reference.turn], [sin, cos * reference.turn]])
    return in_xy[::-1, ::-1]


def _grid(matrix: NDArray, shape: tuple[int, int]) -> tuple[Any, Any]:
    """Where each pixel of a picture comes to lie, rows and columns, each of that shape."""
    row, column = np.ogrid[: shape[0], : shape[1]]
    first, second = (
        matrix[axis, 0] * row + matrix[axis, 1] * column + matrix[axis, 2] for axis in (0, 1)
    )
    return first, second
