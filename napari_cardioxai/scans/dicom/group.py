"""Which DICOM pictures belong to one acquisition.

A series may hold several planes, matrices, and both halves of a phase-contrast
measurement; a short-axis stack may be spread over as many series as it has
slices. Series numbers say little; geometry decides.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from napari_cardioxai.scans.dicom.frame import Frame
from napari_cardioxai.scans.dicom.order import CINE_FRAMES

SAME_PLANE_COSINE = np.cos(np.radians(1.0))
SAME_PIXEL = 0.002  # relative difference of pixel spacings
SAME_POSITION_MM = 0.1
STACK_SLICES = 3  # parallel planes that make a stack
MANY_PICTURES = 20  # that cannot all be series of one picture
# Prospective triggering gives neighbouring slices different numbers of phases.
SIMILAR_FRAME_COUNTS = 1.35
NOT_CINE_WORDS = frozenset(
    [
        *(
            "loc",
            "localizer",
            "localiser",
            "localizers",
            "localisers",
            "scout",
            "survey",
            "calibration",
        ),
        *(
            "molli",
            "shmolli",
            "t1",
            "t2",
            "t1map",
            "t2map",
            "map",
            "mapping",
            "haste",
            "tirm",
            "stir",
        ),
        *(
            "dense",
            "tag",
            "tagging",
            "grid",
            "flow",
            "venc",
            "mag",
            "magn",
            "psir",
            "lge",
            "delayed",
        ),
        *("de", "perf", "perfusion"),
    ]
)


@dataclass
class Group:
    """Pictures of one acquisition, in no order yet.

    Attributes
    ----------
    notes
        Sentences about how it was put together.
    mixed
        Whether its series held pictures of several planes.
    """

    frames: list[Frame]
    notes: list[str] = field(default_factory=list)
    mixed: bool = False

    def slices(self) -> list[list[Frame]]:
        """Frames by position along the slice normal, ascending; one slice without positions."""
        first = self.frames[0]
        if first.directions is None or any(f.position is None for f in self.frames):
            return [list(self.frames)]
        normal = np.cross(*first.directions)
        depths = np.array([f.position for f in self.frames]) @ normal
        order = np.argsort(depths, kind="stable")
        starts = np.flatnonzero(np.diff(depths[order]) > SAME_POSITION_MM) + 1
        return [[self.frames[k] for k in part] for part in np.split(order, starts)]

    @property
    def number(self) -> float:
        """The lowest series number, infinite when there is none."""
        return min((f.series_number for f in self.frames if f.series_number >= 0), default=np.inf)


def group_frames(frames: Iterable[Frame]) -> list[Group]:
    """Sort pictures into acquisitions.

    Returns
    -------
    By series number; each with one plane direction, matrix, pixel spacing and component.
    """
    by_series = _by_series(list(frames))
    groups = [group for series in by_series.values() for group in _split_series(series)]
    references = _trusted_references(by_series.values())
    merged: list[Group] = []
    for alike in _alike_groups(groups, references):
        merged += _merge_slices(alike)
    return sorted(merged, key=lambda group: group.number)


def _by_series(frames: list[Frame]) -> dict[tuple[str, ...], list[Frame]]:
    """Pictures by series; by its number and name where every picture has identifiers of its own.

    Some anonymisers draw new identifiers for every file.
    """
    keys: list[Callable[[Frame], tuple[str, ...]]] = [
        lambda f: (f.study, f.series),
        lambda f: (f.study, str(f.series_number), f.name),
        lambda f: (str(f.series_number), f.name),
    ]
    for key in keys:
        by_series: dict[tuple[str, ...], list[Frame]] = defaultdict(list)
        for frame in frames:
            by_series[key(frame)].append(frame)
        if len(by_series) < len(frames) or len(frames) < MANY_PICTURES:
            return by_series
    return {(f.study, f.series): [f] for f in frames}


# One series, several acquisitions --------------------------------------------


def _is_placed(frame: Frame) -> bool:
    return frame.directions is not None and frame.position is not None


def _same_plane(a: Frame, b: Frame) -> bool:
    if not _is_placed(a) or not _is_placed(b):
        return _is_placed(a) == _is_placed(b)
    assert a.directions is not None and b.directions is not None
    return bool(np.sum(a.directions * b.directions, axis=1).min() >= SAME_PLANE_COSINE)


def _same_grid(a: Frame, b: Frame) -> bool:
    if a.shape != b.shape or (a.pixel_mm is None) != (b.pixel_mm is None):
        return False
    if a.pixel_mm is None or b.pixel_mm is None:
        return True
    return bool(np.allclose(a.pixel_mm, b.pixel_mm, rtol=SAME_PIXEL, atol=0))


def _clusters(frames: list[Frame]) -> list[list[Frame]]:
    """Frames that agree with the first of their cluster in plane, grid and component."""
    clusters: list[list[Frame]] = []
    known: dict[tuple, int] = {}
    for frame in frames:
        directions = None if frame.directions is None else frame.directions.tobytes()
        directions = directions if _is_placed(frame) else None
        key = (frame.component, frame.shape, frame.pixel_mm, directions)
        if key not in known:
            known[key] = next(
                (
                    k
                    for k, cluster in enumerate(clusters)
                    if cluster[0].component == frame.component
                    and _same_grid(cluster[0], frame)
                    and _same_plane(cluster[0], frame)
                ),
                len(clusters),
            )
            if known[key] == len(clusters):
                clusters.append([])
        clusters[known[key]].append(frame)
    return clusters


def _stills_apart(frames: list[Frame]) -> list[list[Frame]]:
    """Separate a stack of stills from the cine slices that lie parallel to it."""
    slices = Group(frames).slices()
    stills = [f for part in slices if len(part) == 1 for f in part]
    cine = [f for part in slices if len(part) >= CINE_FRAMES for f in part]
    few_moving = len(stills) >= sum(len(part) >= CINE_FRAMES for part in slices)
    if stills and cine and few_moving and len(stills) + len(cine) == len(frames):
        return [stills, cine]
    return [frames]


def _split_series(series: list[Frame]) -> list[Group]:
    groups = [Group(part) for cluster in _clusters(series) for part in _stills_apart(cluster)]
    for group in groups:
        others = [other for other in groups if other is not group]
        group.mixed = any(not _same_plane(group.frames[0], o.frames[0]) for o in others)
        rivals = [
            other
            for other in others
            if _same_plane(group.frames[0], other.frames[0])
            and not _same_grid(group.frames[0], other.frames[0])
            and group.frames[0].component == other.frames[0].component
        ]
        for rival in rivals:
            if len(rival.frames) <= len(group.frames):
                group.notes.append(_grid_note(rival.frames, group.frames))
    return groups


def _grid_note(few: list[Frame], many: list[Frame]) -> str:
    def described(frame: Frame) -> str:
        grid = " x ".join(map(str, frame.shape))
        return grid + (f" at {frame.pixel_mm[0]:.4g} mm" if frame.pixel_mm else "")

    return (
        f"{len(few)} of {len(few) + len(many)} pictures of the series have another grid "
        f"({described(few[0])} instead of {described(many[0])}) and are listed on their own."
    )


# Several series, one acquisition ---------------------------------------------


def _trusted_references(all_series: Iterable[list[Frame]]) -> bool:
    """Whether FrameOfReferenceUID can be believed.

    Anonymisers give every file or every series its own, which says nothing;
    one that is shared by series is believed.
    """
    per_series = [{f.reference for f in series} for series in all_series]
    if any(len(references) > 1 for references in per_series):
        return False
    return len(set().union(*per_series)) < len(per_series) if per_series else False


def _alike_groups(groups: list[Group], references: bool) -> list[list[Group]]:
    """Groups that could be parts of one stack."""
    alike: list[list[Group]] = []
    for group in groups:
        first = group.frames[0]
        for candidates in alike:
            other = candidates[0].frames[0]
            if (
                _is_placed(first)
                and first.study == other.study
                and first.component == other.component
                and (first.reference == other.reference or not references)
                and _same_grid(first, other)
                and _same_plane(first, other)
                and not_cine_words(first.name) == not_cine_words(other.name)
            ):
                candidates.append(group)
                break
        else:
            alike.append([group])
    return alike


def words_of(name: str) -> frozenset[str]:
    """Words of a series name, lower case."""
    return frozenset(re.split(r"[^a-z0-9]+", name.lower()))


def not_cine_words(name: str) -> frozenset[str]:
    """Words of a series name that speak against a cine."""
    return words_of(name) & NOT_CINE_WORDS


def _merge_slices(groups: list[Group]) -> list[Group]:
    """Join series of one or two slices each into stacks; whole stacks stay as they are."""
    done: list[Group] = []
    left: list[Group] = []
    by_stem: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        if len(group.slices()) >= STACK_SLICES:
            done.append(group)
        elif group.mixed and _frame_count(group) == 1:
            left.append(group)  # a localiser
        else:
            by_stem[_stem(group.frames[0].name)].append(group)
    for same_name in by_stem.values():
        stacks, rest = _stacks(same_name)
        done += stacks
        left += rest
    # Cines may be named after their slice; stills of different names are different things.
    stacks, rest = _stacks([g for g in left if _frame_count(g) > 1])
    return _repeats_noted(done + stacks) + rest + [g for g in left if _frame_count(g) == 1]


def _stem(name: str) -> str:
    """Series name without numbers, such as those of slices."""
    return re.sub(r"[^a-z]+", " ", re.sub(r"\(series \d+\)$", "", name).lower()).strip()


def _frame_count(group: Group) -> int:
    return max(len(frames) for frames in group.slices())


def _depths(group: Group) -> list[float]:
    """Position of each slice along the normal in mm; empty when the source does not say."""
    directions = group.frames[0].directions
    positions = [frames[0].position for frames in group.slices()]
    if directions is None or any(p is None for p in positions):
        return []
    return [float(depth) for depth in np.array(positions) @ np.cross(*directions)]


def _stacks(parts: list[Group]) -> tuple[list[Group], list[Group]]:
    """Stacks of three or more slices, the latest repeat of each, and what is left over."""
    stacks: list[Group] = []
    rest = [p for p in parts if not _depths(p)]
    parts = [p for p in parts if _depths(p)]
    while parts:
        usual = Counter(_frame_count(p) for p in parts).most_common(1)[0][0]
        alike = [
            p
            for p in parts
            if max(usual, _frame_count(p)) <= SIMILAR_FRAME_COUNTS * min(usual, _frame_count(p))
        ]
        layer: list[Group] = []
        taken: list[float] = []
        for part in sorted(alike, key=_when, reverse=True):
            depths = _depths(part)
            if all(abs(d - t) > SAME_POSITION_MM for d in depths for t in taken):
                layer.append(part)
                taken += depths
        picked = {id(part) for part in layer}
        parts = [p for p in parts if id(p) not in picked]
        merged = Group([f for part in layer for f in part.frames])
        if len(merged.slices()) >= STACK_SLICES:
            merged.notes = [note for part in layer for note in part.notes]
            stacks.append(merged)
        else:
            rest += layer
    return stacks, rest


def _when(group: Group) -> tuple[float, float]:
    """What tells a repeat from the first try."""
    taken = max(f.keys.get("AcquisitionTime", 0.0) for f in group.frames)
    return taken, max(f.series_number if f.series_number >= 0 else 0.0 for f in group.frames)


def _repeats_noted(stacks: list[Group]) -> list[Group]:
    """Say of stacks that share slices which of them is the later."""
    for stack in stacks:
        for other in stacks:
            if stack is other or _when(stack) >= _when(other):
                continue
            near = np.abs(np.subtract.outer(_depths(stack), _depths(other))) <= SAME_POSITION_MM
            if near.any() and _frame_count(stack) > 1 and _frame_count(other) > 1:
                stack.notes.append(
                    f"{int(near.any(axis=1).sum())} of its slices were acquired again later, "
                    f"see {other.frames[0].name}."
                )
    return stacks
