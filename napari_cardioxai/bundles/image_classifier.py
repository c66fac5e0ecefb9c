"""Run an image classifier on pictures or volumes, and make a bundle of any network.

A network of your own, trained anywhere, becomes a bundle like this::

    from napari_cardioxai.bundles.image_classifier import save_image_classifier
    from napari_cardioxai.cohorts.image_input import InputSpec
    from napari_cardioxai.networks.classifiers import register_classifier

    register_classifier("my-net", build)  # or an entry point, see networks.classifiers
    save_image_classifier(
        Path("models/my-net-chest"),
        network,
        architecture="my-net",
        network_params={"spatial_dims": 2, "in_channels": 1, "classes": 2},
        spec=InputSpec(size=(224, 224)),
        classes=("no finding", "effusion"),
        title="My network on chest X-rays",
        data="what it was trained on",
        licence="of its weights",
        split="what was kept apart",
    )

From then on `ImageClassifier.load("models/my-net-chest")`, the command line
and the window take it like a model that comes along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.bundles.bundle import (
    find_bundle,
    load_extras,
    load_network,
    save_bundle,
)
from napari_cardioxai.bundles.card import ImageClassifierCard
from napari_cardioxai.bundles.devices import resolve_device
from napari_cardioxai.bundles.embedding_cloud import EmbeddingCloud
from napari_cardioxai.cohorts.image_input import ImageInput, InputSpec, prepare_scan
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.classifiers import classifier, last_linear
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.scan import Scan

_PIXELS_AT_ONCE = 2_000_000
"""Of the inputs in one forward pass: 32 pictures of 225 x 225, or one volume of 120 a side."""


@dataclass(frozen=True)
class ImageDecisions:
    """What an image classifier says; arrays have one row an image.

    Attributes
    ----------
    logits
        Before the temperature, shape (n, classes).
    probability
        After it, shape (n, classes).
    decision
        Index of the likeliest class, shape (n,).
    embedding
        What the last layer takes, shape (n, features); (n, 0) for a network
        without a linear layer.
    classes
        Names of the classes.
    """

    logits: NDArray[np.float64]
    probability: NDArray[np.float64]
    decision: NDArray[np.int64]
    embedding: NDArray[np.float32]
    classes: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The likeliest class of each image by its name."""
        return [self.classes[k] for k in self.decision]


@dataclass(frozen=True)
class ImageClassifier:
    """A network with what it needs to read an image.

    Attributes
    ----------
    card, network
        From the bundle.
    device
        Where it runs.
    cloud
        Where its training images lie; None: it does not know.
    """

    card: ImageClassifierCard
    network: nn.Module
    device: str
    cloud: EmbeddingCloud | None = None

    @classmethod
    def load(cls, model: str | Path, *, device: str = "auto") -> ImageClassifier:
        """Load a bundle by name or path.

        Raises
        ------
        BundleError
            When the bundle or the device cannot be had.
        """
        folder = find_bundle(model)
        card, network = load_network(folder)
        if not isinstance(card, ImageClassifierCard):
            raise BundleError(f"{card.name} is a {card.kind}, not an image classifier.")
        name = resolve_device(device)
        extras = load_extras(folder)
        cloud = None
        if EmbeddingCloud.is_in(extras):
            cloud = EmbeddingCloud.from_arrays(extras, where=folder)
        return cls(card, network.to(name), name, cloud)

    @property
    def spec(self) -> InputSpec:
        """What inputs must be like."""
        return self.card.input

    def prepare(self, scan: Scan) -> ImageInput:
        """The input that a scan makes, with the way back.

        Raises
        ------
        CohortError
            When the scan is of another kind than the model's.
        """
        return prepare_scan(scan, self.spec)

    def classify(self, scan: Scan) -> ImageDecisions:
        """Decide one scan; every array has one row."""
        return self.decide(self.prepare(scan).data[None])

    def decide(self, images: NDArray, *, on_progress: Progress = silent) -> ImageDecisions:
        """Logits, probabilities and embeddings of inputs.

        Parameters
        ----------
        images
            As `prepare` makes them, shape (n, *size).
        on_progress
            Called per batch; may raise `Cancelled`.

        Raises
        ------
        BundleError
            When they have another size.
        """
        if images.shape[1:] != self.spec.size:
            raise BundleError(
                f"{self.card.name} reads images of {_shown(self.spec.size)} pixels, not "
                f"{_shown(images.shape[1:])}."
            )
        step = max(1, _PIXELS_AT_ONCE // int(np.prod(self.spec.size)))
        logits, embeddings = [], []
        on_progress(0, len(images), "classifying")
        for first in range(0, len(images), step):
            part = np.ascontiguousarray(images[first : first + step], np.float32)
            made, embedding = self._forward(torch.from_numpy(part))
            logits.append(made)
            embeddings.append(embedding)
            on_progress(min(first + step, len(images)), len(images), "classifying")
        raw = np.concatenate(logits) if logits else np.empty((0, len(self.card.classes)))
        scaled = raw / self.card.temperature
        shares = np.exp(scaled - scaled.max(1, keepdims=True))
        return ImageDecisions(
            logits=raw,
            probability=shares / shares.sum(1, keepdims=True),
            decision=raw.argmax(1),
            embedding=np.concatenate(embeddings) if embeddings else np.empty((0, 0), np.float32),
            classes=self.card.classes,
        )

    def tensor(self, image: NDArray) -> Tensor:
        """One input as the network takes it, shape (1, channels, *size), on the device."""
        return self._with_channels(torch.from_numpy(np.ascontiguousarray(image, np.float32))[None])

    def _with_channels(self, images: Tensor) -> Tensor:
        channels = int(self.card.network_params.get("in_channels", 1))
        repeats = (1, channels, *(1,) * self.spec.dims)
        return images[:, None].repeat(repeats).to(self.device)

    def _forward(self, images: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        seen: list[Tensor] = []

        def note(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.append(inputs[0].detach())

        try:
            hook = last_linear(self.network).register_forward_pre_hook(note)
        except BundleError:
            hook = None
        try:
            with torch.inference_mode():
                logits = self.network(self._with_channels(images))
        finally:
            if hook is not None:
                hook.remove()
        embedding = seen[-1].flatten(1) if seen else torch.empty(len(images), 0)
        return logits.double().cpu().numpy(), embedding.float().cpu().numpy()


def save_image_classifier(
    folder: Path,
    network: nn.Module,
    *,
    architecture: str,
    network_params: Mapping[str, Any],
    spec: InputSpec,
    classes: tuple[str, ...],
    title: str,
    data: str,
    licence: str,
    split: str,
    results: Mapping[str, Any] | None = None,
    command: str = "",
    limits: tuple[str, ...] = (),
    cloud: EmbeddingCloud | None = None,
    **more: Any,
) -> ImageClassifierCard:
    """Write a network as a bundle, after making sure that it can be read again.

    Parameters
    ----------
    folder
        Its name becomes the name of the model.
    network
        Trained; takes (b, channels, *size), returns logits (b, classes).
    architecture, network_params
        The name under which `networks.classifiers` builds it, and with what:
        `spatial_dims`, `in_channels`, `classes` and what else it takes.
    spec, classes
        What its images are brought to; names in the order of the logits.
    title, data, licence, split, results, command, limits
        For people, see `Card`.
    cloud
        Where the training images lie, so that strangers are noticed.
    more
        Further fields of the card: `temperature`, `split_column`, `seed`,
        `recipe`, `versions`.

    Raises
    ------
    BundleError
        When the name does not build a network of the same tensors, or its
        logits are not as many as the classes.
    """
    card = ImageClassifierCard(
        name=folder.name,
        title=title,
        network=architecture,
        network_params=dict(network_params),
        input=spec,
        classes=tuple(classes),
        data=data,
        licence=licence,
        split=split,
        results=dict(results or {}),
        command=command,
        limits=limits,
        **more,
    )
    # A round trip through the checks that reading makes.
    ImageClassifierCard.from_json(card.as_json(), where=folder)
    with torch.device("meta"):
        again = classifier(architecture, **network_params)
    expected = {k: tuple(v.shape) for k, v in again.state_dict().items()}
    given = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    if odd := sorted(k for k in expected.keys() | given.keys() if expected.get(k) != given.get(k)):
        raise BundleError(
            f"{architecture} with {dict(network_params)} is another network: {len(odd)} tensors "
            f"differ, the first is {odd[0]}."
        )
    _check_logits(network, card)
    save_bundle(
        folder, card, network.state_dict(), extras=None if cloud is None else cloud.as_arrays()
    )
    return card


def _check_logits(network: nn.Module, card: ImageClassifierCard) -> None:
    channels = int(card.network_params.get("in_channels", 1))
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    was_training = network.training
    try:
        with torch.inference_mode():
            logits = network.eval()(torch.zeros(1, channels, *card.input.size, device=device))
    except RuntimeError as error:
        raise BundleError(
            f"{card.network} cannot read {_shown(card.input.size)} pixels ({error})."
        ) from error
    finally:
        network.train(was_training)
    if tuple(logits.shape) != (1, len(card.classes)):
        raise BundleError(
            f"{card.network} gives {tuple(logits.shape)} for one image; logits of "
            f"{len(card.classes)} classes are (1, {len(card.classes)})."
        )


def _shown(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
