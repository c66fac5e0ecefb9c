from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_cardioxai.concepts.cloud import fit_cloud
from napari_cardioxai.concepts.directions import find_direction
from napari_cardioxai.concepts.layers import read_layer
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS
from napari_cardioxai.concepts.samples import extremes
from napari_cardioxai.concepts.walk import Walk, combined
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.latent import LatentHeart
from tests.concepts import hearts

LOW_EF, LOW_PFR = CLOUGH_CONCEPTS[0], CLOUGH_CONCEPTS[2]


def a_walk(way, layer, *, concept=LOW_EF, unit=hearts.EF, z=None):
    z = hearts.latents(200) if z is None else z
    classifier, rng = hearts.known_classifier(), np.random.default_rng(0)
    direction = find_direction(
        read_layer(classifier, z, layer), extremes(concept, z.mean(1)[:, unit]), "pattern", rng=rng
    )
    return Walk(classifier, direction, way, fit_cloud(z, rng=rng))


def test_a_direction_of_the_latent_is_added_in_standard_deviations_of_the_cohort():
    z = hearts.latents(200)
    walk = a_walk("latent", "latent", z=z)
    path = walk.latents(z[:3], [-2, 0, 1])
    assert path.shape == (3, 3, hearts.FRAMES, hearts.UNITS)
    assert np.allclose(path[:, 1], z[:3])
    assert np.allclose(path[:, 2] - path[:, 1], walk.change(), atol=1e-5)
    deviation = z.mean(1)[:, hearts.EF].std()
    moved = path[:, 0].mean(1)[:, hearts.EF] - z[:3].mean(1)[:, hearts.EF]
    assert np.allclose(moved, 2 * deviation, rtol=0.02)  # two steps away from low EF


def test_a_direction_of_one_frame_changes_that_frame_only():
    walk = a_walk("latent", "latent frame 4")
    assert np.flatnonzero(np.abs(walk.change()).sum(1)).tolist() == [3]


@pytest.mark.parametrize("way", ["gradient", "least squares"])
def test_a_direction_of_the_concept_layer_is_solved_for_and_the_layer_goes_as_far_as_asked(way):
    z = hearts.latents(200)
    walk = a_walk(way, "concept_layer", z=z)
    path = walk.latents(z[:2], [-2, 0, 1.5])
    along = [walk.direction.projection(hearts.reading(path[:, k]).activations) for k in range(3)]
    assert np.allclose(along[0] - along[1], -2, atol=0.01)
    assert np.allclose(along[2] - along[1], 1.5, atol=0.01)


def test_least_squares_leaves_the_other_units_and_the_gradient_follows_the_cohort():
    z = hearts.latents(400, correlation=0.8)
    others = {}
    for way in ("gradient", "least squares"):
        classifier, rng = hearts.known_classifier(), np.random.default_rng(0)
        read = read_layer(classifier, z, "concept_layer")
        mean = z.mean(1)
        direction = find_direction(
            read,
            extremes(LOW_EF, mean[:, hearts.EF]),
            "adjusted",
            rng=rng,
            others=mean[:, [hearts.PFR]],
        )
        walk = Walk(classifier, direction, way, fit_cloud(z, rng=rng))
        step = walk.latents(z[:1], [-1.0])[0, 0] - z[0]
        others[way] = step.mean(0)[hearts.PFR] / step.mean(0)[hearts.EF]
    assert abs(others["least squares"]) < 0.1
    # The cheapest way for the cohort takes the correlated unit along: regression of PFR on EF.
    assert others["gradient"] == pytest.approx(0.8, abs=0.15)


def test_on_a_bent_classifier_small_steps_still_arrive():
    z, rng = hearts.latents(200), np.random.default_rng(0)
    torch.manual_seed(0)
    network = LatentHeart(latent=hearts.UNITS, channels=(4, 4), hidden=(16,)).eval()
    classifier = replace(hearts.known_classifier(), network=network)
    read = read_layer(classifier, z, "concept_layer")
    sets = extremes(LOW_EF, z.mean(1)[:, hearts.EF])
    direction = find_direction(read, sets, "pattern", rng=rng)
    walk = Walk(classifier, direction, "gradient", fit_cloud(z, rng=rng))
    path = walk.latents(z[:4], [0, 1])
    before, after = (
        direction.projection(read_layer(classifier, path[:, k], "concept_layer").activations)
        for k in range(2)
    )
    assert np.allclose(after - before, 1, atol=0.35)


def test_several_concepts_at_once_add_their_changes():
    z = hearts.latents(200)
    low_ef = a_walk("latent", "latent", z=z)
    low_pfr = a_walk("latent", "latent", concept=LOW_PFR, unit=hearts.PFR, z=z)
    both = combined([low_ef, low_pfr], z[:2], [1.0, -2.0])
    assert np.allclose(both - z[:2], low_ef.change() - 2 * low_pfr.change(), atol=1e-5)


def test_a_walk_says_which_direction_is_shown_and_refuses_what_does_not_fit():
    walk = a_walk("gradient", "concept_layer")
    assert "concept_layer" in walk.sentence() and "smallest plausible" in walk.sentence()
    with pytest.raises(CohortError, match="cannot be walked by 'latent'"):
        Walk(walk.classifier, walk.direction, "latent", walk.cloud)
    with pytest.raises(CohortError, match="differs from heart to heart"):
        walk.change()
