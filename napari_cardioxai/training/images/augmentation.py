"""Batches of pictures or volumes as if they had been taken a little differently."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from napari_cardioxai.training.images.recipe import ImageRecipe


def augmented(images: Tensor, recipe: ImageRecipe, generator: torch.Generator) -> Tensor:
    """Mirror, turn, shift, stretch, brighten and add noise, each image by itself.

    Parameters
    ----------
    images
        Shape (b, c, y, x) or (b, c, z, y, x), any device.
    recipe
        How much at most.
    generator
        On the CPU; the only source of randomness.

    Returns
    -------
    The same shape; where nothing was it is 0.
    """
    return toned(moved(images, recipe, generator), recipe, generator)


def moved(images: Tensor, recipe: ImageRecipe, generator: torch.Generator) -> Tensor:
    """Mirrored, turned, shifted and stretched; every channel of an image in the same way."""
    dims = images.dim() - 2

    def drawn(most: float, *shape: int) -> Tensor:
        return _drawn(len(images), most, shape, generator)

    matrix = torch.eye(dims).expand(len(images), dims, dims)
    moves = recipe.turn_deg or recipe.shift or recipe.stretch or recipe.flip_lr
    if moves:
        for first in range(dims):
            for second in range(first + 1, dims):
                matrix = matrix @ _turn(drawn(math.radians(recipe.turn_deg)), first, second, dims)
        matrix = matrix * (1 + drawn(recipe.stretch, 1, 1))
        if recipe.flip_lr:
            sign = 1 - 2 * torch.randint(0, 2, (len(images),), generator=generator)
            # Coordinates are x first: columns change sign for the last axis of the array.
            matrix = matrix * torch.stack(
                [sign, *[torch.ones_like(sign)] * (dims - 1)], 1
            ).unsqueeze(1)
        # In coordinates of -1 to 1 a side is 2 long; turns keep angles in pixels.
        sides = torch.tensor([float(n) for n in reversed(images.shape[2:])])
        matrix = matrix * sides[None, None, :] / sides[None, :, None]
        theta = torch.cat([matrix, drawn(2 * recipe.shift, dims, 1)], 2).to(images)
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        images = functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    return images


def toned(images: Tensor, recipe: ImageRecipe, generator: torch.Generator) -> Tensor:
    """Brighter or darker, and with noise."""
    ones = (1,) * (images.dim() - 1)
    if recipe.gain:
        images = images * (1 + _drawn(len(images), recipe.gain, ones, generator)).to(images)
    if recipe.noise:
        sigma = _drawn(len(images), recipe.noise, ones, generator).abs()
        images = images + (torch.randn(images.shape, generator=generator) * sigma).to(images)
    return images


def _drawn(count: int, most: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Evenly from -most to most, shape (count, *shape)."""
    return (2 * torch.rand(count, *shape, generator=generator) - 1) * most


def _turn(angles: Tensor, first: int, second: int, dims: int) -> Tensor:
    """Rotations in the plane of two axes, (b,) to (b, dims, dims)."""
    turned = torch.eye(dims).repeat(len(angles), 1, 1)
    turned[:, first, first] = turned[:, second, second] = angles.cos()
    turned[:, first, second] = -angles.sin()
    turned[:, second, first] = angles.sin()
    return turned
