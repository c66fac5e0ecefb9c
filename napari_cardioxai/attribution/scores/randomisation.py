"""Whether a map depends on what the network has learnt.

A map that hardly changes when the weights are random shows the image, not the
network: guided backpropagation is the known case (Adebayo et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.attribution.copies import private_copy
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent

CHANGED_BELOW = 0.5
"""Rank correlation with the map of the trained network, below which a map counts as changed.

Magnitudes of maps of unlike networks on one image correlate by .3 to .4, since
both show where the image has contrast; guided backpropagation by .9.
"""

_TRUNCATED_AT = 2.0  # standard deviations
_SSIM_WINDOW = 7


@dataclass(frozen=True, eq=False)
class Similarity:
    """How alike two maps are.

    Attributes
    ----------
    magnitude
        Spearman's correlation of their magnitudes, over the voxels where either
        is not zero; 0 where one of them is flat.
    signed
        The same with signs.
    ssim
        Structural similarity of the magnitudes, each scaled to 0 to 1; NaN on
        grids with a side of fewer than 3 voxels.
    """

    magnitude: float
    signed: float
    ssim: float

    @classmethod
    def between(cls, first: NDArray, second: NDArray) -> Similarity:
        """Of two maps on one grid, shape (*spatial)."""
        a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
        somewhere = (a != 0) | (b != 0)
        return cls(
            magnitude=_spearman(np.abs(a[somewhere]), np.abs(b[somewhere])),
            signed=_spearman(a[somewhere], b[somewhere]),
            ssim=_ssim(np.abs(a), np.abs(b)),
        )


@dataclass(frozen=True, eq=False)
class Randomisation:
    """Maps of networks that forget their weights from the top down.

    Attributes
    ----------
    layers
        Last layer that was randomised at each stage, the output's first.
    similarity
        With the map of the trained network, one a stage.
    """

    layers: tuple[str, ...]
    similarity: tuple[Similarity, ...]

    @property
    def final(self) -> float:
        """Of the magnitudes, when every weight is random."""
        return self.similarity[-1].magnitude

    @property
    def changed(self) -> bool:
        """Whether the map of the random network is another one (`CHANGED_BELOW`)."""
        return abs(self.final) < CHANGED_BELOW


def randomise_parameters(
    explain: Callable[[nn.Module], NDArray],
    model: nn.Module,
    *,
    generator: torch.Generator,
    stages: int | None = None,
    on_progress: Progress = silent,
) -> Randomisation:
    """Randomise the layers from the output to the input, and map again after each.

    Weights become normal numbers around zero, cut off at two standard
    deviations, in the layer's own scale, so that activations neither vanish
    nor explode; biases become 0 and the factors of normalisation layers 1. What
    batch norms have seen stays.

    Parameters
    ----------
    explain
        The map of a network, shape (*spatial); the same image and target each time.
    model
        Is not changed.
    generator
        Of the weights, on the CPU.
    stages
        At how many of the layers to look, spread evenly and always at the last
        one; None: at all.
    on_progress
        Called per stage; may raise `Cancelled`.

    Raises
    ------
    AttributionError
        When the network has no weights.

    References
    ----------
    Adebayo et al. 2018, "Sanity checks for saliency maps", section 3.1, cascading.
    """
    layers = layers_from_the_top(model)
    if not layers:
        raise AttributionError("the network has no weights that could be randomised.")
    count = len(layers) if stages is None else min(stages, len(layers))
    looked_at = np.unique(np.rint(np.linspace(0, len(layers) - 1, count)).astype(int))
    if count == 1:
        looked_at = np.array([len(layers) - 1])
    trained = explain(model)
    found = []
    for done, (index, forgetful) in enumerate(
        (k, network)
        for k, network in enumerate(_forgetting(model, layers, generator))
        if k in looked_at
    ):
        on_progress(done, len(looked_at), "randomised weights")
        found.append((layers[index], Similarity.between(trained, explain(forgetful))))
    on_progress(len(looked_at), len(looked_at), "randomised weights")
    return Randomisation(tuple(name for name, _ in found), tuple(s for _, s in found))


def randomise_labels(
    train: Callable[[NDArray], nn.Module],
    labels: Sequence | NDArray,
    explain: Callable[[nn.Module], NDArray],
    *,
    rng: np.random.Generator,
    repeats: int = 1,
    on_progress: Progress = silent,
) -> Randomisation:
    """Train on the true and on shuffled labels, and compare the maps.

    Parameters
    ----------
    train
        A network from labels, one an example, first axis the examples; trained
        alike each time, until it knows them.
    labels
        The true ones, shape (n, ...).
    explain
        The map of a network, shape (*spatial).
    rng
        Shuffles.
    repeats
        Networks with shuffled labels.
    on_progress
        Called per network; may raise `Cancelled`.

    Returns
    -------
    Randomisation
        One stage a shuffle, `layers` are "shuffled labels 1" and so on.

    References
    ----------
    Adebayo et al. 2018, section 3.2, the data randomisation test.
    """
    true = np.asarray(labels)
    if len(np.unique(true, axis=0)) < 2:
        raise AttributionError("all labels are alike; shuffling them changes nothing.")
    on_progress(0, repeats + 1, "training on true labels")
    trained = explain(train(true))
    found = []
    for k in range(repeats):
        on_progress(k + 1, repeats + 1, "training on shuffled labels")
        found.append(Similarity.between(trained, explain(train(rng.permutation(true)))))
    on_progress(repeats + 1, repeats + 1, "training on shuffled labels")
    return Randomisation(tuple(f"shuffled labels {k + 1}" for k in range(repeats)), tuple(found))


def layers_from_the_top(model: nn.Module) -> list[str]:
    """Modules with weights of their own, in the reverse order of their definition.

    The slope of a PReLU is no knowledge worth forgetting: it stays.
    """
    names = [
        name
        for name, module in model.named_modules()
        if _weights_of(module) and not isinstance(module, nn.PReLU)
    ]
    return names[::-1]


def _weights_of(module: nn.Module) -> dict[str, nn.Parameter]:
    return {
        key: parameter
        for key, parameter in module._parameters.items()
        if parameter is not None and parameter.is_floating_point()
    }


def _forgetting(
    model: nn.Module, layers: Sequence[str], generator: torch.Generator
) -> Iterator[nn.Module]:
    """The same private network again and again, one more layer random each time."""
    network = private_copy(model)
    modules = dict(network.named_modules())
    for name in layers:
        module = modules[name]
        for key, parameter in _weights_of(module).items():
            # A private copy shares memory with the original: never write into it.
            fresh = _random_like(key, parameter, generator)
            module._parameters[key] = nn.Parameter(fresh, requires_grad=False)
        yield network


def _random_like(key: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
    if key.startswith("bias"):
        return torch.zeros_like(parameter)
    if parameter.ndim < 2:
        return torch.ones_like(parameter)
    spread = float(parameter.double().square().mean().sqrt()) or 1.0
    fresh = torch.empty(parameter.shape, dtype=torch.float32)
    limit = _TRUNCATED_AT * spread
    nn.init.trunc_normal_(fresh, 0.0, spread, -limit, limit, generator=generator)
    return fresh.to(parameter)


def _spearman(a: NDArray, b: NDArray) -> float:
    from scipy.stats import rankdata

    if a.size < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _ssim(a: NDArray, b: NDArray) -> float:
    from skimage.metrics import structural_similarity

    sides = [length for length in a.shape if length > 1]
    window = min(_SSIM_WINDOW, *sides) if sides else 0
    window -= 1 - window % 2
    if window < 3:
        return float("nan")
    scaled = [v.reshape(sides) / (v.max() or 1.0) for v in (a, b)]
    return float(structural_similarity(*scaled, win_size=window, data_range=1.0))
