"""Whether a cohort can be used, without using it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_cardioxai.cohorts.describe import missing_cells
from napari_cardioxai.cohorts.manifest import CLASS, LABEL, SPLITS, Manifest
from napari_cardioxai.cohorts.normalisation import NormalisationSpec
from napari_cardioxai.cohorts.parallel import each_in_order
from napari_cardioxai.cohorts.sequences import load_sequence
from napari_cardioxai.errors import CardioxaiError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.catalogue import find_series


@dataclass(frozen=True)
class CohortCheck:
    """What a manifest holds and which of its subjects can be used.

    Attributes
    ----------
    name
        Of the manifest.
    spec
        Normalisation that was tried.
    subjects, usable
        How many there are, and of how many a sequence can be made.
    splits, label, classes
        Subjects of each; `label` and `classes` are empty without such a column.
    missing
        Blank cells of every column.
    failed
        Every subject that cannot be used, and the reason.
    """

    name: str
    spec: NormalisationSpec
    subjects: int
    usable: int
    splits: dict[str, int]
    label: dict[str, int]
    classes: dict[str, int]
    missing: dict[str, int]
    failed: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name, in types that JSON has."""
        return asdict(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each subject that cannot be used."""
        return tuple(f"{subject}: {reason}" for subject, reason in self.failed.items())

    def as_rows(self) -> list[tuple[str, str, str]]:
        """Name, value and unit of what is printed; of the columns those with blank cells."""
        groups = (("Split", self.splits), ("Label", self.label), ("Class", self.classes))
        blank = {name: count for name, count in self.missing.items() if count}
        return [
            ("Subjects", str(self.subjects), ""),
            ("Usable", str(self.usable), ""),
            *(
                (f"{title} {name}", str(count), "")
                for title, counts in groups
                for name, count in counts.items()
            ),
            *((f"Blank in {name!r}", str(count), "") for name, count in blank.items()),
        ]


def check_cohort(
    manifest: Manifest,
    spec: NormalisationSpec | None = None,
    *,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> CohortCheck:
    """Try every subject as training would, and list those that it would leave out.

    Labels are read, judged and normalised; of scans the headers are read.

    Parameters
    ----------
    manifest
        As read, so sound in itself.
    spec
        What sequences shall be like; the default ones when None.
    workers
        Processes; by default one per core.

    Raises
    ------
    Cancelled
        From within `on_progress`.
    """
    spec = spec or NormalisationSpec()
    subjects = manifest.subjects
    tasks = [(manifest.labels_path(s), manifest.scan_path(s), spec) for s in subjects]
    reasons = each_in_order(
        _why_unusable, tasks, what="subjects", workers=workers, on_progress=on_progress
    )
    failed = {s: reason for s, reason in zip(subjects, reasons, strict=True) if reason}
    return CohortCheck(
        name=manifest.path.name,
        spec=spec,
        subjects=len(subjects),
        usable=len(subjects) - len(failed),
        splits={name: count for name in SPLITS if (count := len(manifest.split(name)))},
        label=_counts(manifest, LABEL),
        classes=_counts(manifest, CLASS),
        missing=missing_cells(manifest),
        failed=failed,
    )


def _why_unusable(task: tuple[Path | None, Path | None, NormalisationSpec]) -> str | None:
    labels, scan, spec = task
    if scan is not None:
        try:
            find_series(scan)
        except CardioxaiError as error:
            return str(error)
    sequence = load_sequence(labels, spec)
    return sequence if isinstance(sequence, str) else None


def _counts(manifest: Manifest, column: str) -> dict[str, int]:
    if column not in manifest.table:
        return {}
    counts = manifest.table[column].value_counts(sort=False)
    named = {f"{n:g}" if isinstance(n, float) else str(n): int(c) for n, c in counts.items()}
    blank = int(manifest.table[column].isna().sum())
    return dict(sorted(named.items())) | ({"blank": blank} if blank else {})
