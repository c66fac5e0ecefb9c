"""Run a latent classifier on whole cycles: encode, decode, decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.bundles.bundle import find_bundle, load_extras, load_network
from napari_cardioxai.bundles.card import LatentCard
from napari_cardioxai.bundles.devices import resolve_device
from napari_cardioxai.bundles.training_cloud import TrainingCloud
from napari_cardioxai.cohorts.normalisation import NormalisationSpec, NormalisedCine
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.latent import LatentHeart, channels_last
from napari_cardioxai.progress import Progress, silent

BATCH = 8
"""Sequences at once."""


@dataclass(frozen=True)
class LatentDecisions:
    """What a latent classifier says about sequences; arrays have one row a sequence.

    Attributes
    ----------
    logit
        Of the primary class, before the temperature, shape (n,).
    probability
        After it, shape (n,).
    decision
        Whether that reaches the threshold, shape (n,).
    concepts
        Probability of each concept by its name, shape (n,) each.
    features
        Of the layer where concepts are read, shape (n, 64).
    latent
        Means of the encoder, shape (n, T, latent).
    """

    logit: NDArray[np.float64]
    probability: NDArray[np.float64]
    decision: NDArray[np.bool_]
    concepts: Mapping[str, NDArray[np.float64]]
    features: NDArray[np.float32]
    latent: NDArray[np.float32]


@dataclass(frozen=True)
class LatentClassifier:
    """A latent heart with what it needs to read a cycle.

    Attributes
    ----------
    card, network
        From the bundle.
    device
        Where it runs.
    extras
        Arrays that go with it, such as where its training cohort lies.
    """

    card: LatentCard
    network: LatentHeart
    device: str
    extras: Mapping[str, NDArray]

    @classmethod
    def load(cls, model: str | Path, *, device: str = "auto") -> LatentClassifier:
        """Load a bundle by name or path.

        Raises
        ------
        BundleError
            When the bundle or the device cannot be had.
        """
        folder = find_bundle(model)
        card, network = load_network(folder)
        if not isinstance(card, LatentCard) or not isinstance(network, LatentHeart):
            raise BundleError(f"{card.name} is a {card.kind}, not a latent classifier.")
        made = (network.frames, network.slices, network.size, network.size)
        if made != card.normalisation.shape:
            raise BundleError(
                f"{folder}: the network reads sequences of shape {made}, the card's "
                f"normalisation makes {card.normalisation.shape}."
            )
        name = resolve_device(device)
        network = channels_last(network.to(name))
        return cls(card, network, name, load_extras(folder))

    @cached_property
    def cloud(self) -> TrainingCloud | None:
        """Where the training cohort lies among `latent_summary`s; None where the bundle has none."""
        if "precision" not in self.extras:
            return None
        return TrainingCloud.from_arrays(self.extras, where=Path(self.card.name))

    @property
    def spec(self) -> NormalisationSpec:
        """What sequences must be like."""
        return self.card.normalisation

    def encode(self, sequences: NDArray, *, on_progress: Progress = silent) -> NDArray[np.float32]:
        """Means of the posterior of every frame.

        Parameters
        ----------
        sequences
            As `cohorts.normalisation` makes them, shape (n, T, 3, y, x): labels
            uint8, or intensities of a floating type.
        on_progress
            Called per batch; may raise `Cancelled`.

        Returns
        -------
        Shape (n, T, latent).
        """
        if sequences.shape[1:] != self.spec.shape:
            raise BundleError(
                f"{self.card.name} reads sequences of shape {self.spec.shape}, not "
                f"{sequences.shape[1:]}."
            )
        parts = []
        on_progress(0, len(sequences), "encoding")
        for first in range(0, len(sequences), BATCH):
            batch = np.ascontiguousarray(sequences[first : first + BATCH])
            x = torch.from_numpy(batch).to(self.device)
            with torch.inference_mode():
                mean, _ = self.network.encode(x.float() if x.is_floating_point() else x)
            parts.append(mean.float().cpu().numpy())
            on_progress(min(first + BATCH, len(sequences)), len(sequences), "encoding")
        return np.concatenate(parts)

    def decode(self, latent: NDArray, *, on_progress: Progress = silent) -> NDArray:
        """Hearts of latents: labels, or intensities of an image model.

        Parameters
        ----------
        latent
            Shape (n, t, latent); any number of frames.
        on_progress
            Called per batch; may raise `Cancelled`.

        Returns
        -------
        Shape (n, t, 3, y, x), uint8 labels or float32 intensities.

        Raises
        ------
        BundleError
            When the model has no decoder.
        """
        parts = []
        on_progress(0, len(latent), "decoding")
        for first in range(0, len(latent), BATCH):
            with torch.inference_mode():
                made = self.network.decode(self._tensor(latent[first : first + BATCH]))
            is_labels = self.network.reads == "labels"
            made = made.argmax(3).to(torch.uint8) if is_labels else made.float()
            parts.append(made.cpu().numpy())
            on_progress(min(first + BATCH, len(latent)), len(latent), "decoding")
        return np.concatenate(parts)

    def decide(self, latent: NDArray) -> LatentDecisions:
        """Probabilities and decisions from latents of whole cycles, shape (n, T, latent)."""
        with torch.inference_mode():
            said = self.network.classify(self._tensor(latent))
        logit, features, concepts = said["logit"], said["features"], said["concepts"]
        assert logit is not None and features is not None
        raw = logit.double().cpu().numpy()
        probability = _expit(raw / self.card.temperature)
        columns = [] if concepts is None else list(_expit(concepts.double().cpu().numpy()).T)
        return LatentDecisions(
            logit=raw,
            probability=probability,
            decision=probability >= self.card.threshold["value"],
            concepts=dict(zip([c.name for c in self.card.concepts], columns, strict=True)),
            features=features.float().cpu().numpy(),
            latent=np.asarray(latent, np.float32),
        )

    def classify(self, cine: NormalisedCine) -> LatentDecisions:
        """Encode and decide one cycle; every array has one row.

        Raises
        ------
        BundleError
            When the cine was normalised in another way than the model's.
        """
        if cine.transform.spec != self.spec:
            raise BundleError(
                f"{self.card.name} reads {self.spec}, not {cine.transform.spec}; normalise the "
                "labels as its card says."
            )
        return self.decide(self.encode(cine.data[None]))

    def reconstruct(self, sequences: NDArray) -> NDArray:
        """Encode and decode, shape (n, T, 3, y, x)."""
        return self.decode(self.encode(sequences))

    def _tensor(self, latent: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(latent, np.float32)).to(self.device)


def _expit(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import expit

    return np.asarray(expit(logits))
