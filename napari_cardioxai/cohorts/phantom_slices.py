"""Pictures of drawn hearts, labelled to the pixel, new ones whenever they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image
from torch.nn import functional
from torch.utils.data import Dataset

from napari_cardioxai.anatomy.volumes import LV, MYO
from napari_cardioxai.cohorts.slices import PIXEL_MM, normalise
from napari_cardioxai.phantom.heart import Heart, Outflow
from napari_cardioxai.phantom.images import Look, Trabeculae, render
from napari_cardioxai.phantom.rasterise import (
    Faults,
    Grid,
    cut_as_readers_do,
    rasterise,
    rasterise_papillaries,
)
from napari_cardioxai.phantom.spec import CohortSpec
from napari_cardioxai.phantom.subject import draw_subject

PHASES_PER_HEART, SLICES_PER_HEART = 2, 6
_FRAMES = 8
_SHARE_REALISTIC = 0.4
_SHARE_CLUTTERED = 0.4
_WALL_KEPT_MM = 2.0
_CLASSES = ("NOR", "NOR", "DCM", "HCM", "MINF", "RV", "RV", "LBBB")
_LARGEST_RV_ML = 330.0
_SHARE_WITH_OUTFLOW = 0.8
_MORE_SLICES = 2  # the outflow tract ends higher than the stack of a usual subject


class PhantomSlices(Dataset):
    """Slices of phantom hearts with all three structures labelled.

    Anatomy, class, surroundings, acquisition, pixel size and field of view are
    drawn anew for every heart; in six of ten the tissues get grey values that no
    scanner would give them, and in four of ten the surroundings are patches of
    any brightness, so that a network must know a heart by its shape (Billot et
    al. 2023, SynthSeg). One slice in six lies
    beyond base or apex, where nothing is to be labelled.

    Parameters
    ----------
    count
        Pictures per drawing.
    pixel_mm
        In-plane spacing of the pictures that come out.
    transform
        A MONAI dictionary transform over `image` and `label`, or None.
    seed
        With the number of the drawing the source of all randomness.
    """

    def __init__(
        self,
        count: int,
        *,
        pixel_mm: float = PIXEL_MM,
        transform: Callable[[dict], dict] | None = None,
        seed: int = 0,
    ) -> None:
        self.count = count
        self.pixel_mm = pixel_mm
        self.transform = transform
        self.seed = seed
        self.images: list[NDArray[np.float32]] = []
        self.labels: list[NDArray[np.uint8]] = []

    def draw(self, number: int) -> None:
        """Replace every picture by those of drawing `number`."""
        self.images, self.labels = [], []
        hearts = -(-self.count // (PHASES_PER_HEART * SLICES_PER_HEART))
        for heart in range(hearts):
            pictures = draw_pictures(seed=self.seed, index=number * hearts + heart)
            for image, label, pixel_mm in pictures:
                image, label = _resampled(image, label, pixel_mm / self.pixel_mm)
                self.images.append(image)
                self.labels.append(label)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Image (1, y, x) float32, label (1, y, x) int64, known (4,) bool."""
        item = {
            "image": torch.from_numpy(self.images[index])[None],
            "label": torch.from_numpy(self.labels[index])[None],
        }
        if self.transform is not None:
            item = self.transform(item)
        return {
            "image": torch.as_tensor(item["image"]),
            "label": torch.as_tensor(item["label"]).long(),
            "known": torch.ones(4, dtype=torch.bool),
        }


def draw_pictures(
    *, seed: int, index: int
) -> list[tuple[NDArray[np.float32], NDArray[np.uint8], float]]:
    """Two phases of a few slices of one heart: normalised image, labels, pixel size in mm."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    pixel_mm = float(rng.uniform(0.9, 1.9))
    side = round(float(rng.uniform(150, 230)) / pixel_mm)
    spec = CohortSpec(
        classes=_CLASSES,
        frames=_FRAMES,
        pixel_mm=pixel_mm,
        matrix=(side, side),
        slice_distance_mm=float(rng.uniform(6, 11)),
        conserve_myocardium=bool(rng.random() < 0.5),
    )
    # The class follows the index, all else the seed; both are drawn.
    subject = draw_subject(
        spec, seed=int(rng.integers(2**31)), index=int(rng.integers(len(spec.classes)))
    )
    phases = rng.choice(_FRAMES, PHASES_PER_HEART, replace=False)
    heart = _with_other_right_side(subject.case.heart, rng)
    beat = heart.beat(subject.times_ms[np.sort(phases)])
    grid = _higher(subject.grid, _MORE_SLICES)
    labels = rasterise(beat, grid, cut=cut_as_readers_do)
    without_cavity = ~(labels == LV).any((2, 3), keepdims=True)
    labels[without_cavity & (labels == MYO)] = 0  # nobody draws a wall round nothing
    _leave_out_merged(labels, rasterise_papillaries(beat, grid))
    shown = _chosen(np.asarray(labels.any((0, 2, 3))), rng)
    only = Faults(missing=tuple(z for z in range(labels.shape[1]) if z not in shown))
    look = subject.look
    if rng.random() > _SHARE_REALISTIC:
        look = _unlike_any_scanner(look, rng)
    look = replace(look, trabeculae=_draw_trabeculae(rng))
    images = render(beat, grid, look, faults=only)
    pictures = []
    for z in shown:
        cluttered = rng.random() < _SHARE_CLUTTERED
        for t in range(PHASES_PER_HEART):
            image = images[t, z].astype(np.float32)
            if cluttered and labels[t, z].any():
                image = _cluttered(image, labels[t, z], pixel_mm, rng)
            pictures.append((normalise(image), labels[t, z], pixel_mm))
    return pictures


def _chosen(has_heart: NDArray[np.bool_], rng: np.random.Generator) -> list[int]:
    """Slices to show: one beyond the heart, the others through it.

    The one that lies on the base, the last of the heart being below it, is left
    out: readers differ there.
    """
    through, beyond = (rng.permutation(np.flatnonzero(part)) for part in (has_heart, ~has_heart))
    beyond = beyond[beyond != through.max(initial=-2) + 1]
    return [int(z) for z in (*through[: SLICES_PER_HEART - 1], *beyond[:1])]


def _leave_out_merged(labels: NDArray[np.uint8], papillaries: NDArray[np.bool_]) -> None:
    """Make wall of papillary muscles that no blood parts from it.

    Readers draw round the blood: a muscle that stands in it is cavity, one that
    a contracted ventricle has pressed into its wall is not seen as one.
    """
    for t, z in np.argwhere((papillaries & (labels == LV)).any((2, 3))):
        cavity = labels[t, z] == LV
        blood = cavity & ~papillaries[t, z]
        drawn = convex_hull_image(blood) if blood.any() else blood
        labels[t, z][cavity & ~drawn] = MYO


def _draw_trabeculae(rng: np.random.Generator) -> Trabeculae:
    """Half muscle and more at the wall: readers draw round the outermost of the blood."""
    return Trabeculae(
        share=float(rng.uniform(0.5, 1.0)),
        left_mm=float(rng.uniform(3, 12)),
        right_mm=float(rng.uniform(3, 16)),
    )


def _with_other_right_side(heart: Heart, rng: np.random.Generator) -> Heart:
    """The same stroke volume from a larger right ventricle, which in most hearts has its way out.

    Larger, because readers count trabeculae as cavity.
    """
    largest = max(1.0, _LARGEST_RV_ML / heart.rv.edv_ml)
    added = float(rng.uniform(0, min(largest, 1.7) - 1)) * heart.rv.edv_ml
    rv = replace(heart.rv, edv_ml=heart.rv.edv_ml + added, esv_ml=heart.rv.esv_ml + added)
    if rng.random() > _SHARE_WITH_OUTFLOW:
        return replace(heart, rv=rv)
    outflow = Outflow(
        angle_deg=float(rng.uniform(45, 80)),
        half_width_deg=float(rng.uniform(32, 50)),
        bulge=float(rng.uniform(0.4, 1.6)),
        height_mm=float(rng.uniform(10, 25)),
    )
    return replace(heart, rv=rv, shape=replace(heart.shape, outflow=outflow))


def _higher(grid: Grid, slices: int) -> Grid:
    """The same stack with more slices at the base."""
    above = grid.slice_distance_mm * np.arange(1, slices + 1)
    return replace(grid, heights_mm=(*grid.heights_mm, *(grid.heights_mm[-1] + above)))


def _unlike_any_scanner(look: Look, rng: np.random.Generator) -> Look:
    """Grey values drawn tissue by tissue; blood stays brighter than muscle."""
    blood = look.signals["blood"]
    signals = {
        name: value * float(np.exp(rng.normal(0, 0.5))) for name, value in look.signals.items()
    }
    signals["blood"] = blood
    signals["right blood"] = blood * float(rng.uniform(0.55, 1.1))
    signals["muscle"] = blood * float(rng.uniform(0.1, 0.7))
    signals["lung"] = blood * float(rng.uniform(0.0, 0.3))
    signals["fat"] = blood * float(rng.uniform(0.2, 1.5)) * (-1 if rng.random() < 0.7 else 1)
    signals["liver"] = blood * float(rng.uniform(0.1, 0.9))
    scanner = replace(
        look.scanner,
        snr=float(np.exp(rng.uniform(np.log(6), np.log(60)))),
        bias=float(rng.uniform(0.05, 0.6)),
        texture=float(rng.uniform(0.02, 0.15)),
        low_pass=(float(rng.uniform(0.45, 1.0)), float(rng.uniform(0.55, 1.0))),
    )
    return replace(look, signals=signals, scanner=scanner)


def _cluttered(
    image: NDArray[np.float32], label: NDArray[np.uint8], pixel_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The same heart among patches of every brightness, so that not all that is bright beside it is blood."""
    heart = label > 0
    away = ndimage.distance_transform_edt(~heart) * pixel_mm
    size = rng.uniform(8, 25) / pixel_mm
    fields = [ndimage.gaussian_filter(rng.standard_normal(image.shape), size) for _ in range(7)]
    blood = float(np.median(image[heart]))
    grey = blood * rng.uniform(0, 1.6, len(fields))
    which = np.argmax(fields, 0)
    patches = grey[which] + 0.08 * blood * rng.standard_normal(image.shape)
    patches = np.where(which < 2, image, patches)
    share = np.clip((away - _WALL_KEPT_MM) / 3, 0, 1)
    mixed = image + share * (ndimage.gaussian_filter(patches, 0.8) - image)
    return np.asarray(mixed, np.float32)


def _resampled(
    image: NDArray[np.float32], label: NDArray[np.uint8], factor: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    size = [round(side * factor) for side in image.shape]
    picture = functional.interpolate(
        torch.from_numpy(image)[None, None], size, mode="bilinear", antialias=True
    )
    values = functional.interpolate(
        torch.from_numpy(label)[None, None].float(), size, mode="nearest-exact"
    )
    return picture[0, 0].numpy(), values[0, 0].to(torch.uint8).numpy()
