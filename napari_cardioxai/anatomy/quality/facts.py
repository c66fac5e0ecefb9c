"""What the rules look at, measured once and only when a rule asks."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from napari_cardioxai.anatomy.base import is_base_first
from napari_cardioxai.anatomy.edges import cavity_edges
from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES, Labels
from napari_cardioxai.anatomy.volumes import LV, MYO, RV
from napari_cardioxai.scans.scan import Scan

STRUCTURES = (LV, MYO, RV)
PRESENT_PIXELS = 10  # fewer in a slice are no structure; ukbb_cardiac, sa_pass_quality_control
FRAMES_OF_A_CYCLE = 8  # cmr-volume-analysis
DENSE = 0.5  # part of the frames with labels from which on every frame is expected to have them
SLICES_WITH_A_BASE = 4  # of the LV cavity; fewer are taken from the middle

# Everything that touches within one frame, but nothing across frames.
IN_FRAME = np.zeros((3, 3, 3, 3), bool)
IN_FRAME[1] = True


class NotApplicableError(Exception):
    """Says in one sentence why a rule cannot be judged."""


@dataclass(frozen=True)
class Facts:
    """A label volume, and the scan that it belongs to if that is known."""

    labels: Labels
    scan: Scan | None = None

    @cached_property
    def data(self) -> np.ndarray:
        """The labelled part with one pixel of background around, shape (t, z, h, w)."""
        data = self.labels.data
        if not data.any():
            return np.zeros((*data.shape[:2], 1, 1), np.uint8)
        return np.pad(data[:, :, *_box(data)], ((0, 0), (0, 0), (1, 1), (1, 1)))

    @cached_property
    def pixels(self) -> np.ndarray:
        """Pixels of each structure, shape (structure + 1, t, z); row 0 is unused."""
        counts = [np.count_nonzero(self.data == value, axis=(2, 3)) for value in STRUCTURES]
        return np.stack([np.zeros_like(counts[0]), *counts])

    @cached_property
    def pixel_mm(self) -> tuple[float, float]:
        """(y, x) spacing; 1 where it is unknown, which is enough for ratios."""
        spacing = self.labels.geometry.spacing_mm
        return (1.0, 1.0) if spacing is None else (spacing[1], spacing[2])

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and slices."""
        frames, slices = self.labels.data.shape[:2]
        return frames, slices

    def size(self, structure: int) -> np.ndarray:
        """Volume of a structure in every frame, shape (t,); mL where the pixel size is known."""
        extents = self.labels.geometry.slice_extents_mm(self.shape[1])
        weights = np.ones(self.shape[1]) if extents is None else extents
        dy, dx = self.pixel_mm
        return self.pixels[structure] @ (weights * dy * dx / 1000.0)

    def knows(self, structure: int) -> bool:
        """Whether the structure is labelled anywhere."""
        return bool((self.pixels[structure] >= PRESENT_PIXELS).any())

    def known(self) -> list[int]:
        """Every structure that is labelled somewhere.

        Raises
        ------
        NotApplicableError
            When there are none.
        """
        structures = [value for value in STRUCTURES if self.knows(value)]
        if not structures:
            raise NotApplicableError("Nothing is labelled.")
        return structures

    def need(self, *structures: int) -> None:
        """Refuse to be judged without these structures."""
        for value in structures:
            if not self.knows(value):
                raise NotApplicableError(f"No {STRUCTURE_NAMES[value]} is labelled.")

    def need_slices(self, least: int) -> None:
        """Refuse to be judged on fewer slices."""
        slices = self.shape[1]
        if slices < least:
            there = "is one slice" if slices == 1 else f"are {slices} slices"
            raise NotApplicableError(f"There {there}; {least} are needed.")

    def need_scan(self) -> Scan:
        """The scan, or a refusal to be judged without one."""
        if self.scan is None:
            raise NotApplicableError("The labels were checked without their scan.")
        return self.scan

    @cached_property
    def labelled(self) -> np.ndarray:
        """Whether a frame holds any label, shape (t,)."""
        return self.pixels.sum(axis=(0, 2)) > 0

    @cached_property
    def dense(self) -> bool:
        """Whether all frames are meant to be labelled, and not end-diastole and -systole only."""
        return bool(self.labelled.mean() > DENSE)

    def cycle(self, structure: int) -> np.ndarray:
        """Volume of a structure over a cycle that is labelled throughout, shape (t,).

        Raises
        ------
        NotApplicableError
            When frames are too few or some of them lack the structure.
        """
        self.need(structure)
        frames = self.shape[0]
        if frames < FRAMES_OF_A_CYCLE:
            there = "is one frame" if frames == 1 else f"are {frames} frames"
            raise NotApplicableError(
                f"There {there}; a cycle is judged from {FRAMES_OF_A_CYCLE} on."
            )
        curve = self.size(structure)
        if not curve.all():
            name, empty = STRUCTURE_NAMES[structure], int(np.count_nonzero(curve == 0))
            raise NotApplicableError(f"No {name} is labelled in {empty} of {frames} frames.")
        return curve

    def fullest_frame(self) -> int:
        """Frame with the largest LV cavity, or with the most labels where there is none."""
        if self.knows(LV):
            return int(np.argmax(self.size(LV)))
        return int(np.argmax(self.pixels.sum(axis=(0, 2))))

    @cached_property
    def base_is_last(self) -> bool:
        """Whether the slices run from apex to base; where nothing tells, they do not."""
        areas = self.pixels[LV, self.fullest_frame()]
        return is_base_first(areas, self.labels.geometry) is False

    @cached_property
    def basal(self) -> np.ndarray:
        """Slices that a valve plane may cut through, shape (t, z).

        The last two with cavity, and all above them; none where few slices are labelled.
        """
        found = np.zeros(self.shape, bool)
        for t, counts in enumerate(self.pixels[LV]):
            slices = np.flatnonzero(counts >= PRESENT_PIXELS)
            if len(slices) >= SLICES_WITH_A_BASE:
                part = np.s_[slices[-2] :] if self.base_is_last else np.s_[: slices[1] + 1]
                found[t, part] = True
        return found

    @cached_property
    def image_checksums(self) -> dict[tuple[int, int], int]:
        """Checksum of the image of every (t, z) that the scan has."""
        scan = self.need_scan()
        return {
            (t, z): zlib.crc32(np.ascontiguousarray(image).data)
            for t, frame in enumerate(scan.data)
            for z, image in enumerate(np.asarray(frame))
            if (t, z) not in scan.missing
        }

    @cached_property
    def pieces(self) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
        """(structure, frame, voxels of each piece, first slice of each piece)."""
        found = []
        for value in filter(self.knows, STRUCTURES):
            mask = self.data == value
            numbers, _ = ndimage.label(mask[:, :, *_box(mask)], IN_FRAME)
            sizes = np.bincount(numbers.ravel())[1:]
            places = ndimage.find_objects(numbers)
            frames, slices = (np.array([at[axis].start for at in places]) for axis in (0, 1))
            for t in np.unique(frames).tolist():
                found.append((value, t, sizes[frames == t], slices[frames == t]))
        return found

    @cached_property
    def lv_edges(self) -> np.ndarray:
        """Length of the LV cavity's edge on each label value, shape (4, t, z)."""
        return cavity_edges(self.data, pixel_mm=self.pixel_mm)


def _box(data: np.ndarray, *, margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns that hold all that is not zero; shape (t, z, y, x)."""
    shadow = data.max(axis=(0, 1)) > 0
    rows, columns = (np.flatnonzero(shadow.any(axis=axis)) for axis in (1, 0))
    return (
        slice(rows[0] - margin, rows[-1] + margin + 1),
        slice(columns[0] - margin, columns[-1] + margin + 1),
    )
