"""A rule: how a fact is measured and how much of it is allowed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from napari_cardioxai.anatomy.quality.facts import Facts
from napari_cardioxai.anatomy.quality.findings import Finding, Kind, Severity


@dataclass(frozen=True)
class Reading:
    """One value at one place.

    Attributes
    ----------
    value
        In the unit of the rule.
    text
        What was measured, a sentence without its full stop.
    passed
        Whether it is within what is allowed.
    slice, frame, structure
        As in `Finding`.
    severity, threshold
        Where they differ from those of the rule.
    """

    value: float
    text: str
    passed: bool
    slice: int | None = None
    frame: int | None = None
    structure: int | None = None
    severity: Severity | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Rule:
    """One line of the table of rules.

    Attributes
    ----------
    key, title
        For programs and for readers.
    read
        Measures every place; raises `NotApplicableError` where there is nothing to judge.
    source
        The paper or program that the rule comes from.
    advice
        What to do when it is tripped; ends the sentence of a finding.
    threshold, unit
        What is allowed.
    high_is_worse
        Whether larger values are worse; picks the worst of several places.
    kind, severity
        As in `Finding`.
    of_scan
        Whether it looks at the images alone, so that editing labels cannot change it.
    """

    key: str
    title: str
    read: Callable[[Facts], list[Reading]]
    source: str
    advice: str
    threshold: float | None
    unit: str = ""
    high_is_worse: bool = True
    kind: Kind = "technical"
    severity: Severity = "warning"
    of_scan: bool = False

    def judge(self, facts: Facts) -> list[Finding]:
        """One finding for each structure and slice that is tripped, else one that passed.

        Raises
        ------
        NotApplicableError
            With the reason why it cannot be judged.
        """
        readings = self.read(facts)
        tripped = [reading for reading in readings if not reading.passed]
        if not tripped:
            return [self._finding(self._worst(readings), others=0)]
        places: dict[tuple[int | None, int | None], list[Reading]] = defaultdict(list)
        for reading in tripped:
            places[reading.structure, reading.slice].append(reading)
        return [self._finding(self._worst(at), others=len(at) - 1) for at in places.values()]

    def _worst(self, readings: list[Reading]) -> Reading:
        sign = 1 if self.high_is_worse else -1
        return max(readings, key=lambda reading: sign * reading.value)

    def _finding(self, reading: Reading, *, others: int) -> Finding:
        sentence = f"{reading.text}."
        if not reading.passed:
            also = f", and so in {counted(others, 'more frame')}" if others else ""
            sentence = f"{reading.text}{also}: {self.advice}."
        return Finding(
            rule=self.key,
            kind=self.kind,
            severity=reading.severity or self.severity,
            value=float(reading.value),
            threshold=self.threshold if reading.threshold is None else reading.threshold,
            unit=self.unit,
            slice=None if reading.slice is None else int(reading.slice),
            frame=None if reading.frame is None else int(reading.frame),
            sentence=sentence,
            passed=bool(reading.passed),
            structure=reading.structure,
        )


def place(z: int, t: int) -> str:
    """Say where, counted from 1."""
    return f"in slice {z + 1}, frame {t + 1}"


def counted(number: int, noun: str) -> str:
    """Say how many: "1 voxel", "3 voxels"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def numbered(indices: list[int]) -> str:
    """Name indices from 0 as numbers from 1: "2, 3 and 5"; long runs are cut."""
    shown = [str(index + 1) for index in indices]
    if len(shown) > 6:
        return f"{', '.join(shown[:5])} and {len(shown) - 5} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
