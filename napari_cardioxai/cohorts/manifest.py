"""The table of a cohort: one row a subject, checked before anything is computed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_cardioxai.errors import CohortError

SUBJECT, LABELS, SCAN, SPLIT, LABEL = "subject", "labels", "scan", "split", "label"
CLASS, SITE = "class", "site"
PATHS = (LABELS, SCAN)
TEXTS = (*PATHS, SPLIT, CLASS, SITE)  # names, also where they look like numbers
SPLITS = ("train", "val", "test", "concept")
SUFFIXES = (".csv", ".parquet", ".pq")
_FIRST_ROW = 2  # as a spreadsheet counts: row 1 holds the names of the columns
_SHOWN = 3
_LONGEST = 80  # letters of a cell in a message


@dataclass(frozen=True)
class Manifest:
    """A cohort as its file describes it.

    Attributes
    ----------
    path
        The file; relative paths in it start at its folder.
    table
        One row a subject: index the subject as text, columns as in the file.
        Columns in which all values are numbers are numeric, blank cells are missing.
    """

    path: Path
    table: pd.DataFrame = field(repr=False)

    @property
    def subjects(self) -> list[str]:
        """All of them, in the order of the file."""
        return [str(name) for name in self.table.index]

    def labels_path(self, subject: str) -> Path | None:
        """Label file of a subject, absolute, or None where the cell is blank."""
        return self._path(LABELS, subject)

    def scan_path(self, subject: str) -> Path | None:
        """Scan of a subject (file or DICOM folder), absolute, or None where the cell is blank."""
        return self._path(SCAN, subject)

    def split(self, name: str) -> list[str]:
        """Subjects of one split: train, val, test or concept, in the order of the file.

        Without a column `split` every subject is train.
        """
        if name not in SPLITS:
            raise CohortError(f"{name!r} is no split; choose from {', '.join(SPLITS)}.")
        if SPLIT not in self.table:
            return self.subjects if name == "train" else []
        return [str(subject) for subject in self.table.index[self.table[SPLIT] == name]]

    def binary(self, column: str, subjects: Sequence[str]) -> NDArray[np.float64]:
        """Values 0 and 1 of a column, NaN where the cell is blank, shape (len(subjects),).

        Raises
        ------
        CohortError
            When there is no such column or subject, or for any other value,
            with its row and column.
        """
        values, is_number = self._column(column, subjects)
        is_right = is_number & (np.isnan(values) | (values == 0) | (values == 1))
        self._complain(subjects, column, is_right, "it must be 0, 1 or blank")
        return values

    def numbers(self, column: str, subjects: Sequence[str]) -> NDArray[np.float64]:
        """Numbers of a column, NaN where the cell is blank, shape (len(subjects),).

        Raises
        ------
        CohortError
            When there is no such column or subject, or for text and infinity,
            with its row and column.
        """
        values, is_number = self._column(column, subjects)
        self._complain(subjects, column, is_number, "it must be a number or blank")
        return values

    def _column(
        self, column: str, subjects: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Numbers, NaN where there are none, and whether each cell is a number or blank."""
        self._need(subjects)
        if column not in self.table:
            raise CohortError(
                f"{self.path.name} has no column {column!r}; it has {_listed([str(name) for name in self.table])}."
            )
        cells = self.table[column].reindex(list(subjects))
        values = np.asarray(pd.to_numeric(cells, errors="coerce").astype(float))
        return values, ~np.isinf(values) & (np.isfinite(values) | np.asarray(cells.isna()))

    def _path(self, column: str, subject: str) -> Path | None:
        self._need([subject])
        cell: Any = self.table.at[subject, column] if column in self.table else None
        return None if pd.isna(cell) else _resolved(self.path, str(cell))

    def _need(self, subjects: Sequence[str]) -> None:
        unknown = [name for name in subjects if name not in self.table.index]
        if unknown:
            raise CohortError(f"{self.path.name} has no subject {unknown[0]!r}.")

    def _complain(
        self, subjects: Sequence[str], column: str, is_right: NDArray[np.bool_], rule: str
    ) -> None:
        """Name the first cell that is not right, if there is one."""
        for position in np.flatnonzero(~is_right)[:1]:
            subject = subjects[int(position)]
            row = self.subjects.index(subject) + _FIRST_ROW
            cell = _cut(_shown(self.table.at[subject, column]))
            raise CohortError(
                f"{self.path.name}, row {row} ({subject}), column {column!r}: "
                f"{cell} was found; {rule}."
            )


def read_manifest(path: Path) -> Manifest:
    """Read the table of a cohort and check it; nothing is written.

    Parameters
    ----------
    path
        CSV (comma separated, UTF-8) or Parquet. Columns: `subject`, and at
        least one of `labels` and `scan`, paths that start at the folder of the
        manifest unless they are absolute. Optional: `split` (train, val, test,
        concept) and `label` (0, 1 or blank). All other columns are free.

    Raises
    ------
    CohortError
        When anything is wrong, with its row and column. Rows count as in a
        spreadsheet: row 1 holds the names of the columns.
    """
    path = Path(path)
    if path.is_dir() and path.suffix.lower() not in SUFFIXES:
        raise CohortError(
            f"{path} is a folder; give the manifest of a cohort. `cardioxai cohort pictures` makes "
            "one of class folders."
        )
    if path.suffix.lower() not in SUFFIXES:
        raise CohortError(f"{path.name} is no manifest; .csv and .parquet are read.")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CohortError(f"{path} {what}; give the manifest of a cohort.")
    table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    _check_columns(path, list(table.columns))
    if not len(table):
        raise CohortError(f"{path.name} has no subjects below its first row.")
    for complaint in _complaints(path, table):
        raise CohortError(f"{path.name}, {complaint}.")
    table = table.set_index(SUBJECT)
    for column in [name for name in table.columns if name not in TEXTS]:
        table[column] = _as_numbers(table[column])
    manifest = Manifest(path.resolve(), table)
    if LABEL in table:
        manifest.binary(LABEL, manifest.subjects)
    return manifest


def _read_csv(path: Path) -> pd.DataFrame:
    """Every cell as text, blank ones as None."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.reader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(
            f"{path.name} cannot be read as a table ({error}); save it as CSV in UTF-8."
        ) from error
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise CohortError(f"{path.name} is empty; its first row must name the columns.")
    header = [cell.strip() for cell in rows[0]]
    if SUBJECT not in header and len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise CohortError(f"{path.name}: columns must be separated by commas.")
    for number, row in enumerate(rows[1:], start=_FIRST_ROW):
        if len(row) != len(header):
            raise CohortError(
                f"{path.name}, row {number} has {len(row)} cells, but row 1 names "
                f"{len(header)} columns."
            )
    cells = [[cell.strip() or None for cell in row] for row in rows[1:]]
    return pd.DataFrame(cells, columns=header, dtype=object)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, ImportError) as error:  # pyarrow's errors are ValueErrors
        raise CohortError(f"{path.name} cannot be read as Parquet; save it again.") from error
    if SUBJECT not in table and table.index.name == SUBJECT:
        table = table.reset_index()
    table = table.astype(object).where(table.notna(), None)
    for column in {SUBJECT, *TEXTS}.intersection(table.columns):
        texts = [None if cell is None else str(cell).strip() or None for cell in table[column]]
        table[column] = pd.Series(texts, index=table.index, dtype=object)
    return table.reset_index(drop=True)


def _check_columns(path: Path, columns: list[str]) -> None:
    for number, name in enumerate(columns, start=1):
        if not str(name).strip():
            raise CohortError(f"{path.name}, row 1: column {number} has no name.")
        if columns.index(name) != number - 1:
            raise CohortError(f"{path.name}, row 1: there are two columns {name!r}.")
    if SUBJECT not in columns:
        raise CohortError(
            f"{path.name} has no column {SUBJECT!r}; it has {_listed([str(c) for c in columns])}."
        )
    if not set(PATHS) & set(columns):
        raise CohortError(f"{path.name} needs a column {LABELS!r} or {SCAN!r} with paths.")


def _complaints(path: Path, table: pd.DataFrame) -> Iterator[str]:
    """What is wrong with the cells, row and column named."""
    names = table[SUBJECT].tolist()
    seen: dict[str, int] = {}
    for row, name in enumerate(names, start=_FIRST_ROW):
        if name is None:
            yield f"row {row}, column {SUBJECT!r} is blank; every subject needs a name"
        elif name in seen:
            yield f"row {row}, column {SUBJECT!r}: {name} is already in row {seen[name]}"
        seen[str(name)] = row
    if SPLIT in table:
        for row, split in enumerate(table[SPLIT], start=_FIRST_ROW):
            if split not in SPLITS:
                found = "it is blank" if split is None else f"{_cut(split)!r} is unknown"
                yield f"row {row}, column {SPLIT!r}: {found}; use {', '.join(SPLITS)}"
    columns = [column for column in PATHS if column in table]
    for row, cells in enumerate(table[columns].to_numpy(), start=_FIRST_ROW):
        if all(cell is None for cell in cells):
            which = " and ".join(map(repr, columns))
            blank = f"column {which} is" if len(columns) == 1 else f"columns {which} are both"
            yield f"row {row}, {blank} blank; {names[row - _FIRST_ROW]} has no file"
    for column in columns:
        numbers = enumerate(table[column], start=_FIRST_ROW)
        lost = [
            (row, cell)
            for row, cell in numbers
            if cell is not None and not _is_there(path, column, cell)
        ]
        if lost:
            row, cell = lost[0]
            others = ", ".join(str(row) for row, _ in lost[1:_SHOWN])
            also = f", nor do {len(lost) - 1} more (row {others}{', …' * (len(lost) > _SHOWN)})"
            what = (
                "is a folder; labels are a file"
                if _leads_to(path, cell, "folder")
                else f"does not exist{also * (len(lost) > 1)}"
            )
            yield f"row {row}, column {column!r}: {_cut(cell)} {what}"


def _is_there(manifest: Path, column: str, cell: str) -> bool:
    """Whether a path leads to something; label files are files, scans may be folders."""
    return _leads_to(manifest, cell, "file") or (
        column != LABELS and _leads_to(manifest, cell, "folder")
    )


def _leads_to(manifest: Path, cell: str, what: Literal["file", "folder"]) -> bool:
    try:
        path = _resolved(manifest, cell)
        return path.is_file() if what == "file" else path.is_dir()
    except (OSError, RuntimeError):  # too long, not to be looked into, the home of an unknown user
        return False


def _resolved(manifest: Path, cell: str) -> Path:
    return (manifest.parent.resolve() / Path(cell).expanduser()).absolute()


def _as_numbers(column: pd.Series) -> pd.Series:
    """The column as float64 where every cell is a number or blank, else as it is."""
    values = pd.to_numeric(column, errors="coerce")
    if (values.isna() & column.notna()).any():
        return column
    return values.astype(np.float64)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown


def _shown(cell: Any) -> str:
    """As it stands in the file: a column of numbers has forgotten that 2 was not 2.0."""
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
