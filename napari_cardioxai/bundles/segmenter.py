"""Run a segmentation bundle over a whole cine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from napari_cardioxai.bundles.bundle import find_bundle, load_network
from napari_cardioxai.bundles.card import SegmenterCard
from napari_cardioxai.bundles.devices import resolve_device
from napari_cardioxai.bundles.one_heart import one_heart
from napari_cardioxai.bundles.opinion import SecondOpinion
from napari_cardioxai.cohorts.region import heart_centre, square_around
from napari_cardioxai.cohorts.slices import PIXEL_MM, normalise
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.segmentation import STRIDE
from napari_cardioxai.progress import Progress, silent

BATCH = 20
"""Frames of a slice per forward pass: about 300 MB of activations at 256 x 256 with the default U-Net."""

Flips = tuple[int, ...]
_RESAMPLE_BEYOND = 0.03
_REACH = 0.2  # of the region: how far the heart lies from where it is expected, one sigma
_APART_MM = 11.0  # of the ventricles: at the base fat and the aorta's root come between them
_LARGEST_USUAL_SIDE = 384
_AS_IT_IS: Flips = ()
_HALF_TURN: Flips = (2, 3)
_VIEWS = (_AS_IT_IS, _HALF_TURN)
_OPINIONS: tuple[Flips, ...] = (_AS_IT_IS, _HALF_TURN, (3,), (2,))
_STEADYING = (0.25, 0.5, 0.25)
_FEWEST_FRAMES = 6


@dataclass(frozen=True)
class View:
    """The part of every picture that a network is shown.

    Attributes
    ----------
    rows, columns
        Of the scan's picture.
    size
        Rows and columns at the network's pixel size.
    centre, reach
        Row and column where the heart is expected, and how far from there, one
        sigma in pixels.
    apart
        How many pixels may lie between the ventricles.
    """

    rows: slice
    columns: slice
    size: tuple[int, int]
    centre: tuple[float, float]
    reach: float
    apart: int


class PicturesToLogits(nn.Module):
    """A network from pictures with the scan's pixels to logits on the same pixels.

    Takes normalised intensities (b, 1, y, x), gives (b, classes, y, x).

    Parameters
    ----------
    network
        Shares its weights.
    size
        Rows and columns at the network's pixel size.
    """

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Logits on the pixels of `x`."""
        shape, size = tuple(x.shape[-2:]), self.size
        if shape != size:
            x = functional.interpolate(x, size, mode="bilinear", antialias=True)
        bottom, right = (-size[0]) % STRIDE, (-size[1]) % STRIDE
        logits = self.network(functional.pad(x, (0, right, 0, bottom)))
        logits = logits[..., : size[0], : size[1]]
        if shape != size:
            logits = functional.interpolate(logits, shape, mode="bilinear")
        return logits


@dataclass
class Segmenter:
    """A network with what it needs to label a scan.

    Attributes
    ----------
    card, network
        From the bundle.
    device
        Where it runs now; becomes "cpu" when the accelerator's memory does
        not suffice even for one slice.
    notes
        Sentences about what had to be done differently, for the user.
    """

    card: SegmenterCard
    network: nn.Module
    device: str
    notes: list[str]

    @classmethod
    def load(cls, model: str | Path, *, device: str = "auto") -> Segmenter:
        """Load a bundle by name or path.

        Raises
        ------
        BundleError
            When the bundle or the device cannot be had.
        """
        card, network = load_network(find_bundle(model))
        if not isinstance(card, SegmenterCard):
            raise BundleError(f"{card.name} is a {card.kind}, not a segmenter.")
        name = resolve_device(device)
        return cls(card, network.to(name), name, [])

    def label(
        self,
        data: np.ndarray,
        *,
        spacing_mm: tuple[float, float, float] | None = None,
        centre: tuple[float, float] | None = None,
        views: Sequence[Flips] | None = None,
        on_progress: Progress = silent,
    ) -> NDArray[np.uint8]:
        """Label every frame and every slice.

        Looks at a square of the card's size around the heart, found by its
        motion; without a cycle, around the middle of the picture.

        Parameters
        ----------
        data
            Intensities, shape (t, z, y, x), any unit.
        spacing_mm
            Voxel spacing (z, y, x); slices are brought to the network's pixel
            size for the network only. None: 1.37 mm is assumed, for the
            network only.
        centre
            Row and column of the heart where it is known already.
        views
            Axes of (t, z, y, x) along which the picture is flipped for each
            of the views whose mean decides; by default those of the card.
        on_progress
            Called per batch; may raise `Cancelled`.

        Returns
        -------
        Structure labels, shape (t, z, y, x), uint8.
        """
        frames, slices = data.shape[:2]
        views = _VIEWS[: self.card.views] if views is None else views
        looked_at = self.view(data, spacing_mm=spacing_mm, centre=centre)
        rows, columns, size = looked_at.rows, looked_at.columns, looked_at.size
        view = data[:, :, rows, columns]
        labels = np.zeros(data.shape, np.uint8)
        on_progress(0, frames * slices, "segmenting")
        for z in range(slices):
            cine = torch.from_numpy(normalise(np.asarray(view[:, z])))[:, None]
            parts = []
            for first in range(0, frames, BATCH):
                parts.append(self._seen(cine[first : first + BATCH], size, views))
                done = z * frames + min(first + BATCH, frames)
                on_progress(done, frames * slices, "segmenting")
            labels[:, z, rows, columns] = _steadied(np.concatenate(parts)).argmax(1)
        return one_heart(
            self._structures()[labels],
            intensities=data,
            centre=looked_at.centre,
            reach=looked_at.reach,
            apart=looked_at.apart,
        )

    def view(
        self,
        data: np.ndarray,
        *,
        spacing_mm: tuple[float, float, float] | None = None,
        centre: tuple[float, float] | None = None,
    ) -> View:
        """What of every picture the network is shown; arguments as for `label`."""
        pixel = spacing_mm[1:] if spacing_mm is not None else _assumed_pixel(data.shape[2:])
        zoom = (pixel[0] / self.card.pixel_mm, pixel[1] / self.card.pixel_mm)
        side = (round(self.card.region / zoom[0]), round(self.card.region / zoom[1]))
        centre = centre or heart_centre(data)
        rows, columns = square_around(centre, side, data.shape[2:])
        shown = (rows.stop - rows.start, columns.stop - columns.start)
        reach = _REACH * (side[0] + side[1]) / 2
        apart = round(2 * _APART_MM / (pixel[0] + pixel[1]))
        return View(rows, columns, _working_size(shown, zoom), centre, reach, apart)

    def opinion(
        self,
        data: np.ndarray,
        labels: NDArray[np.uint8],
        *,
        spacing_mm: tuple[float, float, float] | None = None,
        frames: Sequence[int],
        on_progress: Progress = silent,
    ) -> SecondOpinion:
        """Label the same heart from every view by itself, and say how far the answers agree.

        A network that knows what it sees gives the same heart upside down and
        mirrored; where it guesses, the answers part.

        Parameters
        ----------
        data, labels
            The cine and what `label` made of it, shape (t, z, y, x).
        spacing_mm
            As for `label`.
        frames
            Frames to look at, such as end-diastole and end-systole.
        on_progress
            Called per view; may raise `Cancelled`.
        """
        picked, first = data[list(frames)], labels[list(frames)]
        centre = heart_centre(data)
        answers = []
        for done, view in enumerate(_OPINIONS):
            on_progress(done, len(_OPINIONS), "second opinion")
            answers.append(self.label(picked, spacing_mm=spacing_mm, centre=centre, views=(view,)))
        on_progress(len(_OPINIONS), len(_OPINIONS), "second opinion")
        return SecondOpinion.between(first, answers, calibration=self._calibration())

    def _calibration(self) -> dict[int, tuple[float, float]]:
        checked = self.card.results.get("second_opinion", {}).get("calibration", {})
        return {int(k): (float(a), float(b)) for k, (a, b) in checked.items()}

    def _structures(self) -> NDArray[np.uint8]:
        table = np.zeros(256, np.uint8)
        for channel, structure in self.card.structures.items():
            table[channel] = structure
        return table

    def _seen(
        self, images: Tensor, size: tuple[int, int], views: Sequence[Flips]
    ) -> NDArray[np.float32]:
        """Mean of the probabilities from the views, (batch, 1, y, x) to (batch, class, y, x)."""
        seen = [
            np.flip(self._probabilities(torch.flip(images, view), size), view) for view in views
        ]
        return np.mean(seen, axis=0, dtype=np.float32)

    def _probabilities(self, images: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
        """Softmax of the scores, (batch, 1, y, x) to (batch, class, y, x), halving the batch when memory is short."""
        step = len(images)
        while True:
            try:
                parts = [
                    self._forward(images[k : k + step], size) for k in range(0, len(images), step)
                ]
                return np.concatenate(parts)
            except torch.OutOfMemoryError:
                if self.device == "cuda":
                    torch.cuda.empty_cache()
                if step > 1:
                    step = max(1, step // 2)
                    self._say(f"{self.device} ran out of memory; going on in batches of {step}.")
                elif self.device != "cpu":
                    self._say(
                        f"{self.device} has too little memory for one slice; going on on the CPU."
                    )
                    self.device = "cpu"
                    self.network.to("cpu")
                else:
                    raise

    def _forward(self, images: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits = PicturesToLogits(self.network, size)(images.to(self.device))
            return functional.softmax(logits.float(), 1).cpu().numpy()

    def _say(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _steadied(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each frame with a quarter of either neighbour, (t, class, y, x), so that borders do not flicker.

    The ends of the cycle are not joined: a cine may be cut short.
    """
    if len(probability) < _FEWEST_FRAMES:
        return probability
    return ndimage.convolve1d(probability, _STEADYING, axis=0, mode="nearest")


def _assumed_pixel(shape: tuple[int, int]) -> tuple[float, float]:
    """Pixel size of a picture that does not tell: the usual one for up to 384 pixels.

    A larger picture is taken for a finer one of the same field of view.
    """
    finer = max(shape) / 256 if max(shape) > _LARGEST_USUAL_SIDE else 1.0
    return PIXEL_MM / finer, PIXEL_MM / finer


def _working_size(shape: tuple[int, int], zoom: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns at the network's pixel size."""
    if all(abs(factor - 1) <= _RESAMPLE_BEYOND for factor in zoom):
        return shape
    return max(1, round(shape[0] * zoom[0])), max(1, round(shape[1] * zoom[1]))
