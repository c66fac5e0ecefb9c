"""What methods are tried on: images of which it is known what decides, and networks that learn it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.networks.nets import DenseNet, ResNet
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.attribution.latent import memberships
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.cohorts.normalisation import normalise_labels
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.networks.latent import LatentHeart
from napari_cardioxai.phantom.planted import (
    VOLUME_SIDE,
    VOLUME_SPACING_MM,
    heart_images,
    planted_heart,
    planted_volume,
)
from napari_cardioxai.phantom.volume_curve import PhantomError

LATENT_MODEL = "clough"

_CINE_FRAMES, _CINE_SIDE, _CINE_PIXEL_MM = 16, 48, 2.5
_LATENT_LEVELS = (0.35, 0.55, 0.75)  # as the cohorts that the shipped models learnt from
_SYSTOLE_SPREAD = 2  # frames to each side of end-systole and of end-diastole
_DRAWS = 20


@dataclass(frozen=True, eq=False)
class TrialImage:
    """An image and where its evidence lies.

    Attributes
    ----------
    image
        Shape (c, *spatial).
    truth
        Shape (*spatial).
    """

    image: Tensor
    truth: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Task:
    """One kind of image with one planted reason.

    Attributes
    ----------
    name, title
        On the command line, and for people.
    reason
        What decides, in words.
    draw
        An image with (True) or without the reason.
    build
        Untrained networks by name; each takes (b, c, *spatial) and gives (b, 2)
        or (b, 1).
    spacing_mm
        One entry a spatial axis, None for time.
    tolerance_mm
        Of the pointing game: about half the size of the planted structure.
    baseline
        What methods and scores compare with.
    pool
        Images to learn from.
    settings
        Of methods, by name: fewer steps and samples than usual where a map
        would take minutes.
    """

    name: str
    title: str
    reason: str
    draw: Callable[[np.random.Generator, bool], TrialImage]
    build: Mapping[str, Callable[[], nn.Module]]
    spacing_mm: tuple[float | None, ...]
    tolerance_mm: float
    baseline: str
    pool: int
    settings: Mapping[str, Mapping[str, Any]]


class SystolicMotion(nn.Module):
    """A latent heart whose decision reads how far its latents move until systole.

    Takes memberships (b, classes, t, s, y, x), gives one logit (b, 1). The
    encoder is the shipped one and stays; only the last layer learns.

    Parameters
    ----------
    heart
        Shares its weights.
    es_frame, frames
        End-systole and length of the cycle.
    """

    def __init__(self, heart: LatentHeart, *, es_frame: int, frames: int) -> None:
        super().__init__()
        self.heart = heart.eval().requires_grad_(False)
        self.motion = nn.Linear(frames, 1, bias=False)
        self.decision = nn.Linear(heart.latent, 1)
        around = np.arange(-_SYSTOLE_SPREAD, _SYSTOLE_SPREAD + 1)
        weights = torch.zeros(frames)
        weights[(es_frame + around) % frames] += 1 / len(around)
        weights[around % frames] -= 1 / len(around)
        self.motion.weight = nn.Parameter(weights[None], requires_grad=False)

    def moved(self, x: Tensor) -> Tensor:
        """Latents around end-systole less those around end-diastole, (b, latent)."""
        latents = self.heart.encode(x.movedim(1, 3))[0]
        moved: Tensor = self.motion(latents.transpose(1, 2))[..., 0]
        return moved

    def forward(self, x: Tensor) -> Tensor:
        """The logit."""
        logit: Tensor = self.decision(self.moved(x))
        return logit


def make_task(name: str, *, side: int = VOLUME_SIDE) -> Task:
    """A task by its name, one of `TASKS`.

    Parameters
    ----------
    name
        "volumes": a ball among clutter. "cine": images of a heart one of whose
        segments stands still. "latent": the labels of such a heart, read by
        the encoder of a shipped model.
    side
        Voxels along each axis of the volumes.

    Raises
    ------
    AttributionError
        When there is no such task.
    """
    if name not in TASKS:
        raise AttributionError(f"there is no task {name!r}; choose {', '.join(TASKS)}.")
    return TASKS[name](side)


def _volumes(side: int) -> Task:
    def draw(rng: np.random.Generator, present: bool) -> TrialImage:
        found = planted_volume(rng, present=present, side=side)
        return TrialImage(torch.from_numpy(found.image[None]), found.truth)

    return Task(
        name="volumes",
        title=f"volumes of {side} × {side} × {side} voxels",
        reason="a ball off the middle, among rods as bright as it",
        draw=draw,
        build={"residual": lambda: _residual((2, 2, 2)), "dense": _dense},
        spacing_mm=(VOLUME_SPACING_MM,) * 3,
        tolerance_mm=4.0,
        baseline="zero",
        pool=320,
        settings=_FEW_STEPS,
    )


def _cine(_: int) -> Task:
    def draw(rng: np.random.Generator, present: bool) -> TrialImage:
        planted = _drawn_heart(
            rng,
            still=present,
            frames=_CINE_FRAMES,
            levels=(0.5,),
            pixel_mm=_CINE_PIXEL_MM,
            matrix=(_CINE_SIDE, _CINE_SIDE),
        )
        images = heart_images(planted, rng)
        return TrialImage(torch.from_numpy(images[None, :, 0]), planted.truth[:, 0])

    return Task(
        name="cine",
        title=f"cines of one slice, {_CINE_FRAMES} frames of {_CINE_SIDE} × {_CINE_SIDE} pixels",
        reason="whether AHA segment 11 stands still",
        draw=draw,
        # Frames are few: the first layer keeps them all.
        build={"residual": lambda: _residual((1, 2, 2))},
        spacing_mm=(None, _CINE_PIXEL_MM, _CINE_PIXEL_MM),
        tolerance_mm=5.0,
        baseline="zero",
        pool=320,
        settings=_FEW_STEPS,
    )


def _latent(_: int) -> Task:
    spec = LatentClassifier.load(LATENT_MODEL, device="cpu").spec

    def draw(rng: np.random.Generator, present: bool) -> TrialImage:
        planted = _drawn_heart(
            rng,
            still=present,
            frames=spec.frames,
            levels=_LATENT_LEVELS,
            pixel_mm=spec.pixel_mm,
            matrix=(112, 112),
        )
        labels = Labels(
            data=planted.labels,
            geometry=planted.grid.geometry,
            frame_times_ms=planted.times_ms,
            cycle_ms=planted.heart.lv.cycle_ms,
        )
        cine = normalise_labels(labels, spec)
        truth = cine.transform.apply(planted.truth.astype(np.uint8)) > 0
        return TrialImage(memberships(torch.from_numpy(cine.data[None]))[0], truth)

    def build() -> nn.Module:
        classifier = LatentClassifier.load(LATENT_MODEL, device="cpu")
        return SystolicMotion(classifier.network, es_frame=spec.es_frame, frames=spec.frames)

    return Task(
        name="latent",
        title=f"labels of a cycle, read by the encoder of {LATENT_MODEL}",
        reason="whether AHA segment 11 stands still",
        draw=draw,
        build={"linear": build},
        spacing_mm=(None, 18.0, spec.pixel_mm, spec.pixel_mm),
        tolerance_mm=5.0,
        baseline="background",
        pool=320,
        settings=_FEWEST_STEPS,
    )


def _drawn_heart(rng: np.random.Generator, **shape: Any):  # type: ignore[no-untyped-def]
    """A heart that can beat: a still wall asks more of the others than some hearts can give."""
    for attempt in range(_DRAWS):
        try:
            return planted_heart(rng, **shape)
        except PhantomError:
            if attempt == _DRAWS - 1:
                raise
    raise AssertionError


def _residual(stride: tuple[int, int, int]) -> nn.Module:
    return ResNet(
        "basic",
        [1, 1, 1, 1],
        [8, 16, 24, 32],
        spatial_dims=3,
        n_input_channels=1,
        conv1_t_size=3,
        conv1_t_stride=stride,
        no_max_pool=True,
        num_classes=2,
    )


def _dense() -> nn.Module:
    return DenseNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=2,
        init_features=8,
        growth_rate=6,
        block_config=(2, 2, 2),
        bn_size=2,
    )


_FEW_STEPS: Mapping[str, Mapping[str, Any]] = {
    "smoothgrad": {"samples": 12},
    "smoothgrad-squared": {"samples": 12},
    "gradient-shap": {"samples": 12},
    "ig": {"steps": 12, "most_steps": 48},
    "smooth-ig": {"steps": 8, "samples": 4},
    "guided-ig": {"steps": 16},
    "smooth-guided-ig": {"steps": 8, "samples": 4},
    "blur-ig": {"steps": 12, "most_steps": 48},
    "smooth-blur-ig": {"steps": 8, "samples": 4},
    "smooth-blur-guided": {"steps": 8, "samples": 4},
    "occlusion": {"stride_percent": 60.0},
}
_FEWEST_STEPS: Mapping[str, Mapping[str, Any]] = {
    **_FEW_STEPS,
    "smoothgrad": {"samples": 6},
    "smoothgrad-squared": {"samples": 6},
    "gradient-shap": {"samples": 6},
    "ig": {"steps": 8, "most_steps": 8},
    "smooth-ig": {"steps": 4, "samples": 3},
    "guided-ig": {"steps": 8},
    "smooth-guided-ig": {"steps": 4, "samples": 3},
    "blur-ig": {"steps": 8, "most_steps": 8},
    "smooth-blur-ig": {"steps": 4, "samples": 3},
    "smooth-blur-guided": {"steps": 4, "samples": 3},
    "occlusion": {"window_percent": 50.0, "stride_percent": 100.0},
}

TASKS: Mapping[str, Callable[[int], Task]] = {
    "volumes": _volumes,
    "cine": _cine,
    "latent": _latent,
}
"""By the name on the command line."""
