"""Measurements as files that other programs read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.files import replacing


def write_measurements_csv(path: Path, measurements: Measurements) -> None:
    """Write one line per measurement: name, value, unit.

    The values are those of the report's table, rounded as they are printed;
    the unrounded ones and the whole curve are in the JSON file.

    Raises
    ------
    OutputError
        When `path` cannot be written.

    See Also
    --------
    write_measurements_json
    """
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("measurement", "value", "unit"))
        table.writerows(measurements.as_rows())


def write_measurements_json(path: Path, measurements: Measurements) -> None:
    """Write all measurements with the volume of every frame as one JSON object.

    Raises
    ------
    OutputError
        When `path` cannot be written.
    """
    text = json.dumps(measurements.as_json(), indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")
