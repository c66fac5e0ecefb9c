"""A heart whose radius in each frame is one unit of that frame's latent, and known directions to move it along."""

from functools import lru_cache

import numpy as np
import torch

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.concepts.biomarkers import BIOMARKERS
from napari_cardioxai.concepts.book import ConceptBook
from napari_cardioxai.concepts.cloud import fit_cloud
from napari_cardioxai.concepts.directions import find_direction
from napari_cardioxai.concepts.fidelity import BiomarkerScale
from napari_cardioxai.concepts.heart import ConceptHeart
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS
from napari_cardioxai.concepts.samples import extremes
from napari_cardioxai.scans.geometry import Geometry
from tests.concepts import hearts

SCAN_FRAMES, SLICES, SIDE = 30, 5, 96
SLICE_MM, PIXEL_MM = 10.0, 1.25
RADIUS_PX, WALL_PX = 12.0, 6.0
CYCLE_MS = 900.0


class Cylinders(hearts.KnownHeart):
    """Each frame is a ring: radius 12 pixels and unit 0, wall 6 pixels and unit 1."""

    def encode(self, x):
        areas = torch.count_nonzero(x[:, :, 1] == 1, dim=(2, 3)).float()
        z = torch.zeros(*x.shape[:2], hearts.UNITS)
        z[..., 0] = (areas / np.pi).sqrt() - RADIUS_PX
        return z, torch.zeros_like(z)

    def decode(self, z):
        distance = np.hypot(*(np.mgrid[:80, :80] - 39.5))
        radius = RADIUS_PX + z[..., 0].numpy()[..., None, None, None]
        wall = WALL_PX + z[..., 1].numpy()[..., None, None, None]
        labels = np.where(distance < radius, 1, np.where(distance < radius + wall, 2, 0))
        labels = torch.from_numpy(np.broadcast_to(labels, (*z.shape[:2], 3, 80, 80)).copy())
        return torch.nn.functional.one_hot(labels, 4).permute(0, 1, 2, 5, 3, 4).float()


def classifier_of(network):
    return LatentClassifier(hearts.known_card(), network.eval(), "cpu", {})


def book_of(classifier, *, layer="latent", way="latent"):
    rng = np.random.default_rng(0)
    z = hearts.latents(80)
    directions = {}
    for concept, unit in zip((CLOUGH_CONCEPTS[0], CLOUGH_CONCEPTS[2]), (0, 1), strict=True):
        reading = hearts.reading(z, layer)
        sets = extremes(concept, z.mean(1)[:, unit])
        directions[concept.name] = find_direction(reading, sets, "pattern", rng=rng)
    size = len(BIOMARKERS)
    scale = BiomarkerScale(np.ones(size), np.eye(size))
    return ConceptBook("known", "m.csv", way, directions, fit_cloud(z, rng=rng), scale)


def labels_of(frames=SCAN_FRAMES):
    """Rings that beat beside a block of RV, in the three slices in the middle."""
    data = np.zeros((frames, SLICES, SIDE, SIDE), np.uint8)
    distance = np.hypot(*(np.mgrid[:SIDE, :SIDE] - np.array([50.0, 44.0])[:, None, None]))
    for t in range(frames):
        radius = RADIUS_PX + 4 * np.cos(2 * np.pi * t / frames)
        data[t, 1:4][:, distance < radius + WALL_PX] = 2
        data[t, 1:4][:, distance < radius] = 1
    data[:, 1:4, 46:54, 68:76] = 3
    geometry = Geometry((SLICE_MM, PIXEL_MM, PIXEL_MM), np.diag([PIXEL_MM, PIXEL_MM, SLICE_MM, 1]))
    return Labels(data, geometry, np.arange(frames) * CYCLE_MS / frames, CYCLE_MS)


@lru_cache(maxsize=1)
def moved_heart():
    classifier = classifier_of(Cylinders())
    return ConceptHeart.of(labels_of(), classifier, book_of(classifier))
