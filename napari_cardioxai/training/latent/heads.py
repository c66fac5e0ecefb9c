"""Teach new classifiers on fixed latents, before they and the autoencoder go on together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.networks.latent import CONCEPT_UNITS, LatentHeart
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.latent.data import TrainingData, as_tensor
from napari_cardioxai.training.latent.loss import known_bce
from napari_cardioxai.training.latent.recipe import LatentRecipe, one_cycle
from napari_cardioxai.training.latent.walls import sector_thickness

TERMS = ("primary", "concepts")
_ENCODED_AT_ONCE = 16  # subjects
_THINNEST_PX = 0.5  # of a wall that thickening is a share of


class WallMotion(nn.Module):
    """A linear readout of a layer of a classifier, and what it is asked for.

    The thickening of the wall from end-diastole to end-systole in sectors of
    every slice, as a share of the first, and each sector against the mean of
    all; both standardised over the training subjects and measured on the
    sequences themselves, so that no further truth is needed. The readout is
    left behind when the training is over.

    Parameters
    ----------
    targets
        How many, from `wall_motion`.
    units
        Of the layer.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, targets: int, *, units: int = CONCEPT_UNITS) -> None:
        super().__init__()
        self.readout = nn.Linear(units, targets)
        self.register_buffer("mean", torch.zeros(targets))
        self.register_buffer("sd", torch.ones(targets))

    def standardise_on(self, targets: NDArray[np.float32]) -> None:
        """Take mean and standard deviation from the training subjects, shape (n, k)."""
        self.mean.copy_(torch.from_numpy(targets.mean(0)))
        self.sd.copy_(torch.from_numpy(np.maximum(targets.std(0), 1e-6)))

    def another(self, units: int) -> WallMotion:
        """A readout of another layer, asked for the same."""
        made = WallMotion(len(self.mean), units=units).to(self.mean.device)
        made.mean.copy_(self.mean)
        made.sd.copy_(self.sd)
        return made

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of the readout, in variances of the targets, shape ()."""
        wanted = (targets - self.mean) / self.sd
        return (self.readout(features) - wanted).square().mean()


def wall_motion(sequences: NDArray[np.uint8], *, es_frame: int) -> NDArray[np.float32]:
    """Thickening of each sector, and its difference from the mean of all.

    Parameters
    ----------
    sequences
        Labels, shape (n, t, s, y, x); frame 0 is end-diastole.
    es_frame
        Frame of end-systole.

    Returns
    -------
    Shape (n, 2 s sectors), as a share of the thickness at end-diastole.
    """
    both = np.asarray(sequences[:, [0, es_frame]])
    diastole, systole = np.moveaxis(sector_thickness(both), 1, 0)
    thickening = systole / np.maximum(diastole, _THINNEST_PX) - 1
    return np.column_stack([thickening, thickening - thickening.mean(1, keepdims=True)])


@dataclass(frozen=True)
class FixedLatents:
    """Training subjects as the finished autoencoder sees them.

    Attributes
    ----------
    latent
        Means of the encoder, shape (n, t, latent).
    label, concepts
        0, 1 or NaN, shapes (n,) and (n, K).
    wall
        Of `wall_motion`, shape (n, k); None without that term.
    """

    latent: Tensor
    label: Tensor
    concepts: Tensor
    wall: Tensor | None

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Rows of whole batches in random order; a smaller last one is left out."""
        order = torch.randperm(len(self.latent), generator=generator)
        whole = max(size, len(order) - len(order) % size)
        yield from order[:whole].split(size)


def encode_subjects(
    network: LatentHeart, sequences: NDArray, *, on_progress: Progress = silent
) -> Tensor:
    """Means of the encoder on its own device, shape (n, t, latent), as they are."""
    device = next(network.parameters()).device
    parts = []
    with torch.no_grad():
        for first in range(0, len(sequences), _ENCODED_AT_ONCE):
            on_progress(first, len(sequences), "encoding for new classifiers")
            rows = as_tensor(sequences[first : first + _ENCODED_AT_ONCE])
            parts.append(network.encode(rows.to(device))[0])
    return torch.cat(parts)


def new_classifiers(
    network: LatentHeart,
    data: TrainingData,
    recipe: LatentRecipe,
    *,
    latent: Tensor | None = None,
    on_progress: Progress = silent,
) -> LatentHeart:
    """A copy of a network with its autoencoder, and classifiers taught anew on its latents.

    Parameters
    ----------
    network
        Whose autoencoder; it fits the recipe.
    data, recipe
        On whom, and how; weights and order come from the recipe's seed.
    latent
        Of these subjects, where it is known already.
    """
    torch.manual_seed(recipe.seed)
    fresh = recipe.build()
    heads = {id(p) for part in _classifiers(fresh, TERMS) for p in part.parameters()}
    taught = {name for name, p in fresh.named_parameters() if id(p) in heads}
    kept = {name: tensor for name, tensor in network.state_dict().items() if name not in taught}
    fresh.load_state_dict({**fresh.state_dict(), **kept})
    wall = targets = None
    if recipe.wall and recipe.reads == "labels":
        targets = wall_motion(data.sequences, es_frame=recipe.spec.es_frame)
        wall = WallMotion(targets.shape[1])
        wall.standardise_on(targets)
    fixed = FixedLatents(
        encode_subjects(fresh, data.sequences) if latent is None else latent,
        torch.from_numpy(data.labels),
        torch.from_numpy(data.concepts),
        None if targets is None else torch.from_numpy(targets),
    )
    weights = positive_weights(data) if recipe.balance else None
    terms = TERMS if recipe.concepts else TERMS[:1]
    fit_heads(
        fresh.train(),
        fixed,
        recipe,
        terms=terms,
        wall=wall,
        weights=weights,
        seed=recipe.seed,
        on_progress=on_progress,
    )
    if weights is not None:
        take_back_balance(fresh, weights)
    return fresh.eval()


def fit_heads(
    network: LatentHeart,
    data: FixedLatents,
    recipe: LatentRecipe,
    *,
    terms: tuple[str, ...],
    wall: WallMotion | None = None,
    weights: Tensor | None = None,
    seed: int = 0,
    on_progress: Progress = silent,
) -> list[float]:
    """Train classifiers for `recipe.head_epochs` on fixed latents; nothing else changes.

    Parameters
    ----------
    network, data, recipe
        Whose classifiers, on what, and how.
    terms
        "primary", "concepts" or both.
    wall
        Learnt along with the primary classifier, with weight `recipe.wall`;
        so is a readout like it of each concept classifier's hidden layer.
    weights
        Of positives of the label and of each concept, shape (1 + K,).
    seed
        Of the order of subjects and of dropout.
    on_progress
        Called per epoch.

    Returns
    -------
    Mean loss of every epoch.
    """
    torch.manual_seed(seed)
    parts = _classifiers(network, terms)
    walls: list[WallMotion] = []
    if wall is not None and "primary" in terms:
        parts.append(wall)
    if wall is not None and "concepts" in terms:
        walls = [wall.another(units) for units in network.concept_widths]
        parts.extend(walls)
    parameters = [p for part in parts for p in part.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.head_learning_rate, weight_decay=recipe.weight_decay
    )
    generator = torch.Generator().manual_seed(seed)
    steps = max(1, len(data.latent) // recipe.batch_size) * recipe.head_epochs
    done, losses = 0, []
    for epoch in range(recipe.head_epochs):
        on_progress(epoch, recipe.head_epochs, "new classifiers")
        total, count = 0.0, 0
        for rows in data.batches(recipe.batch_size, generator):
            for group in optimizer.param_groups:
                group["lr"] = recipe.head_learning_rate * one_cycle(done / steps)
            loss = _loss(
                network, data, rows, recipe, terms=terms, wall=wall, walls=walls, weights=weights
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done, total, count = done + 1, total + loss.item(), count + 1
        losses.append(total / count)
    return losses


def _classifiers(network: LatentHeart, terms: tuple[str, ...]) -> list[nn.Module]:
    primary = [
        *(network.frame_layer, network.over_time, network.trunk),
        *(network.concept_layer, network.decision),
    ]
    return [
        *(primary if "primary" in terms else ()),
        *(network.concept_classifiers if "concepts" in terms else ()),
    ]


def _loss(
    network: LatentHeart,
    data: FixedLatents,
    rows: Tensor,
    recipe: LatentRecipe,
    *,
    terms: tuple[str, ...],
    wall: WallMotion | None,
    walls: list[WallMotion],
    weights: Tensor | None,
) -> Tensor:
    z = data.latent[rows]
    loss = z.new_zeros(())
    if "primary" in terms:
        said = network.classify(z)
        logit, features = said["logit"], said["features"]
        assert logit is not None and features is not None
        weight = None if weights is None else weights[0]
        loss = loss + recipe.gamma * known_bce(logit, data.label[rows], positive_weight=weight)
        if wall is not None and data.wall is not None:
            loss = loss + recipe.wall * wall(features, data.wall[rows])
    if "concepts" in terms:
        hidden, logits = network.concept_features(z)
        weight = None if weights is None else weights[1:]
        loss = loss + recipe.alpha * known_bce(logits, data.concepts[rows], positive_weight=weight)
        if data.wall is not None:
            for own, features in zip(walls, hidden, strict=bool(walls)):
                loss = loss + recipe.wall * own(features, data.wall[rows])
    return loss


def positive_weights(data: TrainingData) -> Tensor:
    """Negatives over positives of the label and of each concept, shape (1 + K,); 1 where one is missing."""
    columns = np.column_stack([data.labels, data.concepts])
    positives = np.nansum(columns == 1, axis=0)
    negatives = np.nansum(columns == 0, axis=0)
    both = (positives > 0) & (negatives > 0)
    ratio = np.divide(negatives, positives, out=np.ones(len(both)), where=both)
    return torch.from_numpy(ratio.astype(np.float32))


def take_back_balance(network: LatentHeart, weights: Tensor) -> None:
    """Remove from the finished classifiers the shift of the odds that balancing put there.

    A classifier that learnt with positives weighted by w estimates w times the odds.
    """
    with torch.no_grad():
        for layer, weight in zip(network.output_layers(), weights, strict=True):
            layer.bias.sub_(weight.log())
