"""How much of a map lies in which region: a study's own labels, AHA segments, or any atlas."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES, Labels
from napari_cardioxai.anatomy.segments import (
    AHA_NAMES,
    APICAL,
    APICAL_WALLS,
    WALLS,
    find_reference,
    find_rings,
    in_plane_mm,
)
from napari_cardioxai.anatomy.volumes import LV, MYO, RV, voxel_counts
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import is_nifti, read_nifti

ELSEWHERE = "elsewhere"
APEX = len(AHA_NAMES)

_SAME_PLACE_MM = 0.1
_ANTERIOR_FROM_SEPTUM_DEG = (
    120.0  # where segment 1 begins, see `anatomy.wall_contours.segment_rays`
)


@dataclass(frozen=True, eq=False)
class Atlas:
    """Regions on the grid of a scan.

    Attributes
    ----------
    data
        0 is no region; shape (t or 1, z, y, x), integers.
    names
        Of the other values.
    notes
        Sentences about what was assumed.
    """

    data: NDArray[np.integer]
    names: Mapping[int, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegionRow:
    """What maps say of one region.

    Attributes
    ----------
    region, name
        Its value in the atlas; 0 for what lies elsewhere.
    voxels
        Its size.
    mean
        Of the combined map within it; NaN without a voxel.
    energy
        Part of the combined map's sum that lies in it.
    energy_low, energy_high
        95 % interval of that when the maps are drawn again with replacement;
        None for one map.
    rank
        By the mean, 1 the highest; None for what lies elsewhere and for
        regions without a voxel.
    """

    region: int
    name: str
    voxels: int
    mean: float
    energy: float
    energy_low: float | None
    energy_high: float | None
    rank: int | None

    def as_json(self) -> dict[str, Any]:
        """Plain types; None where there is no number."""
        numbers = {key: getattr(self, key) for key in ("mean", "energy")}
        return {
            "region": self.region,
            "name": self.name,
            "voxels": self.voxels,
            **{key: value if np.isfinite(value) else None for key, value in numbers.items()},
            "energy_low": self.energy_low,
            "energy_high": self.energy_high,
            "rank": self.rank,
        }


def region_table(
    maps: NDArray,
    regions: NDArray,
    names: Mapping[int, str],
    *,
    weights: NDArray | None = None,
    rng: np.random.Generator,
    draws: int = 1000,
) -> tuple[RegionRow, ...]:
    """Mean, share of energy, rank and interval of every region.

    Parameters
    ----------
    maps
        Nowhere below zero, shape (m, *spatial): of the methods of one study
        (the interval tells how much the choice of methods matters), or of the
        subjects of a cohort.
    regions
        Values of the atlas on the grid of the maps, shape (*spatial).
    names
        By value.
    weights
        Of the maps, shape (m,); None: all alike.
    rng
        Of the bootstrap.
    draws
        Of the bootstrap.

    Returns
    -------
    One row a name, in their order, and the last for what lies elsewhere.

    Raises
    ------
    AttributionError
        When maps and regions lie on different grids.
    """
    maps = np.asarray(maps, np.float64)
    if maps.shape[1:] != regions.shape:
        raise AttributionError(
            f"maps of shape {maps.shape[1:]} and regions of shape {regions.shape} do not lie on "
            "one grid."
        )
    share = np.full(len(maps), 1 / len(maps)) if weights is None else np.asarray(weights, float)
    values = [*names, 0]
    flat = regions.ravel()
    known = np.isin(flat, list(names))
    place = np.full(flat.size, len(names))  # everything unnamed lies elsewhere
    order = np.argsort(list(names))
    sorted_names = np.array(list(names))[order] if names else np.array([], int)
    place[known] = order[np.searchsorted(sorted_names, flat[known])]
    voxels = np.bincount(place, minlength=len(values))
    sums = np.stack([np.bincount(place, one.ravel(), minlength=len(values)) for one in maps])
    together = share @ sums
    mean = np.divide(together, voxels, out=np.full(len(values), np.nan), where=voxels > 0)
    energy = _shares(together[None])[0]
    low: NDArray | None = None
    high: NDArray | None = None
    if len(maps) > 1:
        drawn = rng.integers(0, len(maps), (draws, len(maps)))
        again = np.einsum("dm,dmr->dr", share[drawn], sums[drawn])
        low, high = np.nanpercentile(_shares(again), (2.5, 97.5), axis=0)
    ranked = [k for k in np.argsort(-np.nan_to_num(mean[:-1], nan=-1)) if voxels[k]]
    rank = {int(k): position for position, k in enumerate(ranked, start=1)}
    return tuple(
        RegionRow(
            region=int(value),
            name=names[value] if value else ELSEWHERE,
            voxels=int(voxels[k]),
            mean=float(mean[k]),
            energy=float(energy[k]),
            energy_low=None if low is None else float(low[k]),
            energy_high=None if high is None else float(high[k]),
            rank=rank.get(k) if value else None,
        )
        for k, value in enumerate(values)
    )


def region_means(maps: NDArray, regions: NDArray, names: Mapping[int, str]) -> NDArray[np.float64]:
    """Mean of every map in every region that has a voxel, shape (m, regions); for `kendalls_w`."""
    there = [value for value in names if (regions == value).any()]
    return np.array([[float(one[regions == value].mean()) for value in there] for one in maps])


def structure_atlas(labels: Labels) -> Atlas:
    """The structures of labels as regions."""
    return Atlas(labels.data, dict(STRUCTURE_NAMES))


def aha_atlas(labels: Labels, *, ed_frame: int | None = None) -> Atlas:
    """Every voxel of the wall by its AHA segment, 1 to 17; 18 the LV and 19 the RV cavity.

    Where the septum lies and which third of the ventricle a slice belongs to is
    read at end-diastole; directions are counted from the centre of the cavity
    in each frame. Wall without a cavity beyond the apical end is the apex.

    Parameters
    ----------
    labels
        Of a short-axis stack.
    ed_frame
        None: the frame with the largest cavity.

    Raises
    ------
    MeasurementError
        When the labels do not show where the septum is.
    """
    data = labels.data
    if ed_frame is None:
        ed_frame = int(voxel_counts(data, LV).sum(1).argmax())
    reference = find_reference(data[ed_frame], labels.geometry)
    rings = find_rings(data[ed_frame], labels.geometry)
    spacing = in_plane_mm(labels.geometry)
    bearing = np.flatnonzero(rings.ring >= 0)
    beyond = np.arange(data.shape[1])
    apical = beyond > bearing[-1] if rings.base_first else beyond < bearing[0]
    found = np.zeros(data.shape, np.uint8)
    for t, z in zip(*np.nonzero((data == MYO).any((2, 3))), strict=True):
        wall = data[t, z] == MYO
        cavity = data[t, z] == LV
        if not cavity.any():
            cavity = data[ed_frame, z] == LV
        ring = int(rings.ring[z])
        if apical[z]:
            found[t, z][wall] = APEX
        elif ring >= 0 and cavity.any():
            along = _along_the_wall_deg(
                wall, cavity, spacing, float(reference.septum_rad[z]), reference.turn
            )
            found[t, z][wall] = _segment(along, ring)
    names = dict(enumerate(AHA_NAMES, start=1))
    for number, structure in enumerate((LV, RV), start=APEX + 1):
        found[data == structure] = number
        names[number] = STRUCTURE_NAMES[structure]
    return Atlas(found, names, (*reference.notes, *rings.notes))


def read_atlas(
    path: Path, names: Path, *, geometry: Geometry, shape: tuple[int, int, int, int]
) -> Atlas:
    """An atlas from NIfTI and a table of its names, on the grid of a scan.

    Parameters
    ----------
    path
        Whole numbers, 3-D or one frame for each of the scan's. On another grid
        it is brought over by the positions in both files, nearest voxel.
    names
        CSV with the columns `value` and `name`.
    geometry, shape
        Of the scan, (t, z, y, x).

    Raises
    ------
    AttributionError
        When it is no atlas, has no names, or does not meet the scan.
    """
    named = _read_names(names)
    values = _on_grid(path, geometry, shape)
    missing = sorted(set(np.unique(values).tolist()) - {0} - set(named))
    if missing:
        raise AttributionError(f"{names.name} has no name for region {missing[0]} of {path.name}.")
    return Atlas(values, named)


def read_mask(
    path: Path, *, geometry: Geometry, shape: tuple[int, int, int, int]
) -> NDArray[np.bool_]:
    """A mask from NIfTI on the grid of a scan, shape (t or 1, z, y, x); arguments as `read_atlas`."""
    return _on_grid(path, geometry, shape) > 0


def _on_grid(path: Path, geometry: Geometry, shape: tuple[int, int, int, int]) -> NDArray[np.int32]:
    if not is_nifti(path):
        raise AttributionError(
            f"{path.name} cannot be laid on the scan; give NIfTI (.nii, .nii.gz)."
        )
    stored = read_nifti(path)
    values = np.rint(stored.data).astype(np.int32)
    if not np.array_equal(values, stored.data):
        raise AttributionError(f"{path.name} holds fractions; regions are whole numbers.")
    if len(values) not in (1, shape[0]):
        raise AttributionError(
            f"{path.name} has {len(values)} frames and the scan {shape[0]}; give one frame."
        )
    ours, theirs = geometry.affine, stored.geometry.affine
    alike = values.shape[1:] == shape[1:]
    if ours is not None and theirs is not None:
        if not (alike and np.allclose(ours, theirs, atol=_SAME_PLACE_MM)):
            values = _brought_over(values, np.linalg.inv(theirs) @ ours, shape[1:])
    elif not alike:
        raise AttributionError(
            f"{path.name} has another grid than the scan, and their positions are unknown."
        )
    if not values.any():
        raise AttributionError(f"nothing of {path.name} lies in the scan.")
    return values


def _read_names(path: Path) -> dict[int, str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AttributionError(f"{path} cannot be read as a CSV table of names.") from error
    if not rows or not {"value", "name"} <= rows[0].keys():
        raise AttributionError(f"{path.name} needs the columns value and name, and a row a region.")
    found = {}
    for line, row in enumerate(rows, start=2):
        try:
            value = int(row["value"])
        except (TypeError, ValueError) as error:
            raise AttributionError(
                f"{path.name}, line {line}: value must be a whole number, not {row['value']!r}."
            ) from error
        if value == 0 or value in found:
            raise AttributionError(
                f"{path.name}, line {line}: value {value} is "
                f"{'no region' if value == 0 else 'there twice'}."
            )
        found[value] = (row["name"] or "").strip() or f"region {value}"
    return found


def _brought_over(values: NDArray, to_atlas: NDArray, shape: tuple[int, ...]) -> NDArray:
    """The nearest region at every voxel of a (z, y, x) grid; `to_atlas` maps (x, y, z, 1)."""
    turn = to_atlas[:3, :3][::-1, ::-1]
    shift = to_atlas[:3, 3][::-1]
    frames = [
        ndimage.affine_transform(
            frame, turn, shift, output_shape=shape, order=0, mode="grid-constant"
        )
        for frame in values
    ]
    return np.stack(frames)


def _along_the_wall_deg(
    wall: NDArray, cavity: NDArray, spacing: tuple[float, float], septum_rad: float, turn: int
) -> NDArray:
    """Angle of each voxel of the wall from the beginning of segment 1, 0 to 360."""
    centre = np.argwhere(cavity).mean(0)
    down, right = ((np.argwhere(wall) - centre) * spacing).T
    from_septum = np.rad2deg(turn * (np.arctan2(down, right) - septum_rad))
    return (_ANTERIOR_FROM_SEPTUM_DEG - from_septum) % 360


def _segment(along_deg: NDArray, ring: int) -> NDArray:
    """AHA number of places along the wall of a basal, mid or apical slice."""
    if ring != APICAL:
        return 1 + len(WALLS) * ring + (along_deg // 60).astype(int)
    # Four segments start 15 degrees earlier, so that the anterior ones share their middle.
    return 1 + 2 * len(WALLS) + (((along_deg + 15) % 360) // 90).astype(int) % len(APICAL_WALLS)


def _shares(sums: NDArray) -> NDArray:
    """Parts of each row's total, NaN for a row of nothing."""
    total = sums.sum(1, keepdims=True)
    return np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)
