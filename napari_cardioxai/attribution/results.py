"""The files that maps of a study leave behind."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_cardioxai.attribution.base import Sign
from napari_cardioxai.attribution.colours import overlaid
from napari_cardioxai.attribution.explain import StudyMaps
from napari_cardioxai.attribution.registry import METHODS
from napari_cardioxai.attribution.scores.table import SCORES
from napari_cardioxai.files import replacing_files_in
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.nifti import write_nifti

SUMMARY = "summary"


def write_maps(
    result: StudyMaps,
    folder: Path,
    *,
    picture: NDArray | None = None,
    on_progress: Progress = silent,
) -> tuple[Path, ...]:
    """Write `METHOD.nii.gz` and `summary.nii.gz` on the scan's own grid, and the tables.

    Of a single `picture` (y, x) there are `METHOD.png` and `summary.png` too:
    the maps on it. The tables are `scores.csv` (methods and controls), `regions.csv`, and
    `attribution.json` with all of it. All of them or, on error or cancel, none.
    Pictures that were not explained are zero.

    Returns
    -------
    The written files.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    total = len(result.maps) + 2
    with replacing_files_in(folder) as beside:
        for done, (name, one) in enumerate(result.maps.items()):
            on_progress(done, total, f"writing {name}")
            _write(beside / f"{name}.nii.gz", one.heat, result, f"{one.title}, research use only")
            if picture is not None:
                _draw(beside / f"{name}.png", picture, one.heat, METHODS[name].sign)
        on_progress(total - 2, total, "writing the summary")
        if result.summary is not None:
            text = "Summary of heat maps, research use only"
            _write(beside / f"{SUMMARY}.nii.gz", result.summary.heat, result, text)
            if picture is not None:
                _draw(beside / f"{SUMMARY}.png", picture, result.summary.heat, "positive")
        on_progress(total - 1, total, "writing tables")
        _write_csv(
            beside / "scores.csv", ("map", *SCORES, "seconds", "peak_mib", "verdict"), _rows(result)
        )
        if result.regions:
            rows = [row.as_json() for row in result.regions]
            _write_csv(beside / "regions.csv", tuple(rows[0]), [list(r.values()) for r in rows])
        text = json.dumps(result.as_json(), indent=2, ensure_ascii=False, allow_nan=False)
        (beside / "attribution.json").write_text(text + "\n", "utf-8")
        names = sorted(file.name for file in beside.iterdir())
        on_progress(total, total, "done")
    return tuple(Path(folder) / name for name in names)


def _write(path: Path, heat: NDArray, result: StudyMaps, text: str) -> None:
    subject = result.subject
    write_nifti(
        path,
        result.places.on_scan(heat),
        subject.geometry,
        frame_times_ms=subject.frame_times_ms,
        cycle_ms=subject.cycle_ms,
        dtype=np.float32,
        description=text.encode("ascii", "replace").decode("ascii")[:79],
    )


def _draw(path: Path, picture: NDArray, heat: NDArray, sign: Sign) -> None:
    Image.fromarray(overlaid(picture, heat[0, 0], sign)).save(path)


def _rows(result: StudyMaps) -> Iterable[list[Any]]:
    for one in result.maps.values():
        said = one.as_json()
        scores = [one.scores.get(name) for name in SCORES]
        yield [one.method, *scores, said["seconds"], said["peak_mib"], said["verdict"]]
    for name, scores_of in result.controls.items():
        yield [f"control: {name}", *(scores_of.get(score) for score in SCORES), None, None, None]


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
