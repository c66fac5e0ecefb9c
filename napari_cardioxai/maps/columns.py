"""What is known of every subject of a map: classes and numbers to colour points by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_cardioxai.cohorts.manifest import LABEL, PATHS, Manifest
from napari_cardioxai.cohorts.properties import property_title

MOST_CLASSES = 12
"""More are names, not classes."""
OF_COHORT, OF_MODEL, MEASURED = "cohort", "model", "measured"
NO, YES = "no", "yes"


@dataclass(frozen=True)
class Column:
    """One thing that is known of the subjects.

    Attributes
    ----------
    name
        As the manifest, the model or readers call it.
    values
        Of each subject, shape (n,): names or None of a class, else numbers or NaN.
    is_class
        Which of both.
    origin
        Who says so: the manifest ("cohort"), the model, or a measurement.
    unit, decimals
        Of numbers.
    order
        Of the classes, where it is not that of the alphabet.
    """

    name: str
    values: NDArray[Any]
    is_class: bool
    origin: str
    unit: str = ""
    decimals: int = 2
    order: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that there are."""
        found = {str(value) for value in self.values if value is not None} if self.is_class else ()
        named = [name for name in self.order if name in found]
        return (*named, *sorted(set(found) - set(named)))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of whom it is known, shape (n,)."""
        if self.is_class:
            return np.array([value is not None for value in self.values], bool)
        return np.isfinite(self.values.astype(float))

    @property
    def title(self) -> str:
        """Name and unit, and who says so where it is not the manifest."""
        unit = f" ({self.unit})" if self.unit else ""
        said = {OF_COHORT: "", OF_MODEL: " – the model says", MEASURED: " – measured"}[self.origin]
        return f"{self.name}{unit}{said}"

    def text(self, row: int) -> str:
        """The value of one subject: "EF 43 %"."""
        value = self.values[row]
        if value is None or (not self.is_class and not np.isfinite(value)):
            return f"{self.name} unknown"
        if self.is_class:
            return f"{self.name} {value}"
        return f"{self.name} {value:.{self.decimals}f} {self.unit}".rstrip()

    def summary(self, rows: NDArray[np.intp]) -> str:
        """What it is like in a group: "diseased 3, healthy 34", or "EF 45 ± 6 %"."""
        values = self.values[rows][self.known[rows]]
        if not len(values):
            return f"{self.name} unknown"
        if self.is_class:
            counts = {kind: int((values == kind).sum()) for kind in self.classes}
            return ", ".join(f"{kind} {count}" for kind, count in counts.items() if count)
        numbers = values.astype(float)
        mean, sd = (f"{value:.{self.decimals}f}" for value in (numbers.mean(), numbers.std()))
        return f"{self.name} {mean} ± {sd} {self.unit}".rstrip()

    def limits(self) -> tuple[float, float]:
        """From the 2nd to the 98th percentile: one outlier must not take all the colours."""
        known = self.values[self.known].astype(float)
        low, high = np.percentile(known, [2, 98]) if len(known) else (0.0, 1.0)
        if not high > low:
            low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def manifest_columns(
    manifest: Manifest, subjects: Sequence[str], *, classes: Sequence[str] = ()
) -> dict[str, Column]:
    """Columns of a manifest that tell subjects apart: not paths, free text or what all share.

    Parameters
    ----------
    manifest, subjects
        Whose.
    classes
        Names of label 0 and label 1.
    """
    found = {}
    for name in [str(column) for column in manifest.table.columns if column not in PATHS]:
        column = _column(name, manifest.table[name].reindex(list(subjects)), classes)
        if column is not None:
            found[name] = column
    return found


def class_column(
    name: str, values: Iterable[Any], *, origin: str, names: Sequence[str] = ()
) -> Column:
    """A column of classes; with `names`, values are their indices."""
    cells = np.array(
        [None if v is None or v != v else str(names[int(v)] if names else v) for v in values],
        dtype=object,
    )
    return Column(name, cells, True, origin, order=tuple(map(str, names)))


def in_order(columns: Mapping[str, Column], first: Iterable[str]) -> dict[str, Column]:
    """Some columns first, where there are such, and the others as they come."""
    names = [name for name in dict.fromkeys(first) if name in columns]
    return {name: columns[name] for name in [*names, *(n for n in columns if n not in names)]}


def _column(name: str, cells: pd.Series, classes: Sequence[str]) -> Column | None:
    present = cells.dropna()
    count = present.nunique()
    if count < 2:
        return None
    if not pd.api.types.is_numeric_dtype(cells):
        if count > MOST_CLASSES:
            return None
        return class_column(name, cells, origin=OF_COHORT)
    values = cells.to_numpy(float)
    if set(present.unique()) <= {0.0, 1.0}:
        named = classes if name == LABEL and len(classes) == 2 else (NO, YES)
        return class_column(name, values, origin=OF_COHORT, names=named)
    size = np.floor(np.log10(max(float(np.abs(present).max()), 1e-9)))
    is_whole = bool((present == present.round()).all())
    decimals = 0 if is_whole else int(np.clip(2 - size, 0, 4))  # three digits
    title = property_title(name)
    return Column(title, values, False, OF_COHORT, decimals=decimals)
