"""T1-weighted volumes of a BIDS data set as a manifest, with a class from `participants.tsv`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from napari_cardioxai.cohorts.manifest import CLASS, SCAN, SUBJECT, Manifest
from napari_cardioxai.errors import CohortError
from napari_cardioxai.scans.nifti import SUFFIXES

PARTICIPANTS = "participants.tsv"
_MISSING = ("n/a", "")
_FEW_VALUES = 5


def find_brains(folder: Path, *, label: str) -> Manifest:
    """Volumes of a BIDS data set whose participants have a value of a column.

    Parameters
    ----------
    folder
        Has `participants.tsv` and `<participant>_T1w.nii.gz`, in itself or in
        `<participant>/.../anat`.
    label
        Column that becomes the class. Of numbers with more than five values
        the halves above and up to the median, such as "age up to 32".

    Returns
    -------
    Manifest
        Columns `scan` (absolute), `class`, and those of the table, numbers as
        such. Nothing is written: its `path` is the table's.

    Raises
    ------
    CohortError
        When there is no such table or column, or fewer than two classes are left.
    """
    folder = Path(folder).resolve()
    file = folder / PARTICIPANTS
    try:
        people = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise CohortError(f"{file} cannot be read as a table of participants.") from error
    if "participant_id" not in people:
        raise CohortError(f"{file.name} has no column 'participant_id'.")
    if label not in people or label == "participant_id":
        columns = ", ".join(str(c) for c in people if c != "participant_id")
        raise CohortError(f"{file.name} has no column {label!r}; it has {columns}.")
    people = people.set_index("participant_id")
    people.index.name = SUBJECT
    scans = {name: path for name in people.index if (path := _scan_of(folder, str(name)))}
    people = people.loc[[name for name in people.index if name in scans]]
    people = people[~people[label].isin(_MISSING)]
    table = people.where(~people.isin(_MISSING)).rename(columns={CLASS: f"{CLASS}_"})
    for column in list(table.columns):
        numbers = pd.to_numeric(table[column], errors="coerce")
        if (numbers.notna() | table[column].isna()).all():
            table[column] = numbers
    table.insert(0, SCAN, pd.Series({name: str(path) for name, path in scans.items()}))
    table.insert(1, CLASS, _classes(people[label], label))
    if table[CLASS].nunique() < 2:
        raise CohortError(
            f"{folder.name} has {len(table)} volumes with a value of {label!r} and "
            f"{table[CLASS].nunique()} classes; two are needed."
        )
    return Manifest(file, table)


def _scan_of(folder: Path, name: str) -> Path | None:
    for suffix in reversed(SUFFIXES):
        if (direct := folder / f"{name}_T1w{suffix}").is_file():
            return direct
    below = sorted(p for s in SUFFIXES for p in (folder / name).rglob(f"{name}*_T1w{s}"))
    return below[0] if below else None


def _classes(values: pd.Series, label: str) -> pd.Series:
    """The values themselves, or the halves of numbers of which there are many."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.isna().any() or numbers.nunique() <= _FEW_VALUES:
        return values
    middle = float(np.median(numbers))
    names = np.where(numbers > middle, f"{label} above {middle:g}", f"{label} up to {middle:g}")
    return pd.Series(names, index=values.index, dtype=object)
