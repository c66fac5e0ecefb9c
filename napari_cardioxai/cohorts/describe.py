"""A cohort before anything is learnt from it: what is in it, and what a model might fall for.

Explanation begins with the data (Liu 2021: explainable methods before
modelling): shares of classes and structures, size and place of the ventricle,
what scanners left in the pictures, concepts and how they go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_cardioxai.cohorts.manifest import (
    CLASS,
    LABEL,
    SITE,
    SPLIT,
    SPLITS,
    TEXTS,
    Manifest,
)
from napari_cardioxai.cohorts.parallel import each_in_order
from napari_cardioxai.cohorts.properties import (
    NAMES,
    NOT_ANATOMY,
    SHARES,
    property_title,
    read_properties,
)
from napari_cardioxai.cohorts.shortcuts import Shortcut, find_shortcuts
from napari_cardioxai.cohorts.threats import CohortWarning, Concept, counted, find_threats
from napari_cardioxai.progress import Progress, silent

FEWEST_PAIRS = 5  # subjects that know both, for a correlation
TRUTH_SUFFIXES = ("_true", "_mask")  # what the phantom knows of its hearts
# Where a recording was made, besides the site.
ORIGINS = (SITE, "scanner", "vendor", "field_strength")
CORRELATED = ("edv_ml", "ef_percent", "heart_rate_bpm")  # beside label and concepts


@dataclass(frozen=True)
class Spread:
    """One property in one group.

    Attributes
    ----------
    by, group
        Column and its value; "" and "all" for everybody.
    property
        Key of `properties.NAMES`.
    count, mean, sd, median, low, high
        Subjects that know it, mean, standard deviation (0 for one), median and
        quartiles.
    """

    by: str
    group: str
    property: str
    count: int
    mean: float
    sd: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class CohortDescription:
    """What is known of a cohort before any modelling.

    Attributes
    ----------
    name
        Of the manifest.
    subjects
        How many.
    splits, label, classes, sites
        Subjects of each; `label` has the keys 0, 1 and blank and is empty without
        such a column.
    missing
        Blank cells of every column.
    properties
        One row a subject, columns the keys of `properties.NAMES` that are known of
        somebody.
    groups
        One row a subject, text columns `class`, `label`, `split` and origins such
        as `site`, as far as the manifest has them.
    spreads
        Every property, over all and in every group of class, label and origin.
    concepts
        In the order of the manifest.
    correlations
        Pearson, over subjects that know both (phi for two concepts), square with
        equal names; NaN where too few do.
    shortcuts
        How well what is no anatomy tells the label, the strongest first.
    warnings
        Grave ones first.
    failed
        Subjects that could not be read, with the reason.
    notes
        What was left out, and why.
    """

    name: str
    subjects: int
    splits: dict[str, int]
    label: dict[str, int]
    classes: dict[str, int]
    sites: dict[str, int]
    missing: dict[str, int]
    properties: pd.DataFrame = field(repr=False)
    groups: pd.DataFrame = field(repr=False)
    spreads: tuple[Spread, ...] = field(repr=False)
    concepts: tuple[Concept, ...]
    correlations: pd.DataFrame = field(repr=False)
    shortcuts: tuple[Shortcut, ...]
    warnings: tuple[CohortWarning, ...]
    failed: dict[str, str]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name, in types that JSON has; NaN is None."""
        correlations = self.correlations.to_numpy()
        return {
            "version": 1,
            "name": self.name,
            "subjects": self.subjects,
            "splits": self.splits,
            "label": self.label,
            "classes": self.classes,
            "sites": self.sites,
            "missing": self.missing,
            "structures": self._structures(),
            "spreads": [asdict(spread) for spread in self.spreads],
            "concepts": [asdict(concept) for concept in self.concepts],
            "correlations": {
                "names": [str(name) for name in self.correlations.columns],
                "values": [[_plain(value) for value in row] for row in correlations],
            },
            "shortcuts": [shortcut.as_json() for shortcut in self.shortcuts],
            "warnings": [asdict(warning) for warning in self.warnings],
            "failed": self.failed,
            "notes": list(self.notes),
            "properties": {
                str(subject): {name: _plain(value) for name, value in row.items()}
                for subject, row in self.properties.to_dict("index").items()
            },
        }

    def as_rows(self) -> list[tuple[str, str, str]]:
        """Name, value and unit of what is printed: counts, and the median of every property."""
        groups = (
            *(("Split", self.splits), ("Label", self.label)),
            *(("Class", self.classes), ("Site", self.sites)),
        )
        rows = [("Subjects", str(self.subjects), "")]
        for title, counts in groups:
            rows += [(f"{title} {name}", str(n), "") for name, n in counts.items() if n]
        for concept in self.concepts:
            known = concept.present + concept.absent
            rows.append((f"Concept {concept.name!r}", f"{concept.present} of {known}", ""))
        for spread in self.spreads:
            if spread.group == "all":
                rows.append((property_title(spread.property), f"{spread.median:.4g}", "median"))
        return rows

    def _structures(self) -> dict[str, float | None]:
        """Mean part of the voxels that each structure has."""
        return {
            name: _plain(self.properties[name].mean()) if name in self.properties else None
            for name in SHARES.values()
        }


def describe(
    manifest: Manifest,
    *,
    label: str = LABEL,
    concepts: Sequence[str] | None = None,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> CohortDescription:
    """Look at a cohort: what is in it, and what threatens.

    Parameters
    ----------
    manifest
        Labels, scans or both are read, on every core.
    label
        Column of what is to be learnt, 0 and 1; without it nothing is said of
        imbalance and shortcuts.
    concepts
        Columns of concepts; by default every free column that holds 0 and 1
        only, the phantom's own truth excepted.
    workers
        Processes; by default one per core.

    Raises
    ------
    CohortError
        When a column is missing or is not 0, 1 or blank.
    Cancelled
        From within `on_progress`.
    """
    subjects = manifest.subjects
    target = _target(manifest, label)
    chosen = _concept_columns(manifest, label) if concepts is None else list(concepts)
    known = pd.DataFrame(
        {name: manifest.binary(name, subjects) for name in chosen}, index=manifest.table.index
    )
    paths = [(manifest.labels_path(s), manifest.scan_path(s)) for s in subjects]
    found = list(
        each_in_order(
            read_properties, paths, what="subjects", workers=workers, on_progress=on_progress
        )
    )
    properties = pd.DataFrame([one.values for one in found], index=manifest.table.index)
    properties = properties[[name for name in NAMES if name in properties]]
    failed = {s: one.failed for s, one in zip(subjects, found, strict=True) if one.failed}
    groups = _groups(manifest, label, target)
    shortcuts = () if target is None else find_shortcuts(_suspects(properties, groups), target)
    described = tuple(_concept(name, known[name].to_numpy(), target) for name in chosen)
    return CohortDescription(
        name=manifest.path.name,
        subjects=len(subjects),
        splits={name: count for name in SPLITS if (count := len(manifest.split(name)))},
        label={} if target is None else counted(target),
        classes=_sizes(groups, CLASS),
        sites=_sizes(groups, SITE),
        missing=missing_cells(manifest),
        properties=properties,
        groups=groups,
        spreads=_spreads(properties, groups),
        concepts=described,
        correlations=_correlations(label, target, known, properties),
        shortcuts=shortcuts,
        warnings=find_threats(label, target, described, properties, shortcuts, failed),
        failed=failed,
        notes=_notes(label, target, shortcuts),
    )


def missing_cells(manifest: Manifest) -> dict[str, int]:
    """Blank cells of every column, in the order of the file."""
    return {str(name): int(count) for name, count in manifest.table.isna().sum().items()}


def _target(manifest: Manifest, label: str) -> NDArray[np.float64] | None:
    """Label of every subject, NaN where blank; None where the cohort has none."""
    if label == LABEL and LABEL not in manifest.table:
        return None
    return manifest.binary(label, manifest.subjects)


def _concept_columns(manifest: Manifest, label: str) -> list[str]:
    columns = []
    for name in map(str, manifest.table.columns):
        if name in (*TEXTS, *ORIGINS, LABEL, label) or name.endswith(TRUTH_SUFFIXES):
            continue
        values = set(manifest.table[name].dropna().unique().tolist())
        if values and values <= {0.0, 1.0}:
            columns.append(name)
    return columns


def _groups(manifest: Manifest, label: str, target: NDArray[np.float64] | None) -> pd.DataFrame:
    """Names of the groups that every subject belongs to, None where unknown."""
    table = manifest.table
    groups = pd.DataFrame(index=table.index)
    if CLASS in table:
        groups[CLASS] = table[CLASS]
    if target is not None:
        groups[label] = pd.Series(target, index=table.index).map({0.0: "0", 1.0: "1"})
    if SPLIT in table:
        groups[SPLIT] = table[SPLIT]
    for name in ORIGINS:
        if name in table and table[name].notna().any():
            texts = table[name].map(lambda cell: f"{cell:g}" if isinstance(cell, float) else cell)
            groups[name] = texts.where(table[name].notna(), None)
    return groups.astype(object)


def _suspects(properties: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """What is not anatomy: numbers, and origins as text."""
    numbers = properties[[name for name in NOT_ANATOMY if name in properties]]
    origins = groups[[name for name in ORIGINS if name in groups]]
    return pd.concat([origins, numbers], axis=1)


def _sizes(groups: pd.DataFrame, column: str) -> dict[str, int]:
    if column not in groups:
        return {}
    counts = groups[column].dropna().value_counts(sort=False)
    return {str(name): int(count) for name, count in counts.items()}


def _concept(name: str, values: NDArray[np.float64], target: NDArray[np.float64] | None) -> Concept:
    by_label: list[float | None] = [None, None]
    if target is not None:
        for which in (0, 1):
            there = values[(target == which) & np.isfinite(values)]
            by_label[which] = float(there.mean()) if there.size else None
    counts = counted(values)
    return Concept(name, counts["1"], counts["0"], counts["blank"], (by_label[0], by_label[1]))


def _spreads(properties: pd.DataFrame, groups: pd.DataFrame) -> tuple[Spread, ...]:
    everybody = pd.Series("all", index=properties.index)
    columns = [("", everybody), *((str(n), groups[n]) for n in groups if n != SPLIT)]
    found = []
    for by, column in columns:
        for group in sorted(column.dropna().unique()):
            rows = properties[column == group]
            for name in properties:
                values = rows[name].dropna().to_numpy(float)
                if not values.size:
                    continue
                low, median, high = np.percentile(values, (25, 50, 75)).tolist()
                sd = float(values.std(ddof=1)) if values.size > 1 else 0.0
                mean = float(values.mean())
                found.append(
                    Spread(by, str(group), str(name), values.size, mean, sd, median, low, high)
                )
    return tuple(found)


def _correlations(
    label: str,
    target: NDArray[np.float64] | None,
    concepts: pd.DataFrame,
    properties: pd.DataFrame,
) -> pd.DataFrame:
    table = concepts.copy()
    if target is not None:
        table.insert(0, label, target, allow_duplicates=True)
    for name in CORRELATED:
        if name in properties:
            table[name] = properties[name]
    varying = [name for name in table if table[name].nunique() > 1]
    return table[varying].corr(min_periods=FEWEST_PAIRS)


def _notes(
    label: str, target: NDArray[np.float64] | None, shortcuts: Sequence[Shortcut]
) -> tuple[str, ...]:
    if target is None:
        return (f"There is no column {label!r}, so imbalance and shortcuts were not looked for.",)
    if not shortcuts:
        why = "that takes five subjects of each label, and properties that vary"
        return (f"Shortcuts were not looked for: {why}.",)
    return ()


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
