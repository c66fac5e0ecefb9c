"""Sequences in memory or on disk as batches, and their random shifts and turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from napari_cardioxai.errors import CohortError


@dataclass(frozen=True)
class TrainingData:
    """What a latent heart learns from, or is watched on.

    Attributes
    ----------
    sequences
        Shape (n, t, s, y, x): labels uint8, or intensities of a floating type.
    labels
        0, 1 or NaN, shape (n,).
    concepts
        0, 1 or NaN, shape (n, K).
    subjects
        Names, shape (n,).

    Raises
    ------
    CohortError
        When lengths differ or a value is something else.
    """

    sequences: NDArray
    labels: NDArray[np.float32]
    concepts: NDArray[np.float32]
    subjects: tuple[str, ...]

    @classmethod
    def of(
        cls,
        sequences: NDArray,
        *,
        labels: ArrayLike | None = None,
        concepts: ArrayLike | None = None,
        subjects: Sequence[str] | None = None,
    ) -> TrainingData:
        """Fill in what is not known: NaN labels, no concepts, names by number."""
        count = len(sequences)
        truth = np.full(count, np.nan) if labels is None else np.asarray(labels)
        table = np.empty((count, 0)) if concepts is None else np.asarray(concepts)
        names = range(count) if subjects is None else subjects
        return cls(
            sequences, truth.astype(np.float32), table.astype(np.float32), tuple(map(str, names))
        )

    def __post_init__(self) -> None:
        count = len(self.sequences)
        if self.sequences.ndim != 5 or not count:
            raise CohortError(
                f"sequences of shape {self.sequences.shape} are not (subjects, frames, slices, "
                "rows, columns) of one subject or more."
            )
        if (
            self.labels.shape != (count,)
            or self.concepts.ndim != 2
            or not count == len(self.concepts) == len(self.subjects)
        ):
            raise CohortError(
                f"{count} sequences, labels of shape {self.labels.shape}, concepts of shape "
                f"{self.concepts.shape} and {len(self.subjects)} names do not go together."
            )
        for name, values in (("labels", self.labels), ("concepts", self.concepts)):
            odd = ~(np.isnan(values) | (values == 0) | (values == 1))
            if odd.any():
                raise CohortError(f"{name} are 0, 1 or unknown (NaN), not {values[odd][0]:g}.")

    def rows(self, indices: ArrayLike) -> TrainingData:
        """Some of the subjects, in the order given; the sequences are copied."""
        chosen = np.asarray(indices, int)
        return TrainingData(
            self.sequences[chosen],
            self.labels[chosen],
            self.concepts[chosen],
            tuple(self.subjects[k] for k in chosen),
        )

    def __len__(self) -> int:
        return len(self.sequences)


class SequenceBatches(Dataset[dict[str, Tensor]]):
    """Whole batches at once: `dataset[[3, 5, 8]]`, copied from where they lie."""

    def __init__(self, data: TrainingData) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Tensors with the batch as their first axis."""
        rows = self.data.rows(np.asarray(indices))
        return {
            "sequences": as_tensor(rows.sequences),
            "label": torch.from_numpy(rows.labels),
            "concepts": torch.from_numpy(rows.concepts),
        }


def as_tensor(sequences: NDArray) -> Tensor:
    """Labels as they are; intensities, kept in half precision, in single."""
    tensor = torch.from_numpy(np.ascontiguousarray(sequences))
    return tensor.float() if tensor.is_floating_point() else tensor


def as_it_is(batch: Any) -> Any:
    """The collate function of `SequenceBatches`, which are batches already."""
    return batch


def moved(
    sequences: Tensor, *, shift_px: float, turn_deg: float, generator: torch.Generator
) -> Tensor:
    """Each sequence shifted and turned about its middle at random, all its frames alike.

    Labels take the value of the nearest pixel, and what comes in from outside is
    background; intensities are interpolated, and the edge goes on outside.

    Parameters
    ----------
    sequences
        Shape (b, t, s, y, x).
    shift_px, turn_deg
        Largest shift along each axis, in whole pixels where nothing is turned,
        and largest angle; both drawn evenly in both directions.
    generator
        Where the numbers come from, on the CPU.
    """
    if not shift_px and not turn_deg:
        return sequences
    count, (rows, columns) = len(sequences), sequences.shape[-2:]
    draws = 2 * torch.rand((count, 3, 1, 1), generator=generator, dtype=torch.float64) - 1
    shifts, angles = draws[:, :2] * shift_px, draws[:, 2] * math.radians(turn_deg)
    if not turn_deg:
        shifts = shifts.round()
        if not sequences.is_floating_point():
            return _shifted(sequences, shifts.flatten(1).int().tolist())
    middle_y, middle_x = (rows - 1) / 2, (columns - 1) / 2
    dy = torch.arange(rows, dtype=torch.float64)[:, None] - middle_y - shifts[:, 0]
    dx = torch.arange(columns, dtype=torch.float64) - middle_x - shifts[:, 1]
    cos, sin = torch.cos(angles), torch.sin(angles)
    source_y, source_x = cos * dy - sin * dx, sin * dy + cos * dx
    pictures = sequences.flatten(1, 2)
    if sequences.is_floating_point():
        result = _interpolated(pictures, source_y / middle_y, source_x / middle_x)
    else:
        result = _nearest(pictures, source_y + middle_y, source_x + middle_x)
    return result.reshape(sequences.shape)


def _shifted(sequences: Tensor, steps: Sequence[tuple[int, int]]) -> Tensor:
    rows, columns = sequences.shape[-2:]
    most = max(abs(step) for pair in steps for step in pair)
    padded = functional.pad(sequences, (most, most, most, most))
    return torch.stack(
        [
            one.narrow(-2, most - down, rows).narrow(-1, most - right, columns)
            for one, (down, right) in zip(padded, steps, strict=True)
        ]
    )


def _nearest(pictures: Tensor, source_y: Tensor, source_x: Tensor) -> Tensor:
    rows, columns = pictures.shape[-2:]
    row, column = source_y.round().long(), source_x.round().long()
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    place = row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)
    # Not `index_select`, which takes several times as long along the last axis.
    wanted = place.flatten(1)[:, None].expand(-1, pictures.shape[1], -1).to(pictures.device)
    found = pictures.flatten(2).gather(2, wanted).unflatten(2, (rows, columns))
    return found * inside[:, None].to(pictures.device)


def _interpolated(pictures: Tensor, source_y: Tensor, source_x: Tensor) -> Tensor:
    grid = torch.stack([source_x, source_y], -1).to(pictures)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=True)
