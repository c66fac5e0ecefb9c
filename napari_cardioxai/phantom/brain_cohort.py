"""Many brains with planted atrophy and their truth, on disk."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cardioxai.files import replacing
from napari_cardioxai.phantom.brain import (
    BRAINS,
    SIDES,
    Brain,
    BrainSpec,
    draw_brain,
    label_map_files,
    read_label_map,
)
from napari_cardioxai.phantom.brain_image import render_brain
from napari_cardioxai.phantom.cohort import MANIFEST, written_rows
from napari_cardioxai.phantom.volume_curve import PhantomError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.nifti import write_nifti

_FOLDERS = ("images", "regions", "truth")
_TEST_SHARE, _VAL_SHARE = 0.2, 0.1  # of the label maps


def generate_brains(
    spec: BrainSpec | str,
    maps: Path,
    out_dir: Path,
    *,
    subjects: int,
    seed: int,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> Path:
    """Write a cohort of brains: `images/`, `regions/`, `truth/` and `manifest.csv`.

    The manifest has the columns `subject, scan, regions, truth` (paths
    relative to it: image, structures by FreeSurfer's numbers, mask of the lost
    tissue), `class`, `label` (0 for the first level), `split`, `base` (label
    map) and true volumes. Splits keep all brains of a label map together. It
    is written last; when the work is cancelled or fails, the files of this run
    are removed.

    Parameters
    ----------
    spec
        What the brains are like, or a name in `BRAINS`.
    maps
        Folder of label maps, see `brain.read_label_map`.
    out_dir
        Folder to write into; made when missing.
    subjects, seed
        How many, and the source of all randomness.
    workers
        Processes; by default one per core. The result does not depend on it.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    PhantomError
        When there is no such cohort, or the label maps cannot be used.
    OutputError
        When the folder cannot be written to.
    Cancelled
        From within `on_progress`.
    """
    if isinstance(spec, str):
        if spec not in BRAINS:
            raise PhantomError(f"there are no brains {spec!r}; choose from {', '.join(BRAINS)}.")
        spec = BRAINS[spec]
    if subjects < 1 or seed < 0:
        raise PhantomError("a cohort needs at least one subject and a seed of 0 or more.")
    out_dir = Path(out_dir)
    job = _Job(spec, label_map_files(Path(maps)), out_dir, seed)
    manifest = out_dir / MANIFEST
    rows: dict[int, dict[str, Any]] = {}
    try:
        on_progress(0, subjects, "brains")
        for index, row in written_rows(job, subjects, workers or os.cpu_count() or 1):
            rows[index] = row
            on_progress(len(rows), subjects, "brains")
        with replacing(manifest) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[index] for index in range(subjects))
    except BaseException:
        for index in range(subjects):
            job.remove(index)
        raise
    return manifest


def split_of_maps(maps: int, *, seed: int) -> list[str]:
    """Split of each label map: 20 % test and 10 % validation, at least one each of three or more."""
    if maps < 3:
        return ["train"] * maps
    test, val = max(1, round(_TEST_SHARE * maps)), max(1, round(_VAL_SHARE * maps))
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(maps)
    names = ["test"] * test + ["val"] * val + ["train"] * (maps - test - val)
    split = [""] * maps
    for position, name in zip(order, names, strict=True):
        split[position] = name
    return split


@dataclass(frozen=True)
class _Job:
    """What a worker needs to make any brain."""

    spec: BrainSpec
    maps: tuple[Path, ...]
    out_dir: Path
    seed: int

    def write(self, index: int) -> dict[str, Any]:
        """Make one brain, write its files and return its row of the manifest."""
        maps = [read_label_map(file) for file in self.maps]
        brain = draw_brain(self.spec, maps, seed=self.seed, index=index)
        image = render_brain(brain, self.spec, seed=self.seed, index=index)
        arrays: dict[str, np.ndarray] = {
            "images": image,
            "regions": brain.labels,
            "truth": brain.lost.astype(np.uint8),
        }
        for folder, data in arrays.items():
            write_nifti(self.out_dir / self._file(folder, brain.name), data[None], brain.geometry)
        return self._row(brain)

    def _row(self, brain: Brain) -> dict[str, Any]:
        row: dict[str, Any] = {
            "subject": brain.name,
            "scan": self._file("images", brain.name),
            "regions": self._file("regions", brain.name),
            "truth": self._file("truth", brain.name),
            "class": self.spec.levels[brain.level][0],
            "label": int(brain.level > 0),
            "split": split_of_maps(len(self.maps), seed=self.seed)[brain.base],
            "base": brain.base + 1,
        }
        for side in SIDES:
            healthy, now = brain.healthy_ml[side], brain.left_ml[side]
            row[f"hippocampus_{side}_ml_true"] = f"{now:.4f}"
            row[f"lost_{side}_percent_true"] = f"{100 * (1 - now / healthy):.4f}"
        return row

    def remove(self, index: int) -> None:
        """Take away what `write` has made."""
        for folder in _FOLDERS:
            (self.out_dir / self._file(folder, f"s{index:04d}")).unlink(missing_ok=True)
            place = self.out_dir / folder
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()

    @staticmethod
    def _file(folder: str, name: str) -> str:
        return f"{folder}/{name}.nii.gz"
