"""Points of a map as a table for other programs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from napari_cardioxai.files import replacing
from napari_cardioxai.maps.cohort_map import CohortMap


def write_points(path: Path, cohort_map: CohortMap) -> None:
    """Write subject, x, y and everything that is known of each as CSV; blank where it is not.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    columns = cohort_map.subjects.columns
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["subject", "x", "y", *columns])
        for row, name in enumerate(cohort_map.subjects.subjects):
            x, y = cohort_map.points[row]
            cells = [_cell(column.values[row]) for column in columns.values()]
            writer.writerow([name, f"{x:.6g}", f"{y:.6g}", *cells])


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    return value if isinstance(value, str) else f"{float(value):.6g}"
