"""Infidelity: whether a map foretells how the answer changes when parts of the image change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.attribution.scores.evidence import Forward, Kind, answers, range_of
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent

_SIDES = (0.1, 0.5)  # of each axis: how long the sides of a removed box are
_NOISE = 0.2  # of the image's range: standard deviation, as Yeh et al. for their noisy baseline


@dataclass(frozen=True)
class Infidelity:
    """How far foretold and real changes of the answer lie apart.

    Attributes
    ----------
    raw
        Mean of (I · A - (F(x) - F(x - I)))², in the explained number squared.
    normalised
        The same after the map was scaled as suits it best, since only some
        methods promise a scale (Yeh et al. 2019, appendix; captum's `normalize`).
    unexplained
        `normalised` over the mean square of the real changes: 0 for a map that
        foretells them all, 1 for one that foretells nothing; NaN when nothing changed.
    """

    raw: float
    normalised: float
    unexplained: float


def infidelity(
    forward: Forward,
    image: Tensor,
    heat: NDArray | Tensor,
    *,
    kind: Kind,
    baseline: Tensor,
    generator: torch.Generator,
    changes: Literal["boxes", "noise"] = "boxes",
    samples: int = 64,
    rows: int = 8,
    on_progress: Progress = silent,
) -> Infidelity:
    """Change the image at random and compare the answer with what the map foretells.

    "boxes" (the square removal of the paper's section 2.2, in any number of
    dimensions): a random box takes the values of the baseline; a tenth to half
    of each side. "noise": Gaussian noise everywhere, too small a change to tell
    good maps from bad ones on most networks, and only for slopes.

    Parameters
    ----------
    forward
        (b, c, *spatial) to (b,).
    image, baseline
        Shape (c, *spatial).
    heat
        Shape (c or 1, *spatial).
    kind
        What the map's values are. A change I of slopes is foretold to be
        I · A; shares go with what is removed: their sum over the box.
    generator
        Of the changes, on the CPU.
    changes, samples
        Which, and how many.
    rows
        Images per pass.
    on_progress
        Called per pass; may raise `Cancelled`.

    References
    ----------
    Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations",
    definition 2.1.
    """
    if changes == "noise" and kind == "shares":
        raise AttributionError("shares foretell what removal does, not noise; use boxes.")
    values = torch.as_tensor(heat).to(image)
    if values.shape[1:] != image.shape[1:] or len(values) not in (1, len(image)):
        raise AttributionError(
            f"the map {tuple(values.shape)} does not lie on the grid of the image "
            f"{tuple(image.shape)}."
        )
    foretold = np.empty(samples)
    away = image - baseline
    noise = _NOISE * range_of(image)

    def image_at(k: int) -> Tensor:
        if k == 0:
            return image
        if changes == "noise":
            change = noise * torch.randn(image.shape, generator=generator).to(image)
        else:
            box = _box(tuple(image.shape[1:]), generator).to(image.device)
            change = away * box
        weights = change if kind == "slopes" else box.expand_as(values)
        foretold[k - 1] = float((weights * values).double().sum())
        return image - change

    said = answers(
        forward, image_at, samples + 1, rows=rows, what="infidelity", on_progress=on_progress
    )
    real = said[0] - said[1:]
    square = float((foretold**2).mean())
    best = float((foretold * real).mean()) / square if square > 0 else 0.0
    normalised = float(((best * foretold - real) ** 2).mean())
    moved = float((real**2).mean())
    return Infidelity(
        raw=float(((foretold - real) ** 2).mean()),
        normalised=normalised,
        unexplained=normalised / moved if moved > 0 else float("nan"),
    )


def _box(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A random box of ones, shape (1, *shape)."""
    box = torch.zeros(shape)
    low, high = _SIDES
    spans = []
    for length in shape:
        size, place = torch.rand(2, generator=generator).tolist()
        side = min(length, max(1, round((low + (high - low) * size) * length)))
        start = min(int(place * (length - side + 1)), length - side)
        spans.append(slice(start, start + side))
    box[tuple(spans)] = 1
    return box[None]
