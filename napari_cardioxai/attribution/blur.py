"""Gaussian blur along every axis of an image that has a length, as matrix products.

A Gaussian is separable, and along one axis it is a matrix: exact for any width,
with its treatment of the edges built in, and no slower for wide ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Edges = Literal["zero", "reflect"]

_REACH = 4.0  # standard deviations, as scipy.ndimage.gaussian_filter cuts off
_WIDEST = 0.22  # of the smallest side: what remains is a gradient over the image, not its contents


def default_sigma_mm(shape: Sequence[int], spacing_mm: Sequence[float | None]) -> float:
    """The blur beyond which no structure is left: 0.22 of the smallest extent, in mm."""
    sides = [
        length * step
        for length, step in zip(shape, spacing_mm, strict=True)
        if step is not None and length > 1
    ]
    return _WIDEST * min(sides, default=1.0)


def blurred(
    images: Tensor,
    sigma_mm: float,
    *,
    spacing_mm: Sequence[float | None],
    edges: Edges = "zero",
) -> Tensor:
    """Images blurred alike in all directions of space.

    Parameters
    ----------
    images
        Shape (..., *spatial).
    sigma_mm
        Standard deviation of the Gaussian, in mm; cut off at four of them.
    spacing_mm
        One entry a spatial axis; an axis with None, such as time, is not blurred.
    edges
        What lies beyond the image: "zero", or the image again ("reflect").

    Returns
    -------
    Of the shape of `images`.
    """
    first = images.ndim - len(spacing_mm)
    for axis, step in enumerate(spacing_mm, first):
        length = images.shape[axis]
        if step is None or length == 1 or sigma_mm <= 0:
            continue
        matrix = gaussian_matrix(length, sigma_mm / step, edges=edges).to(images)
        images = torch.tensordot(images, matrix, dims=([axis], [1])).movedim(-1, axis)
    return images.contiguous()


def gaussian_matrix(length: int, sigma: float, *, edges: Edges) -> Tensor:
    """The matrix (length, length) that blurs a signal by `sigma` samples, float64."""
    reach = max(1, int(_REACH * sigma + 0.5))
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    weights /= weights.sum()
    rows = torch.arange(length)[:, None].expand(length, len(offsets))
    columns = rows + offsets
    matrix = torch.zeros(length, length, dtype=torch.float64)
    if edges == "zero":
        weights = weights * ((columns >= 0) & (columns < length))
        columns = columns.clamp(0, length - 1)
    else:
        columns = columns.remainder(2 * length)
        columns = torch.where(columns < length, columns, 2 * length - 1 - columns)
    return matrix.index_put((rows, columns), weights.expand(length, -1), accumulate=True)
