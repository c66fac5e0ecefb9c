from pathlib import Path

import numpy as np
import pytest

from napari_cardioxai.concepts.cloud import fit_cloud
from napari_cardioxai.concepts.directions import find_direction
from napari_cardioxai.concepts.layers import LayerReading
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS
from napari_cardioxai.concepts.regional import RegionalModel, fit_regional
from napari_cardioxai.concepts.samples import extremes
from napari_cardioxai.concepts.walk import REGIONAL, Walk
from napari_cardioxai.errors import BundleError, CohortError
from tests.concepts import hearts

HIGH_LVT = CLOUGH_CONCEPTS[-1]
MIXING = np.random.default_rng(9).normal(size=(12, hearts.FRAMES * hearts.UNITS))
MIXING /= np.linalg.norm(MIXING, axis=1, keepdims=True)


def a_cohort(count=300, seed=0):
    """Latents, and thickening of 40 % with one or two segments of every heart apart."""
    z = np.random.default_rng(seed).normal(size=(count, hearts.FRAMES, hearts.UNITS))
    return z.astype(np.float32), 40 + 5 * z.reshape(count, -1) @ MIXING.T


def variance(thickening):
    return thickening.reshape(-1, 2, 6).var(2).mean(1)


@pytest.fixture(scope="module")
def found():
    z, thickening = a_cohort()
    return fit_regional(z, thickening, rng=np.random.default_rng(0))


def test_segments_and_their_variance_are_read_from_unseen_latents(found):
    z, thickening = a_cohort(100, seed=1)
    read = found.log_variance(z)
    assert found.r2.min() > 0.9
    assert np.corrcoef(read, np.log(variance(thickening) + 1))[0, 1] > 0.95


def test_the_walk_multiplies_the_variance_and_keeps_each_hearts_own_pattern(found):
    z, thickening = a_cohort()
    flat = z.reshape(len(z), -1).astype(float)
    values, rng = variance(thickening), np.random.default_rng(0)
    direction = find_direction(
        LayerReading("latent", flat, np.zeros_like(flat), np.zeros(len(flat))),
        extremes(HIGH_LVT, values),
        "pattern",
        rng=rng,
    )
    walk = Walk(hearts.known_classifier(), direction, REGIONAL, fit_cloud(z, rng=rng), found)
    path = walk.latents(z[:5], [-2, -1, 0, 1, 2])
    logs = np.stack([found.log_variance(path[:, k]) for k in range(5)])
    assert np.allclose(np.diff(logs, axis=0), float(found.sd[0]), rtol=0.15)
    walked = 40 + 5 * path.reshape(5, 5, -1).astype(float) @ MIXING.T
    apart = walked.reshape(5, 5, 2, 6) - walked.reshape(5, 5, 2, 6).mean(3, keepdims=True)
    for before, after in zip(apart[:, 2], apart[:, 4], strict=True):
        assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9
    # No single direction does that: the mean over the cohort moves no wall in particular.
    straight = direction.vector * direction.sd
    moved = variance(40 + 5 * (flat[:5] + 2 * straight) @ MIXING.T) / variance(thickening[:5])
    assert moved.mean() < np.exp(2 * float(found.sd[0]))
    assert "no one direction" in walk.sentence()


def test_a_model_comes_back_from_its_arrays_and_half_of_one_is_refused(found):
    where = Path("book")
    again = RegionalModel.from_arrays(found.as_arrays(), where=where)
    assert np.array_equal(again.weights, found.weights)
    assert RegionalModel.from_arrays({}, where=where) is None
    with pytest.raises(BundleError, match="only a part"):
        RegionalModel.from_arrays({"regional.sd": found.sd}, where=where)


def test_too_few_measured_walls_are_refused():
    z, thickening = a_cohort(60)
    thickening[:20] = np.nan
    with pytest.raises(CohortError, match="40 subjects have all segments"):
        fit_regional(z, thickening, rng=np.random.default_rng(0))
