"""2-D slices as a segmentation network sees them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from imageio.v3 import imread
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import Dataset

from napari_cardioxai.errors import CohortError

PIXEL_MM = 1.37
"""In-plane spacing that the segmenters work at: Sunnybrook's 350 mm over 256 pixels."""

_SUNNYBROOK_NAME = re.compile(r"(?P<patient>SC-[A-Z]+(?:-N?I)?-\d+)-IM-\d+-(?P<number>\d+)")
_SUNNYBROOK_PHASES = 20


def normalise(image: np.ndarray, *, axes: tuple[int, ...] | None = None) -> NDArray[np.float32]:
    """Map intensities so that air is about 0 and bright blood about 1.

    The first percentile becomes 0 and the 99th 1; what is brighter is kept up
    to 1.5, because fat near the coil must not decide the scale of the heart.

    Parameters
    ----------
    image
        Intensities of any shape and unit.
    axes
        Axes over which the percentiles are taken together; all by default.
        For a cine (t, z, y, x) pass (0, 2, 3): one scale per slice over the
        whole cycle, because the frames of a slice share their gain.

    Returns
    -------
    float32 of the same shape; a constant image becomes 0.
    """
    values = np.asarray(image, np.float32)
    low, high = np.percentile(values, (1, 99), axis=axes, keepdims=axes is not None)
    span = np.maximum(high - low, np.finfo(np.float32).tiny)
    scaled = np.clip((values - low) / span, 0, 1.5)
    return np.where(high > low, scaled, 0).astype(np.float32)


@dataclass(frozen=True)
class SlicePair:
    """One labelled picture on disk.

    Attributes
    ----------
    image, mask
        Paths; mask values above 0 are the LV cavity.
    patient
        Whose it is: folds are made of patients, never of pictures.
    slice_index, phase
        Position in the stack (0 is the most basal in Sunnybrook's order) and
        frame of the cycle.
    """

    image: Path
    mask: Path
    patient: str
    slice_index: int
    phase: int


def sunnybrook_pairs(folder: Path) -> list[SlicePair]:
    """Pictures and masks of the Sunnybrook patients (Radau et al. 2009) in PNG.

    Parameters
    ----------
    folder
        Holds `images/` and `lv_masks/` with equal names such as
        `SC-HF-I-01-IM-0001-0048.png`: patient, series, number of the frame in
        the study, from which slice and phase follow.

    Raises
    ------
    CohortError
        When the folder has no images, or an image has no mask or another name.
    """
    images = sorted((folder / "images").glob("*.png"))
    if not images:
        raise CohortError(f"{folder} has no images/*.png; give the folder of Sunnybrook pictures.")
    pairs = []
    for image in images:
        match = _SUNNYBROOK_NAME.match(image.stem)
        mask = folder / "lv_masks" / image.name
        if match is None:
            raise CohortError(f"{image.name} is not named like a Sunnybrook picture.")
        if not mask.is_file():
            raise CohortError(f"{image.name} has no mask of the same name in {mask.parent.name}/.")
        index, phase = divmod(int(match["number"]) - 1, _SUNNYBROOK_PHASES)
        pairs.append(SlicePair(image, mask, match["patient"], index, phase))
    return pairs


def patient_folds(patients: Sequence[str], folds: int, *, seed: int = 0) -> list[list[str]]:
    """Split patients into folds with every group spread evenly.

    The group is the name without its number (N, HYP, HF-NI, HF-I).

    Returns
    -------
    `folds` disjoint sorted lists that together hold every patient once.
    """
    rng = np.random.default_rng(seed)
    names = sorted(set(patients))
    if len(names) < folds:
        raise CohortError(f"{len(names)} patients cannot be split into {folds} folds.")
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rsplit("-", 1)[0], []).append(name)
    dealt = [str(name) for group in sorted(groups) for name in rng.permutation(groups[group])]
    return [sorted(dealt[k::folds]) for k in range(folds)]


class SliceDataset(Dataset):
    """Pictures and LV masks in memory, augmented anew at every visit.

    Parameters
    ----------
    pairs
        What to hold; 488 pictures of 256 x 256 take 160 MB.
    zoom
        Factor by which pictures and masks are enlarged on loading.
    region
        Side in pixels of the square in the middle that is kept; all by default.
    structures
        How many structures the network has, of which the pictures know the first.
    transform
        A MONAI dictionary transform over `image` and `label`, or None.
    """

    def __init__(
        self,
        pairs: Sequence[SlicePair],
        *,
        zoom: float = 1.0,
        region: int | None = None,
        structures: int = 1,
        transform: Callable[[dict], dict] | None = None,
    ) -> None:
        self.pairs = list(pairs)
        self.images, self.masks = [], []
        for pair in self.pairs:
            image, mask = (_middle(imread(path), region) for path in (pair.image, pair.mask))
            self.images.append(_zoomed(normalise(image), zoom))
            inside = _zoomed((mask > 0).astype(np.float32), zoom) > 0.5
            self.masks.append(inside.astype(np.uint8))
        self.known = torch.arange(structures + 1) <= 1
        self.transform = transform

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Image (1, y, x) float32, label (1, y, x) int64, known (structures + 1,) bool."""
        item = {
            "image": torch.from_numpy(self.images[index])[None],
            "label": torch.from_numpy(self.masks[index])[None],
        }
        if self.transform is not None:
            item = self.transform(item)
        return {
            "image": torch.as_tensor(item["image"]),
            "label": torch.as_tensor(item["label"]).long(),
            "known": self.known,
        }


def _middle(picture: NDArray, side: int | None) -> NDArray:
    if side is None:
        return picture
    height, width = picture.shape
    rows, columns = (slice(max(0, (n - side) // 2), (n + side) // 2) for n in (height, width))
    return picture[rows, columns]


def _zoomed(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    if factor == 1.0:
        return image
    size = [round(side * factor) for side in image.shape]
    tensor = torch.from_numpy(image)[None, None]
    return functional.interpolate(tensor, size, mode="bilinear", antialias=True)[0, 0].numpy()
