"""What a quality check found, and what a reviewer said about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from napari_cardioxai.errors import CardioxaiError
from napari_cardioxai.files import replacing

Kind = Literal["technical", "physiology"]
Severity = Literal["info", "warning"]

REPORT_VERSION = 1
OVERRIDES_VERSION = 1
OVERRIDES_MARK = "napari-cardioxai quality overrides"


class QualityError(CardioxaiError):
    """Overrides that cannot be read or that say too little."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Override:
    """A reviewer's decision that a finding is no fault.

    Attributes
    ----------
    rule
        Key of the rule.
    slice, frame
        Where, counted from 0; None for anywhere.
    reason
        Why; never empty.
    when
        Moment of the decision, ISO 8601; now unless given.
    structure
        Label value that it is about; None for any.
    """

    rule: str
    slice: int | None
    frame: int | None
    reason: str
    when: str = field(default_factory=_now)
    structure: int | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise QualityError(f"Overruling {self.rule!r} needs a reason; say why it is no fault.")

    def covers(self, finding: Finding) -> bool:
        """Whether this decision is about the finding."""
        return self.rule == finding.rule and all(
            mine is None or mine == its
            for mine, its in (
                (self.slice, finding.slice),
                (self.frame, finding.frame),
                (self.structure, finding.structure),
            )
        )


@dataclass(frozen=True)
class Finding:
    """What one rule measured at the place where it is worst.

    Attributes
    ----------
    rule
        Key of the rule.
    kind
        "technical" for faults of images and labels, "physiology" for hearts
        that are unusual: the two are never mixed.
    severity
        "info" or "warning"; what it weighs if it is tripped.
    value, threshold, unit
        Measured, allowed, and in what; None where there is no number.
    slice, frame
        Where to look, counted from 0; None when it is about all of them.
    sentence
        The same in words, where slices and frames count from 1.
    passed
        Whether the value is as it should be.
    structure
        Label value that it is about, or None.
    overruled
        The reviewer's decision, or None.
    """

    rule: str
    kind: Kind
    severity: Severity
    value: float | None
    threshold: float | None
    unit: str
    slice: int | None
    frame: int | None
    sentence: str
    passed: bool
    structure: int | None = None
    overruled: Override | None = None

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name, in types that JSON has."""
        entry = asdict(self)
        if self.overruled is not None:
            entry["overruled"] = {"reason": self.overruled.reason, "when": self.overruled.when}
        return entry


@dataclass(frozen=True)
class NotJudged:
    """A rule that these labels or this scan do not allow to be judged.

    Attributes
    ----------
    rule
        Key of the rule.
    reason
        Why not, in one sentence.
    """

    rule: str
    reason: str


@dataclass(frozen=True)
class QualityReport:
    """Outcome of every rule.

    Attributes
    ----------
    findings
        What was tripped, warnings first; overruled ones stay among them.
    passed
        One finding for each rule that was judged and not tripped.
    not_applicable
        Rules that could not be judged, with the reason.
    overrides
        All decisions of the reviewer, those about nothing found now included.
    """

    findings: tuple[Finding, ...]
    passed: tuple[Finding, ...]
    not_applicable: tuple[NotJudged, ...]
    overrides: tuple[Override, ...] = ()

    @property
    def open(self) -> tuple[Finding, ...]:
        """Findings that no reviewer has overruled."""
        return tuple(finding for finding in self.findings if finding.overruled is None)

    def with_overrides(self, overrides: Iterable[Override]) -> QualityReport:
        """The same findings, those that an override covers marked with it.

        Earlier overrides are replaced, so that taking one back is giving the
        others; where several cover a finding, the last one counts.
        """
        decisions = tuple(overrides)

        def marked(finding: Finding) -> Finding:
            about = [decision for decision in decisions if decision.covers(finding)]
            return replace(finding, overruled=about[-1] if about else None)

        return replace(self, findings=tuple(map(marked, self.findings)), overrides=decisions)

    def as_json(self) -> dict[str, Any]:
        """What `measure --json` prints under `quality`; slices and frames count from 0."""
        return {
            "version": REPORT_VERSION,
            "open_warnings": sum(f.severity == "warning" for f in self.open),
            "findings": [finding.as_json() for finding in self.findings],
            "passed": [finding.as_json() for finding in self.passed],
            "not_applicable": [asdict(left_out) for left_out in self.not_applicable],
            "overrides": [asdict(override) for override in self.overrides],
        }


def overrides_path(labels: Path) -> Path:
    """Where a reviewer's overrides lie beside a label file: `heart.nii.gz`, `heart.quality.json`."""
    stem = labels.name
    for ending in (".gz", ".nii", ".png"):
        stem = stem.removesuffix(ending)
    return labels.with_name(f"{stem}.quality.json")


def write_overrides(path: Path, overrides: Sequence[Override]) -> None:
    """Keep a reviewer's decisions beside the labels; `read_overrides` is the inverse.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    content = {
        "what": OVERRIDES_MARK,
        "version": OVERRIDES_VERSION,
        "overrides": [asdict(override) for override in overrides],
    }
    with replacing(path) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_overrides(path: Path) -> tuple[Override, ...]:
    """Read what `write_overrides` wrote; no file means no decisions.

    Raises
    ------
    QualityError
        When the file is something else or was written by a newer version.
    """
    if not path.exists():
        return ()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ours = content["what"] == OVERRIDES_MARK
        version = int(content["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise QualityError(
            f"{path.name} cannot be read as quality overrides; repair or remove it."
        ) from error
    if not ours:
        raise QualityError(f"{path.name} holds no quality overrides; repair or remove it.")
    if version > OVERRIDES_VERSION:
        raise QualityError(
            f"{path.name} has version {version}, this program reads up to "
            f"{OVERRIDES_VERSION}; update napari-cardioxai."
        )
    try:
        return tuple(Override(**_checked(entry)) for entry in content["overrides"])
    except (KeyError, TypeError) as error:
        raise QualityError(
            f"{path.name} holds an incomplete override; each needs rule, slice, frame, reason "
            "and when."
        ) from error


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry, if its values have the types of an `Override`."""
    texts = all(isinstance(entry[key], str) for key in ("rule", "reason", "when"))
    places = (entry["slice"], entry["frame"], entry.get("structure"))
    if not texts or any(type(place) not in (int, type(None)) for place in places):
        raise TypeError("wrong type")
    return entry
