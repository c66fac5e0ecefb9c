"""A group that a person has drawn a line around: what its hearts have in common."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.cohorts.manifest import PATHS, SUBJECT, Manifest
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.files import replacing
from napari_cardioxai.maps.subjects import MapSubjects
from napari_cardioxai.progress import Progress, silent

if TYPE_CHECKING:  # torch comes with them
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.concepts.biomarkers import Ruler
    from napari_cardioxai.concepts.cohort import ConceptCohort
    from napari_cardioxai.concepts.significance import Tcav
    from napari_cardioxai.concepts.walk import Walk


def inside(points: NDArray, outline: ArrayLike) -> NDArray[np.bool_]:
    """Which points lie within a closed line.

    Parameters
    ----------
    points
        Shape (n, 2).
    outline
        Its corners, shape (m, 2); fewer than three enclose nothing.
    """
    from matplotlib.path import Path as Outline

    corners = np.asarray(outline, float)
    if len(corners) < 3:
        return np.zeros(len(points), bool)
    closed = Outline(np.vstack([corners, corners[:1]]), closed=True)
    return np.asarray(closed.contains_points(points), bool)


# A concept of one's own --------------------------------------------------------------------


@dataclass(frozen=True)
class GroupConcept:
    """A concept that a group stands for.

    Attributes
    ----------
    walk
        Along its direction in the latents.
    tcav
        Whether the decision depends on it.
    """

    walk: Walk
    tcav: Tcav

    @property
    def name(self) -> str:
        """As the person called it."""
        return self.walk.direction.concept.name

    @property
    def row(self) -> dict[str, Any]:
        """As a row of a concept book; it was not walked on a cohort."""
        from napari_cardioxai.concepts.table import ConceptRow

        direction = self.walk.direction
        return ConceptRow(
            self.tcav, direction.holdout, direction.holdout_name, float("nan"), None
        ).as_json()

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        found, direction = self.tcav, self.walk.direction
        counts = f"{direction.subjects} subjects, {direction.holdout_name} {direction.holdout}"
        matters = "the decision depends on it" if found.p_holm < 0.05 else "no more than by chance"
        return (
            f"“{self.name}”: TCAV {found.score}, sensitivity {found.sensitivity.value:+.2f} per "
            f"standard deviation, p {found.p_holm:.3f}: {matters}. Direction from {counts}; tested "
            "on the subjects of the map."
        )


def make_concept(
    classifier: LatentClassifier,
    hearts: ConceptCohort,
    name: str,
    positive: Sequence[str],
    negative: Sequence[str] | None = None,
    *,
    seed: int = 0,
    on_progress: Progress = silent,
) -> GroupConcept:
    """Find the direction of a group in the latents, and test whether the decision uses it.

    Parameters
    ----------
    classifier, hearts
        The model, and everybody on the map.
    name
        Of the concept.
    positive, negative
        Subjects with it and without; by default everybody else is without.
    seed
        Of resampling and random sets.
    on_progress
        May raise `Cancelled`.

    Raises
    ------
    CohortError
        When the name is blank, or either side is too small.
    """
    from napari_cardioxai.concepts.cloud import fit_cloud
    from napari_cardioxai.concepts.directions import find_direction
    from napari_cardioxai.concepts.fitting import LINEAR, PATTERN
    from napari_cardioxai.concepts.layers import CONCEPT_LAYER, LATENT, read_layer
    from napari_cardioxai.concepts.named import Concept
    from napari_cardioxai.concepts.samples import collected
    from napari_cardioxai.concepts.significance import corrected, test_concepts
    from napari_cardioxai.concepts.walk import STRAIGHT, Walk

    if not name.strip():
        raise CohortError("a concept needs a name.")
    sets = collected(Concept(name.strip()), hearts.subjects, positive, negative)
    rng = np.random.default_rng(seed)
    on_progress(0, 3, f"direction of {name}")
    reading = read_layer(classifier, hearts.latent, LATENT)
    direction = find_direction(reading, sets, PATTERN, rng=rng)
    on_progress(1, 3, "where the cohort lies")
    cloud = fit_cloud(hearts.latent, rng=rng)
    on_progress(2, 3, f"testing {name}")
    layer = read_layer(classifier, hearts.latent, CONCEPT_LAYER)
    tested = test_concepts(layer, layer, [sets], kinds=(LINEAR,), rng=rng, t_test_runs=0)
    on_progress(3, 3, f"testing {name}")
    return GroupConcept(Walk(classifier, direction, STRAIGHT, cloud), corrected(tested)[0])


def judged_together(concepts: Mapping[str, GroupConcept]) -> dict[str, GroupConcept]:
    """The same concepts, p corrected by Holm over all of them: whoever tries many finds some."""
    from napari_cardioxai.concepts.significance import corrected

    tested = corrected([made.tcav for made in concepts.values()])
    return {
        name: replace(made, tcav=tcav)
        for (name, made), tcav in zip(concepts.items(), tested, strict=True)
    }


# The mean heart ----------------------------------------------------------------------------


@dataclass(frozen=True)
class MeanHeart:
    """The heart that a model draws from the mean of a group's latents.

    Attributes
    ----------
    name
        Of the group.
    count
        Of its subjects.
    labels
        The beating heart on the grid of the model's sequences, with the group's
        median slice distance and clock.
    biomarkers
        Measured on it, by key; NaN where not measurable.
    probability
        Of the model's primary class.
    """

    name: str
    count: int
    labels: Labels
    biomarkers: dict[str, float]
    probability: float

    @property
    def sentence(self) -> str:
        """Biomarkers and the decision in words."""
        from napari_cardioxai.concepts.biomarkers import BIOMARKERS

        shown = [BIOMARKERS[key] for key in ("ef_percent", "per_edv_s", "pfr_edv_s")]
        known = [one for one in shown if np.isfinite(self.biomarkers[one.key])]
        parts = [f"{one.name} {one.text(self.biomarkers[one.key])} {one.unit}" for one in known]
        return f"{self.name} ({self.count}): {', '.join(parts)}, probability {self.probability:.2f}"


def mean_heart(
    classifier: LatentClassifier, hearts: ConceptCohort, rows: ArrayLike, *, name: str
) -> MeanHeart:
    """Decode the mean latents of a group, as Puyol-Antón et al. 2020 draw their mean hearts.

    Parameters
    ----------
    classifier, hearts
        The model, and everybody on the map.
    rows
        Who is in the group.
    name
        For people.

    Raises
    ------
    CohortError
        When nobody is in it.
    BundleError
        When the model has no decoder of labels.
    """
    from napari_cardioxai.concepts.biomarkers import measure_cycle

    chosen = np.asarray(rows, np.intp)
    if not len(chosen):
        raise CohortError("nobody is in the group; draw a line around some points first.")
    if not classifier.network.has_decoder or classifier.network.reads != "labels":
        raise BundleError(f"{classifier.card.name} has no decoder, so it cannot draw a mean heart.")
    latent = hearts.latent[chosen].mean(0, dtype=np.float64)[None].astype(np.float32)
    cycle = classifier.decode(latent)[0]
    ruler = typical_ruler([hearts.rulers[row] for row in chosen])
    return MeanHeart(
        name,
        len(chosen),
        ruler.labels(cycle),
        measure_cycle(cycle, ruler),
        float(classifier.decide(latent).probability[0]),
    )


def typical_ruler(rulers: Sequence[Ruler]) -> Ruler:
    """Median slice distance and clock of several sequences: a mean heart has none of its own."""
    from napari_cardioxai.concepts.biomarkers import Ruler
    from napari_cardioxai.scans.geometry import Geometry

    spacing = np.median([one.geometry.spacing_mm for one in rulers], axis=0)
    timed = [one for one in rulers if one.frame_times_ms is not None]
    times = np.median([one.frame_times_ms for one in timed], axis=0) if timed else None
    cycles = [one.cycle_ms for one in rulers if one.cycle_ms is not None]
    z, y, x = (float(step) for step in spacing)
    return Ruler(Geometry((z, y, x)), times, float(np.median(cycles)) if cycles else None)


def line_across(labels: Labels) -> tuple[int, tuple[float, float], tuple[float, float]] | None:
    """A line through the septum and the opposite wall: slice, start and end in pixels (y, x).

    From within the right ventricle through the middle of the left one, in the middle
    slice at the first frame; None where either is missing.
    """
    index = labels.data.shape[1] // 2
    picture = labels.data[0, index]
    if not (picture == 1).any() or not (picture == 3).any():
        return None
    lv, rv = (np.argwhere(picture == value).mean(0) for value in (1, 3))
    way = (lv - rv) / np.linalg.norm(lv - rv)
    muscle = (np.argwhere(np.isin(picture, (1, 2))) - lv) @ way
    start, end = lv + way * (muscle.min() - 8), lv + way * (muscle.max() + 4)
    return index, (float(start[0]), float(start[1])), (float(end[0]), float(end[1]))


# Tags --------------------------------------------------------------------------------------


def write_tagged(path: Path, subjects: MapSubjects, group: Sequence[str], *, column: str) -> Path:
    """Write a copy of the manifest with a column that says who is in a group.

    1 for the group, 0 for the others on the map, blank for subjects that are
    not on it.

    Parameters
    ----------
    path
        CSV file; paths in it are made absolute when it lies in another folder.
    subjects
        Everybody on the map.
    group
        Names of those in it.
    column
        New name.

    Raises
    ------
    CohortError
        When the name is blank or taken, or the copy would replace the manifest.
    OutputError
        When it cannot be written.
    """
    manifest, name, path = subjects.manifest, column.strip(), Path(path).resolve()
    if not name:
        raise CohortError("a column needs a name.")
    if name == SUBJECT or name in manifest.table.columns:
        raise CohortError(f"{manifest.path.name} has a column {name!r} already; give another name.")
    if path == manifest.path:
        raise CohortError(f"{path.name} is the manifest itself; save the copy under another name.")
    chosen, there = set(group), set(subjects.subjects)
    rows = _rows(manifest, keep_paths=path.parent == manifest.path.parent)
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([SUBJECT, *map(str, manifest.table.columns), name])
        for subject, cells in zip(manifest.subjects, rows, strict=True):
            tag = "" if subject not in there else str(int(subject in chosen))
            writer.writerow([subject, *cells, tag])
    return path


def _rows(manifest: Manifest, *, keep_paths: bool) -> list[list[str]]:
    """Cells of every subject as text, whole numbers without a point."""
    table: pd.DataFrame = manifest.table
    rows = []
    for subject, cells in zip(manifest.subjects, table.to_numpy(object), strict=True):
        texts = []
        for column, cell in zip(table.columns, cells, strict=True):
            if column in PATHS and not keep_paths:
                where = manifest.labels_path if column == PATHS[0] else manifest.scan_path
                cell = where(subject)
            texts.append(_text(cell))
        rows.append(texts)
    return rows


def _text(cell: object) -> str:
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
