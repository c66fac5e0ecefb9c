"""Accuracy of measurements on noise-free phantoms, and how fast phantoms are made."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from napari_cardioxai.phantom.cohort import generate
from napari_cardioxai.phantom.spec import BUILT_IN
from napari_cardioxai.training.segmenters.phantom_accuracy import label_accuracy

SUBJECTS = 70  # ten of each class
FRAMES = 30
WALL_PIXEL_MM = 1.5
FIGURES = ("edv_percent", "ef_points", "per_percent", "pfr_percent", "pafr_percent")
MADE = 200


def run() -> dict[str, float]:
    """Subjects per second with all cores, and median absolute errors on the cohort `mixed`.

    A subject of the speed is a label sequence of 25 frames, 3 slices and 80 x 80
    pixels; the wall is measured per AHA segment at 1.5 mm pixels.
    """
    found = label_accuracy(frames=FRAMES, subjects=SUBJECTS).errors
    coarse = replace(BUILT_IN["mixed"], pixel_mm=WALL_PIXEL_MM)
    walls = label_accuracy(frames=FRAMES, subjects=SUBJECTS, spec=coarse).errors["thickness_mm"]
    return {
        "subjects_per_s": _subjects_per_s(),
        **{name: found[name].median_absolute for name in FIGURES},
        "thickness_mm": walls.median_absolute,
    }


def _subjects_per_s() -> float:
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        generate("three-slices", Path(folder) / "cohort", subjects=MADE, seed=0)
        return MADE / (time.perf_counter() - started)
