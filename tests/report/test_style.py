"""Structures are told apart by colour-blind readers too."""

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_cardioxai.report.style import (
    POINTER_COLOUR,
    STRUCTURE_COLOURS,
    WALL_COLOURS,
    WALL_DASHES,
)

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
SEEN_BY = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "everyone": np.eye(3),
}


def linear(colour: str) -> np.ndarray:
    s = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def encoded(rgb: np.ndarray) -> np.ndarray:
    rgb = np.clip(rgb, 0, 1)
    return np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("reader", SEEN_BY)
def test_any_two_structures_differ_clearly(reader):
    seen = {
        value: rgb2lab(encoded(np.array(SEEN_BY[reader]) @ linear(colour)))
        for value, colour in STRUCTURE_COLOURS.items()
    }
    for one, other in combinations(seen, 2):
        # 2.3 is just noticeable; 20 is another colour at a glance.
        assert deltaE_ciede2000(seen[one], seen[other]) > 20, (one, other)


@pytest.mark.parametrize("reader", SEEN_BY)
def test_walls_of_a_slice_and_the_pointer_differ_too(reader):
    def seen(colour):
        return rgb2lab(encoded(np.array(SEEN_BY[reader]) @ linear(colour)))

    for one, other in combinations(WALL_COLOURS, 2):
        assert deltaE_ciede2000(seen(one), seen(other)) > 12, (one, other)
    for colour in STRUCTURE_COLOURS.values():
        assert deltaE_ciede2000(seen(POINTER_COLOUR), seen(colour)) > 12, colour


def test_neighbouring_walls_differ_without_any_colour():
    following = (*WALL_DASHES[1:], WALL_DASHES[0])
    assert all(one != next_one for one, next_one in zip(WALL_DASHES, following, strict=True))
