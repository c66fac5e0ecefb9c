"""One subject of a cohort: a heart, the planes through it and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from napari_cardioxai.phantom.classes import Case, draw_case
from napari_cardioxai.phantom.heart import Beat
from napari_cardioxai.phantom.images import Look, draw_look, draw_scanner, render
from napari_cardioxai.phantom.ranges import HeartClass
from napari_cardioxai.phantom.rasterise import (
    SHORT_AXIS_COLUMN,
    SHORT_AXIS_ROW,
    Faults,
    Grid,
    levels_through,
    rasterise,
    stack_around,
)
from napari_cardioxai.phantom.spec import CohortSpec
from napari_cardioxai.progress import Progress, silent

HEART, PLANE, FAULT, LOOK, ANSWER = range(5)


@dataclass(frozen=True)
class Subject:
    """One subject of a cohort, before anything is written.

    Attributes
    ----------
    name
        Such as `s0003`.
    case, grid, faults, look
        The patient, the scan's planes, its faults and its contrast.
    times_ms
        Frame times after the R wave, shape (t,).
    beat
        The heart at those times.
    """

    name: str
    case: Case
    grid: Grid
    faults: Faults
    look: Look
    times_ms: np.ndarray
    beat: Beat

    def labels(self) -> np.ndarray:
        """Labels (t, z, y, x), uint8: 1 LV, 2 myocardium, 3 RV."""
        return rasterise(self.beat, self.grid, faults=self.faults)

    def images(self, *, on_progress: Progress = silent) -> np.ndarray:
        """Images (t, z, y, x), int16."""
        return render(self.beat, self.grid, self.look, faults=self.faults, on_progress=on_progress)


def source(spec: CohortSpec, part: int, *, seed: int, index: int) -> np.random.Generator:
    """Where one part of a subject's randomness comes from; twins share it."""
    draw = index // len(spec.classes) if spec.paired else index
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(draw, part)))


def draw_subject(spec: CohortSpec, *, seed: int, index: int) -> Subject:
    """Subject number `index` of a cohort; depends on nothing but the arguments.

    Parameters
    ----------
    spec
        What the cohort is like.
    seed, index
        Together they are the source of all randomness.
    """
    kind = HeartClass(spec.classes[index % len(spec.classes)])
    heart_rng, plane_rng, fault_rng, look_rng = (
        source(spec, part, seed=seed, index=index) for part in (HEART, PLANE, FAULT, LOOK)
    )
    case = draw_case(kind, heart_rng, variation=spec.variation)
    grid = _draw_grid(spec, case, plane_rng)
    times = case.heart.lv.frame_times_ms(spec.frames)
    scanner = draw_scanner(look_rng)
    if spec.snr is not None:
        scanner = replace(scanner, snr=spec.snr)
    return Subject(
        name=f"s{index:04d}",
        case=case,
        grid=grid,
        faults=_draw_faults(spec, len(grid.heights_mm), fault_rng),
        look=draw_look(case.heart, look_rng, septum_deg=grid.septum_deg, scanner=scanner),
        times_ms=times,
        beat=case.heart.beat(times),
    )


def _draw_grid(spec: CohortSpec, case: Case, rng: np.random.Generator) -> Grid:
    septum = float(np.clip(rng.normal(162, 12), 135, 190))
    down, right = np.clip(rng.normal(0, 3, 2), -7, 7)
    first = float(rng.uniform(-4, 4))
    if spec.levels is None:
        grid = stack_around(
            case.heart,
            pixel_mm=spec.pixel_mm,
            matrix=spec.matrix,
            septum_deg=septum,
            slice_distance_mm=spec.slice_distance_mm,
            first_mm=first,
            centre_shift_mm=(float(down), float(right)),
        )
    else:
        grid = levels_through(
            case.heart,
            spec.levels,
            pixel_mm=spec.pixel_mm,
            matrix=spec.matrix,
            septum_deg=septum,
            centre_shift_mm=(float(down), float(right)),
        )
    # Each patient lies a little differently in the scanner.
    turn = Rotation.from_rotvec(rng.normal(0, 0.08, 3))
    row, column = turn.apply([SHORT_AXIS_ROW, SHORT_AXIS_COLUMN])
    position = np.array(grid.position_mm) + rng.normal(0, 10, 3)
    return replace(grid, row=tuple(row), column=tuple(column), position_mm=tuple(position))


def _draw_faults(spec: CohortSpec, slices: int, rng: np.random.Generator) -> Faults:
    shifts = rng.normal(0, 1, (slices, 2)) * spec.breath_hold_mm
    chosen, late = int(rng.integers(slices)), int(rng.integers(1, 5))
    lost = int(rng.integers(slices))
    mistriggered, missing = rng.random(2)
    return Faults(
        shift_mm=tuple(map(tuple, shifts)) if spec.breath_hold_mm > 0 else (),
        late_frames=(
            tuple(late if k == chosen else 0 for k in range(slices))
            if mistriggered < spec.mistriggered_share
            else ()
        ),
        missing=(lost,) if missing < spec.missing_share else (),
    )
