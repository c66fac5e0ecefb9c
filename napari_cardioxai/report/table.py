"""Measurements as files that other programs read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.anatomy.quality import QualityReport
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


def write_measurements_json(
    path: Path, measurements: Measurements, quality: QualityReport | None = None
) -> None:
    """Write all measurements with the volume of every frame as one JSON object.

    Parameters
    ----------
    path
        The file to write.
    measurements
        Their attributes are the keys.
    quality
        What the rules found, under `quality`; left out when None.

    Raises
    ------
    OutputError
        When `path` cannot be written.
    """
    content = as_json(measurements, quality)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def as_json(measurements: Measurements, quality: QualityReport | None) -> dict[str, Any]:
    """What `measure --json` prints: measurements, and quality with overrides and their reasons."""
    found = measurements.as_json()
    return found if quality is None else {**found, "quality": quality.as_json()}
