"""DICOM folders as entries of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_cardioxai.errors import ScanError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.dicom.frame import Frame
from napari_cardioxai.scans.dicom.group import STACK_SLICES, Group, group_frames
from napari_cardioxai.scans.dicom.header import quiet_pydicom
from napari_cardioxai.scans.dicom.index import FILES_BETWEEN_REPORTS, read_index
from napari_cardioxai.scans.dicom.order import Ordering, order_frames
from napari_cardioxai.scans.dicom.pixels import PictureReader, common_type, display_limits
from napari_cardioxai.scans.entry import Entry
from napari_cardioxai.scans.geometry import LPS_TO_RAS, Geometry
from napari_cardioxai.scans.scan import Kind, Provenance, Scan

UNEQUAL_GAP = 0.02
CONTRAST_MS = 0.5  # echo or inversion times further apart are different contrasts


@dataclass(frozen=True)
class DicomIndex:
    """What `index_dicom` found.

    Attributes
    ----------
    entries
        One per acquisition, by series number.
    plane_normals
        For each entry, unit normal of its slices in LPS+, or None.
    warnings
        Sentences about files whose pictures are lost and objects without pictures.
    """

    entries: tuple[Entry, ...]
    plane_normals: tuple[np.ndarray | None, ...]
    warnings: tuple[str, ...]


def index_dicom(
    files: Sequence[Path], *, source: Path, on_progress: Progress = silent
) -> DicomIndex:
    """Find the acquisitions among files, of which any number may be no DICOM.

    Parameters
    ----------
    files
        Candidates, in any order and of any name.
    source
        What the user opened, for the provenance.
    """
    index = read_index(files, on_progress=on_progress)
    warnings = list(index.lost)
    entries: list[Entry] = []
    normals: list[np.ndarray | None] = []
    for group in group_frames(index.frames):
        if all(f.is_cut for f in group.frames):
            names = dict.fromkeys(f.path.name for f in group.frames)
            warnings += [
                f"{name} is cut short before the end of its picture; export it again."
                for name in names
            ]
            continue
        acquisition = _Acquisition.of(group, source)
        entries.append(acquisition.entry())
        directions = group.frames[0].directions
        normals.append(None if directions is None else np.cross(*directions))
    if index.other_objects:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(index.other_objects.items()))
        warnings.append(f"DICOM objects without pictures were left out: {kinds}.")
    return DicomIndex(tuple(entries), tuple(normals), tuple(warnings))


@dataclass(frozen=True)
class _Acquisition:
    """Ordered frames with the facts of the scan that they make."""

    grid: list[list[Frame | None]]
    scan: Scan  # with empty data

    @classmethod
    def of(cls, group: Group, source: Path) -> _Acquisition:
        slices = group.slices()
        ordering = order_frames(slices)
        geometry, notes = _geometry(slices)
        frames = [f for row in ordering.grid for f in row if f is not None]
        grid = [[None if f is None or f.is_cut else f for f in row] for row in ordering.grid]
        notes = [*group.notes, *ordering.notes, *notes, *_cut_notes(ordering.grid)]
        windows = [window for f in frames if (window := display_limits(f))]
        scan = Scan(
            data=np.empty(0, common_type(f for row in grid for f in row if f is not None)),
            geometry=geometry,
            provenance=Provenance(
                source=source,
                files=tuple(dict.fromkeys(f.path for f in frames)),
                order_rule=ordering.rule,
                warnings=tuple(note[0].upper() + note[1:] for note in notes),
            ),
            kind=_kind(group, ordering),
            name=_name(frames),
            frame_times_ms=ordering.frame_times_ms,
            cycle_ms=ordering.cycle_ms,
            window=tuple(np.median(windows, axis=0).tolist()) if windows else None,
        )
        return cls(grid, scan)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        first = next(f for row in self.grid for f in row if f is not None)
        return (len(self.grid), len(self.grid[0]), *first.shape)

    def entry(self) -> Entry:
        scan = self.scan
        return Entry(
            name=scan.name,
            kind=scan.kind,
            shape=self.shape,
            spacing_mm=scan.geometry.spacing_mm,
            frame_times_ms=scan.frame_times_ms,
            order_rule=scan.provenance.order_rule,
            warnings=scan.provenance.warnings,
            load=self.load,
            middle_slice=self.middle_slice,
        )

    def load(self, on_progress: Progress = silent) -> Scan:
        """Read all pixels; pictures that cannot be decoded are left empty and reported.

        Raises
        ------
        ScanError
            When none of them can be decoded.
        """
        data = np.zeros(self.shape, self.scan.data.dtype)
        places = [
            (f, t, z) for t, row in enumerate(self.grid) for z, f in enumerate(row) if f is not None
        ]
        places.sort(key=lambda place: (str(place[0].path), place[0].number))
        reader = PictureReader()
        failures: list[str] = []
        missing = {
            (t, z) for t, row in enumerate(self.grid) for z, f in enumerate(row) if f is None
        }
        with quiet_pydicom():
            for done, (frame, t, z) in enumerate(places):
                if done % FILES_BETWEEN_REPORTS == 0:
                    on_progress(done, len(places), "reading pictures")
                try:
                    data[t, z] = reader.read(frame)
                except ScanError as error:
                    failures.append(_left_empty(str(error), t, z, self.shape))
                    missing.add((t, z))
                    if len(failures) == len(places):
                        raise
        on_progress(len(places), len(places), "reading pictures")
        provenance = self.scan.provenance
        return replace(
            self.scan,
            data=data,
            missing=tuple(sorted(missing)),
            provenance=replace(provenance, warnings=(*provenance.warnings, *failures)),
        )

    def middle_slice(self) -> np.ndarray:
        """Middle slice of the first frame that is there."""
        middle = self.shape[1] // 2
        column = [row[middle] for row in self.grid if row[middle] is not None]
        frames = column or [f for row in self.grid for f in row if f is not None]
        assert frames[0] is not None
        with quiet_pydicom():
            return PictureReader().read(frames[0])


def _left_empty(sentence: str, t: int, z: int, shape: tuple[int, ...]) -> str:
    return (
        f"{sentence.rstrip('.')}; slice {z + 1} of {shape[1]}, phase {t + 1} of {shape[0]} "
        "is left empty."
    )


def _cut_notes(grid: list[list[Frame | None]]) -> list[str]:
    shape = (len(grid), len(grid[0]))
    return [
        _left_empty(f"the file {f.path.name} is cut short", t, z, shape)
        for t, row in enumerate(grid)
        for z, f in enumerate(row)
        if f is not None and f.is_cut
    ]


# Geometry --------------------------------------------------------------------


def _geometry(slices: list[list[Frame]]) -> tuple[Geometry, list[str]]:
    """Where the slices lie, from positions alone, and sentences about what is odd.

    The distance of a single slice to its neighbours does not exist; its
    thickness stands in, so that a long-axis picture has a depth.
    """
    first = slices[0][0]
    if first.pixel_mm is None:
        return Geometry(None), ["the header gives no pixel size, so nothing can be measured in mm."]
    y_mm, x_mm = first.pixel_mm
    if first.directions is None or any(part[0].position is None for part in slices):
        return (
            Geometry((first.thickness_mm if first.thickness_mm > 0 else 1.0, y_mm, x_mm)),
            ["the header gives no position in the patient."],
        )
    row, column = first.directions
    normal = np.cross(row, column)
    origins = np.array([np.median([f.position for f in part], axis=0) for part in slices])
    depths = origins @ normal
    gaps = np.diff(depths)
    notes: list[str] = []
    if len(gaps):
        low, high = (
            np.percentile(gaps, 50, method="lower"),
            np.percentile(gaps, 50, method="higher"),
        )
        # Half way between a gap and one of a missing slice lies a distance that does not occur.
        z_mm = float(low if high > (1 + UNEQUAL_GAP) * low else (low + high) / 2)
        uneven = np.abs(gaps - z_mm) > UNEQUAL_GAP * z_mm
        notes += [_gap_note(gaps, uneven, z_mm)] if uneven.any() else []
    else:
        uneven = np.array([False])
        z_mm = first.thickness_mm if first.thickness_mm > 0 else 1.0
        if not first.thickness_mm > 0:
            notes.append("the slice has no thickness in the header; 1 mm is assumed.")
    sideways = origins - origins[0] - np.outer(depths - depths[0], normal)
    shift_mm = float(np.linalg.norm(sideways, axis=1).max())
    if shift_mm > max(y_mm, x_mm):
        notes.append(
            f"slices are displaced in their plane by up to {shift_mm:.1f} mm, "
            "which the stack does not show."
        )
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1], lps[:3, 2] = row * x_mm, column * y_mm, normal * z_mm
    lps[:3, 3] = origins[0]
    positions = tuple(float(d - depths[0]) for d in depths) if uneven.any() else None
    return Geometry((z_mm, y_mm, x_mm), LPS_TO_RAS @ lps, positions), notes


def _gap_note(gaps: np.ndarray, uneven: np.ndarray, z_mm: float) -> str:
    places = [
        f"{gaps[k]:.1f} mm between slices {k + 1} and {k + 2}" for k in np.flatnonzero(uneven)
    ]
    named = ", ".join(places[:3]) + (" and elsewhere" if len(places) > 3 else "")
    return f"slice gaps are unequal: {named}, {z_mm:.1f} mm otherwise; a slice may be missing."


# Kind and name ---------------------------------------------------------------


def _kind(group: Group, ordering: Ordering) -> Kind:
    frames, slices = len(ordering.grid), len(ordering.grid[0])
    if group.frames[0].component != "magnitude" or (group.mixed and frames == 1):
        return Kind.OTHER
    if frames > 1:
        if _changes_contrast(ordering) or group.frames[0].position is None:
            return Kind.OTHER
        return Kind.SHORT_AXIS if slices >= STACK_SLICES else Kind.LONG_AXIS
    if slices >= STACK_SLICES:
        return Kind.VOLUME
    return Kind.IMAGE if slices == 1 else Kind.OTHER


def _changes_contrast(ordering: Ordering) -> bool:
    """Whether echo or inversion time differs between the frames of a slice."""
    for column in zip(*ordering.grid, strict=True):
        contrasts = np.array([f.contrast for f in column if f is not None])
        spread = np.nanmax(contrasts, axis=0, initial=-np.inf) - np.nanmin(
            contrasts, axis=0, initial=np.inf
        )
        if (spread[np.isfinite(spread)] > CONTRAST_MS).any():
            return True
    return False


def _name(frames: list[Frame]) -> str:
    """Description, with the first and last series number where several were joined."""
    first = min(frames, key=lambda f: f.series_number if f.series_number >= 0 else np.inf)
    numbers = sorted({f.series_number for f in frames if f.series_number >= 0})
    name = first.name
    if len(numbers) > 1:
        described = re.sub(r" ?\(?[sS]eries \d+\)?$", "", name)
        span = f"series {numbers[0]:.0f} to {numbers[-1]:.0f}"
        name = f"{described} ({span})" if described else span.capitalize()
    component = frames[0].component
    return name if component == "magnitude" else f"{name}, {component}"
