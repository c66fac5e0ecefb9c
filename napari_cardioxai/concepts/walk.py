"""Walking along a concept: which latents, and so which hearts, lie at alpha.

A direction of the latent itself is added to it. A direction of a later layer
has no heart of its own; the latent change that produces it is solved for, in
small steps, because the classifier bends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.concepts.cloud import LatentCloud
from napari_cardioxai.concepts.directions import Direction
from napari_cardioxai.concepts.layers import LATENT, activations_at, frame_of
from napari_cardioxai.concepts.regional import RegionalModel
from napari_cardioxai.errors import CohortError

STRAIGHT, GRADIENT, LEAST_SQUARES = "latent", "gradient", "least squares"
WAYS = (STRAIGHT, GRADIENT, LEAST_SQUARES)
REGIONAL = "regional"
"""Of the variance of wall thickening only, see `RegionalModel`."""
STEP = 0.5
"""Standard deviations after which the classifier is linearised anew."""
_DAMPING = 1e-3


@dataclass(frozen=True)
class Walk:
    """A concept as a change of hearts.

    Attributes
    ----------
    classifier
        Whose latents.
    direction
        Of the concept.
    way
        "latent": the direction was found in the latent and is added to it.
        "gradient": the smallest change that moves the projection onto a
        direction of a later layer. "least squares": the smallest change that
        moves the layer along the direction and leaves its other units where
        they are, through the local Jacobian. Small is meant in the cohort's
        standard deviations. "regional": what this heart's segments differ by in
        thickening is stretched.
    cloud
        The cohort, for "gradient" and "least squares".
    regional
        How walls are read from latents, for "regional".
    """

    classifier: LatentClassifier
    direction: Direction
    way: str
    cloud: LatentCloud | None = None
    regional: RegionalModel | None = None

    def __post_init__(self) -> None:
        if self.way != REGIONAL:
            check_way(self.way, self.direction.layer)
        elif self.regional is None:
            raise CohortError("a regional walk needs to know how walls are read from latents.")
        if self.way != STRAIGHT and self.cloud is None:
            raise CohortError("solving for the latent change needs to know the cohort.")

    def sentence(self) -> str:
        """Which direction is shown, in words."""
        name = self.direction.concept.name
        if self.way == REGIONAL:
            return (
                f"{name}: no one direction; in each heart what its segments differ by in thickening "
                "is stretched, along the directions of the latent that go with each segment."
            )
        if self.way == STRAIGHT:
            where = (
                "the latents of the whole cycle"
                if self.direction.layer == LATENT
                else (self.direction.layer)
            )
            return f"{name}: direction found in {where} ({self.direction.kind})."
        how = (
            "the smallest plausible latent change that moves the projection"
            if self.way == GRADIENT
            else "the latent change that moves the layer along it alone, by least squares"
        )
        return f"{name}: direction of {self.direction.layer} ({self.direction.kind}), {how}."

    def latents(self, latent: NDArray, alphas: ArrayLike) -> NDArray[np.float32]:
        """Latents along the walk.

        Parameters
        ----------
        latent
            Where the hearts are, shape (n, T, latent).
        alphas
            Standard deviations of the cohort towards the concept, shape (a,).

        Returns
        -------
        Shape (n, a, T, latent).
        """
        wanted = np.asarray(alphas, float)
        if self.way == STRAIGHT:
            return self._straight(latent, wanted)
        if self.regional is not None:
            return np.stack([self.regional.walked(latent, alpha) for alpha in wanted], 1)
        found = np.empty((len(latent), len(wanted), *latent.shape[1:]), np.float32)
        for sign in (1, -1):
            outward = [int(k) for k in np.argsort(np.abs(wanted)) if wanted[k] * sign >= 0]
            here, at = (
                torch.from_numpy(np.array(latent, np.float32)).to(self.classifier.device),
                0.0,
            )
            for k in outward:
                here = self._on(here, wanted[k] - at)
                at = wanted[k]
                found[:, k] = here.cpu().numpy()
        return found

    def change(self) -> NDArray[np.float32]:
        """One standard deviation as a latent change (T, latent), the same for every heart.

        Raises
        ------
        CohortError
            When the walk is not straight.
        """
        if self.way != STRAIGHT:
            raise CohortError(f"a walk by {self.way!r} differs from heart to heart.")
        network = self.classifier.network
        shape = (network.frames, network.latent)
        frame = frame_of(self.direction.layer)
        step = (self.direction.vector * self.direction.sd).astype(np.float32)
        if frame is None:
            return step.reshape(shape)
        change = np.zeros(shape, np.float32)
        change[frame] = step
        return change

    def _straight(self, latent: NDArray, alphas: NDArray) -> NDArray[np.float32]:
        steps = alphas[None, :, None, None] * self.change()[None, None]
        return (np.asarray(latent)[:, None] + steps).astype(np.float32)

    def _on(self, z: Tensor, alpha: float) -> Tensor:
        """Go on by alpha, linearising at every half standard deviation."""
        count = int(np.ceil(abs(alpha) / STEP))
        for _ in range(count):
            step = self._by_jacobian(z) if self.way == LEAST_SQUARES else self._by_gradient(z)
            z = z + step * (alpha / count * self.direction.sd)
        return z

    def _by_gradient(self, z: Tensor) -> Tensor:
        """Change of unit projection, shortest in the cohort's metric, shape of z."""
        assert self.cloud is not None
        vector = torch.as_tensor(self.direction.vector, dtype=z.dtype, device=z.device)
        with torch.enable_grad():
            at = z.detach().requires_grad_(True)
            along = activations_at(self.classifier.network, at, self.direction.layer) @ vector
            (gradient,) = torch.autograd.grad(along.sum(), at)
        gradient = gradient.flatten(1)
        change = self.cloud.spread(gradient)
        gained = (change * gradient).sum(1, keepdim=True).clamp_min(1e-12)
        return (change / gained).reshape(z.shape)

    def _by_jacobian(self, z: Tensor) -> Tensor:
        """Change that moves the layer by the vector: C J' (J C J' + damping)^-1 v."""
        assert self.cloud is not None
        vector = torch.as_tensor(self.direction.vector, dtype=z.dtype, device=z.device)
        network, layer = self.classifier.network, self.direction.layer

        def at(one: Tensor) -> Tensor:
            return activations_at(network, one[None], layer)[0]

        changes = []
        for one in z:
            jacobian = torch.autograd.functional.jacobian(at, one, vectorize=True).flatten(1)
            spread = self.cloud.spread(jacobian)
            gram = jacobian @ spread.T
            damping = _DAMPING * gram.diagonal().mean().clamp_min(1e-12)
            gram.diagonal().add_(damping)
            weights = torch.linalg.solve(gram, vector)
            changes.append((weights @ spread).reshape(one.shape))
        return torch.stack(changes)


def check_way(way: str, layer: str) -> None:
    """Refuse to walk directions of a layer in a way that is not for them.

    Raises
    ------
    CohortError
        With the ways that there are.
    """
    if way not in WAYS:
        raise CohortError(f"a concept is walked by {', '.join(WAYS)}, not by {way!r}.")
    if (way == STRAIGHT) != (layer == LATENT or frame_of(layer) is not None):
        raise CohortError(
            f"directions of {layer} cannot be walked by {way!r}: those of the latent are added to "
            f"it ({STRAIGHT!r}), those of later layers are solved for ({GRADIENT!r} or "
            f"{LEAST_SQUARES!r})."
        )


def combined(
    walks: Sequence[Walk], latent: NDArray, alphas: Sequence[float]
) -> NDArray[np.float32]:
    """Several concepts at once: their changes added, shape (n, T, latent).

    Parameters
    ----------
    walks, alphas
        One alpha a walk.
    latent
        Where the hearts are, shape (n, T, latent).
    """
    start = np.asarray(latent, np.float32)
    total = start.copy()
    for walk, alpha in zip(walks, alphas, strict=True):
        if alpha:
            total += walk.latents(start, [alpha])[:, 0] - start
    return total
