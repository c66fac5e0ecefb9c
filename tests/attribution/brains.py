"""Two brains of blocks, small enough for a test."""

import numpy as np

from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import write_nifti

GEOMETRY = Geometry((3.0, 3.0, 3.0), np.diag([-3.0, -3.0, 3.0, 1.0]))  # z head, y back, x left


def block_brains(folder):
    """Manifest of white matter with a hippocampus on each side; of the left one half is lost."""
    labels = np.full((10, 12, 14), 2, np.int16)
    labels[4:7, 4:8, 2:5], labels[4:7, 4:8, 9:12] = 53, 17
    lost = np.zeros(labels.shape, np.uint8)
    lost[4:7, 4:6, 9:12] = 1
    labels[lost > 0] = 4
    image = np.random.default_rng(0).integers(1, 900, labels.shape).astype(np.int16)
    for name, data in (("regions", labels), ("truth", lost), ("scan", image)):
        write_nifti(folder / f"{name}.nii.gz", data[None], GEOMETRY)
    (folder / "m.csv").write_text(
        "subject,scan,regions,truth,class,split\n"
        + "".join(
            f"{name},scan.nii.gz,regions.nii.gz,truth.nii.gz,{kind},{part}\n"
            for name, kind, part in (
                ("a", "severe", "test"),
                ("b", "normal", "test"),
                ("c", "severe", "train"),
                ("d", "severe", "test"),
            )
        )
    )
    return read_manifest(folder / "m.csv")
