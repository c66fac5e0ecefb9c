"""A small cohort of beating rings on disk, and a model that reads it."""

from pathlib import Path

import numpy as np
import torch

from napari_cardioxai.anatomy.label_files import write_labels
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.bundle import save_bundle
from napari_cardioxai.bundles.card import LatentCard
from napari_cardioxai.scans.geometry import Geometry
from tests.training.latent_example import SMALL, beating_rings

COUNT = 22  # fewer than are worth a second process
TEST = 20
SPACING_MM = (10.0, 1.25, 1.25)
INTERVAL_MS = 40.0
CLASSES = ("healthy", "diseased")


def write_cohort(folder: Path) -> Path:
    """Label files and their manifest; the last two subjects are for training."""
    data = beating_rings(COUNT, smooth=True)
    geometry = Geometry(SPACING_MM, np.diag([*SPACING_MM[::-1], 1.0]))
    times = np.arange(25) * INTERVAL_MS
    lines = ["subject,labels,split,label,large,age,site"]
    for k in range(COUNT):
        cine = Labels(np.asarray(data.sequences[k]), geometry, times, 25 * INTERVAL_MS)
        write_labels(folder / f"p{k}.nii.gz", cine)
        large = "" if np.isnan(data.concepts[k, 0]) else int(data.concepts[k, 0])
        split = "test" if k < TEST else "train"
        lines.append(
            f"p{k},p{k}.nii.gz,{split},{int(data.labels[k])},{large},{40 + k},{'AB'[k % 2]}"
        )
    path = folder / "rings.csv"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def save_model(folder: Path) -> Path:
    """Untrained, but what it makes of hearts depends on the hearts."""
    torch.manual_seed(0)
    network = SMALL.build().eval()
    card = LatentCard(
        name=folder.name,
        title="Rings",
        network="latent-heart",
        network_params=SMALL.network_params,
        normalisation=SMALL.spec,
        classes=CLASSES,
        concepts=SMALL.concepts,
        temperature=1.0,
        threshold={"value": 0.5},
        data="rings",
        licence="CC0-1.0",
        split="",
        results={},
        command="",
        recipe=SMALL.as_json(),
        versions={},
        limits=(),
    )
    save_bundle(folder, card, network.state_dict())
    return folder
