"""The latent heart: a variational autoencoder of frames with classifiers on its latents.

Clough et al. 2019 ("Global and local interpretability for cardiac MRI
classification") read a disease from the latents of a whole cycle; Puyol-Antón
et al. 2020 ("Interpretable deep models for cardiac resynchronisation therapy
response prediction") add a classifier for each concept, which sees its own part
of the latent. Explicit modules without in-place or functional activations, so
that attribution can enter anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.latent_blocks import (
    Dense,
    Down,
    OneHot,
    PatchesToPixels,
    Up,
    pixels_to_patches,
)
from napari_cardioxai.networks.latent_time import TIME_MODELS

CONCEPT_UNITS = 64
"""Width of the layer where concepts are read (Clough et al. 2019, Fig. 1)."""

AUTOENCODER = ("stem", "down", "posterior", "prior_to_map", "up", "to_patches")
"""Parts of a network without its classifiers, by the first part of their names."""

_FRAMES_AT_ONCE = 64  # a working set that stays in a processor's cache: 1.3 times as fast as 256


class LatentHeart(nn.Module):
    """Encoder and decoder of single frames, classifiers of whole sequences.

    A frame, all slices of it, becomes `latent` means and log-variances. The
    stem reads patches of `patch` x `patch` pixels, residual blocks halve the
    resolution, and the decoder goes the same way back. The primary classifier
    takes the latent of every frame through one shared layer, brings the frames
    together and goes on through fully connected layers; the output of
    `concept_layer` (64 units, before its ReLU) is where concepts are read. Each
    concept classifier sees its own slice of every frame's latent.

    Parameters
    ----------
    frames, slices, size
        Of a sequence (b, frames, slices, size, size).
    reads
        "labels": integer labels 0 to `classes` - 1, decoded to logits;
        "images": intensities, decoded to intensities.
    classes
        Labels, background included.
    latent
        Units per frame.
    channels
        Widths from the resolution size / patch downwards, each level half as fine.
    patch
        Side in pixels of what the stem reads and the decoder writes at once.
    decoder
        False: encoder and classifiers only; there is no decoder and no log-variance.
    time
        How frames come together: a key of `TIME_MODELS`.
    frame_units
        Width of the layer that all frames share.
    hidden
        Widths of the fully connected layers before `concept_layer`.
    concepts
        (start, length) of each concept's slice of the latent; slices may
        overlap, but some units must stay outside all of them.
    concept_hidden
        Width of the hidden layer of each concept classifier; 0 is none.
    dropout
        Probability in the classifiers.

    Raises
    ------
    BundleError
        When the sizes do not go together.
    """

    def __init__(
        self,
        *,
        frames: int = 25,
        slices: int = 3,
        size: int = 80,
        reads: str = "labels",
        classes: int = 4,
        latent: int = 128,
        channels: Sequence[int] = (32, 64, 96),
        patch: int = 4,
        decoder: bool = True,
        time: str = "concat",
        frame_units: int = 16,
        hidden: Sequence[int] = (128,),
        concepts: Iterable[Sequence[int]] = (),
        concept_hidden: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        slices_of_concepts = tuple((int(start), int(length)) for start, length in concepts)
        _check(size, patch, channels, reads, time)
        check_concept_slices(slices_of_concepts, latent)
        self.frames, self.slices, self.size = frames, slices, size
        self.reads, self.classes, self.latent, self.patch = reads, classes, latent, patch
        self.concept_slices = slices_of_concepts
        per_slice = classes if reads == "labels" else 1
        coarsest = size // patch // 2 ** (len(channels) - 1)
        steps = list(pairwise(channels))

        self.one_hot = OneHot(classes) if reads == "labels" else None
        self.stem = nn.Sequential(
            nn.Conv2d(slices * per_slice, channels[0], patch, stride=patch), nn.ReLU()
        )
        self.down = nn.Sequential(*(Down(a, b) for a, b in steps))
        self.flatten = nn.Flatten()
        self.posterior = nn.Linear(channels[-1] * coarsest**2, 2 * latent if decoder else latent)

        self.prior_to_map: nn.Module | None = None
        if decoder:
            self.prior_to_map = nn.Sequential(
                nn.Linear(latent, channels[-1] * coarsest**2),
                nn.ReLU(),
                nn.Unflatten(1, (channels[-1], coarsest, coarsest)),
            )
            self.up = nn.Sequential(*(Up(b, a) for a, b in reversed(steps)))
            self.to_patches = nn.Conv2d(channels[0], slices * per_slice * patch**2, 1)
            self.to_pixels = PatchesToPixels(channels=per_slice, slices=slices, patch=patch)

        # Linear: what moves shows as a difference of frames, which a ReLU between would hide.
        self.frame_layer = nn.Linear(latent, frame_units)
        self.over_time = TIME_MODELS[time](frames=frames, units=frame_units)
        together = self.over_time.features
        widths = (together, *hidden)
        self.trunk = nn.Sequential(
            nn.Dropout(dropout), *Dense(widths, dropout=dropout), *((nn.ReLU(),) if hidden else ())
        )
        self.concept_layer = nn.Linear(widths[-1], CONCEPT_UNITS)
        self.decision = nn.Sequential(
            nn.ReLU(), nn.Dropout(dropout), nn.Linear(CONCEPT_UNITS, 1), nn.Flatten(0)
        )
        between = (concept_hidden,) if concept_hidden else ()
        self.concept_classifiers = nn.ModuleList(
            nn.Sequential(
                nn.Flatten(1),
                nn.Dropout(dropout),
                Dense((frames * length, *between, 1), dropout=dropout),
            )
            for _, length in slices_of_concepts
        )

    @property
    def has_decoder(self) -> bool:
        """Whether latents can be turned back into hearts."""
        return self.prior_to_map is not None

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Posterior of every frame.

        Parameters
        ----------
        x
            Labels (b, t, s, y, x) of an integer type, or their memberships
            (b, t, s, classes, y, x) of a floating one, which gradients can
            reach; of an image model intensities (b, t, s, y, x).

        Returns
        -------
        Mean and log-variance, each (b, t, latent); no log-variance without a decoder.
        """
        b, t = x.shape[:2]
        frames = x.flatten(0, 1)
        parts = [self._posterior(part) for part in frames.split(_FRAMES_AT_ONCE)]
        both = torch.cat(parts).unflatten(0, (b, t)).float()
        if not self.has_decoder:
            return both, None
        mean, log_variance = both.chunk(2, -1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Frames of latents.

        Parameters
        ----------
        z
            Shape (b, t, latent).

        Returns
        -------
        Logits (b, t, s, classes, y, x); of an image model intensities (b, t, s, y, x).

        Raises
        ------
        BundleError
            When the model has no decoder.
        """
        parts = [self.to_pixels(part) for part in self.decode_patches(z)]
        pictures = torch.cat(parts).unflatten(0, z.shape[:2])
        return pictures if self.reads == "labels" else pictures.squeeze(3)

    def decode_patches(self, z: Tensor) -> list[Tensor]:
        """What `to_pixels` takes, in parts of at most 64 frames.

        Parameters
        ----------
        z
            Shape (b, t, latent).
        """
        if self.prior_to_map is None:
            raise BundleError("this model has no decoder; latents cannot be turned into hearts.")
        parts = z.flatten(0, 1).split(_FRAMES_AT_ONCE)
        maps = (self.prior_to_map(part) for part in parts)
        return [
            self.to_patches(self.up(m.contiguous(memory_format=torch.channels_last))) for m in maps
        ]

    def classify(self, z: Tensor) -> dict[str, Tensor | None]:
        """What the latents of whole cycles say.

        Parameters
        ----------
        z
            Means of the encoder, shape (b, frames, latent).

        Returns
        -------
        dict
            `logit` (b,) of the primary class, `features` (b, 64) of
            `concept_layer`, `concepts` (b, K) logits or None.
        """
        features = self.concept_layer(self.trunk(self.over_time(self.frame_layer(z))))
        return {
            "logit": self.decision(features),
            "features": features,
            "concepts": self.classify_concepts(z),
        }

    def classify_concepts(self, z: Tensor) -> Tensor | None:
        """Logits of the concept classifiers, (b, K), each from its own slice; None without any."""
        if not self.concept_slices:
            return None
        logits = [
            classifier(z[..., start : start + length])
            for classifier, (start, length) in zip(
                self.concept_classifiers, self.concept_slices, strict=True
            )
        ]
        return torch.cat(logits, 1)

    def concept_features(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        """First layer of each concept classifier, (b, units) each, and the logits, (b, K)."""
        hidden, logits = [], []
        for classifier, (start, length) in zip(
            self.concept_classifiers, self.concept_slices, strict=True
        ):
            flatten, dropout, dense = classifier.children()
            first, *others = dense.children()
            made = first(dropout(flatten(z[..., start : start + length])))
            hidden.append(made)
            for layer in others:
                made = layer(made)
            logits.append(made)
        return hidden, torch.cat(logits, 1)

    @property
    def concept_widths(self) -> list[int]:
        """Units of the first layer of each concept classifier."""
        layers = [
            next(layer for layer in classifier.modules() if isinstance(layer, nn.Linear))
            for classifier in self.concept_classifiers
        ]
        return [layer.out_features for layer in layers]

    def output_layers(self) -> list[nn.Linear]:
        """The last layer of the primary and of each concept classifier."""
        return [
            [layer for layer in classifier.modules() if isinstance(layer, nn.Linear)][-1]
            for classifier in (self.decision, *self.concept_classifiers)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Logit of the primary class from sequences, shape (b,)."""
        logit = self.classify(self.encode(x)[0])["logit"]
        assert logit is not None
        return logit

    def _posterior(self, frames: Tensor) -> Tensor:
        """(n, s, y, x) or (n, s, classes, y, x) to (n, 2 latent)."""
        if self.one_hot is not None and not frames.is_floating_point():
            frames = self.one_hot(frames)
        pictures = frames.flatten(1, -3).contiguous(memory_format=torch.channels_last)
        return self.posterior(self.flatten(self.down(self.stem(pictures))))


LATENT_MODELS: Mapping[str, Any] = {"latent-heart": LatentHeart}
"""Architectures by the name that a model card carries."""


def channels_last(network: LatentHeart) -> LatentHeart:
    """The network with its convolutions in the order of memory that they are fastest in."""
    placed: LatentHeart = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def check_concept_slices(concepts: Sequence[tuple[int, int]], latent: int) -> None:
    """Refuse slices that leave the latent, or leave nothing of it free.

    Raises
    ------
    BundleError
        With the slice, counted from 0.
    """
    taken: set[int] = set()
    for start, length in concepts:
        if start < 0 or length < 1 or start + length > latent:
            raise BundleError(
                f"a concept cannot have {length} units from {start} of a latent of {latent}."
            )
        taken.update(range(start, start + length))
    if len(taken) == latent:
        raise BundleError(
            f"the concepts take all {latent} units of the latent; leave some free for what "
            "they do not name."
        )


def _check(size: int, patch: int, channels: Sequence[int], reads: str, time: str) -> None:
    step = patch * 2 ** (len(channels) - 1)
    if not channels or size % step:
        raise BundleError(
            f"a side of {size} pixels cannot be halved {len(channels) - 1} times after patches "
            f"of {patch}; it must be a multiple of {step}."
        )
    if reads not in ("labels", "images"):
        raise BundleError(f"a latent heart reads labels or images, not {reads!r}.")
    if time not in TIME_MODELS:
        raise BundleError(f"there is no time model {time!r}; known are {', '.join(TIME_MODELS)}.")


__all__ = [
    "AUTOENCODER",
    "CONCEPT_UNITS",
    "LATENT_MODELS",
    "LatentHeart",
    "channels_last",
    "check_concept_slices",
    "pixels_to_patches",
]
