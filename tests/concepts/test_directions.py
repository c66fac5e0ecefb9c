import numpy as np
import pytest

from napari_cardioxai.concepts.directions import KINDS, cosines, find_direction, turned
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS, Concept
from napari_cardioxai.concepts.region import find_region
from napari_cardioxai.concepts.samples import extremes, tagged
from napari_cardioxai.errors import CohortError
from tests.concepts import hearts

LOW_EF, LOW_PFR = CLOUGH_CONCEPTS[0], CLOUGH_CONCEPTS[2]


def find(kind, *, correlation=0.0, concept=LOW_PFR, count=300):
    z = hearts.latents(count, correlation=correlation)
    mean = z.mean(1)
    unit, other = (hearts.PFR, hearts.EF) if concept is LOW_PFR else (hearts.EF, hearts.PFR)
    return find_direction(
        hearts.reading(z),
        extremes(concept, mean[:, unit]),
        kind,
        rng=np.random.default_rng(0),
        others=mean[:, [other]],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_the_unit_that_holds_the_concept(kind):
    direction = find(kind)
    expected = -np.eye(64)[hearts.PFR]  # towards low
    assert direction.vector @ expected > 0.97
    assert np.linalg.norm(direction.vector) == pytest.approx(1)
    assert direction.holdout.low <= direction.holdout.value <= direction.holdout.high
    assert direction.holdout.value > 0.9
    assert direction.stability > 0.95


def test_one_standard_deviation_is_that_of_the_cohort_along_the_direction():
    assert find("pattern").sd == pytest.approx(1.0, rel=0.1)  # unit 1 has a deviation of 1


def test_the_pattern_of_a_correlated_biomarker_is_turned_by_the_correlation_as_algebra_says():
    # E[h | PFR] moves EF by the correlation for each standard deviation of PFR.
    direction = find("pattern", correlation=0.8, count=2000)
    expected = -np.array([0.8, 1.0]) / np.hypot(0.8, 1.0)
    assert direction.vector[:2] @ expected > 0.99


def test_adjusting_for_the_other_biomarker_takes_the_correlation_out():
    direction = find("adjusted", correlation=0.8)
    assert abs(direction.vector[hearts.EF]) < 0.1
    assert direction.vector[hearts.PFR] < -0.99


def test_cosines_tell_which_concepts_point_the_same_way():
    pfr, ef = find("pattern", correlation=0.8), find("pattern", correlation=0.8, concept=LOW_EF)
    table = cosines([pfr, ef, turned(pfr)])
    assert np.allclose(np.diag(table), 1)
    assert table[0, 1] > 0.9
    assert table[0, 2] == pytest.approx(-1)


def test_held_out_accuracy_of_a_random_concept_is_that_of_a_coin():
    read = hearts.reading(hearts.latents(400))
    has = np.random.default_rng(3).random(400) < 0.5
    direction = find_direction(
        read, tagged(Concept("chance"), has), "linear", rng=np.random.default_rng(0)
    )
    assert direction.holdout.low < 0.5 < direction.holdout.high


def test_a_region_knows_a_concept_with_two_bad_ends_and_a_line_does_not():
    z = hearts.latents(300, seed=4)
    read = hearts.reading(z)
    odd = np.abs(z.mean(1)[:, hearts.EF]) > 0.8
    sets, rng = tagged(Concept("odd EF"), odd), np.random.default_rng(0)
    region = find_region(read, sets, rng=rng)
    assert region.holdout.low > 0.85 > find_direction(read, sets, "linear", rng=rng).holdout.high
    # Inside, the density falls from both ends towards the middle.
    ef = z.mean(1)[:, hearts.EF]
    low, middle, high = (np.argmin(np.abs(ef - at)) for at in (-1.5, 0.0, 1.5))
    density = region.density(read.activations)
    assert min(density[low], density[high]) > density[middle]


def test_the_sensitivity_of_a_region_is_the_derivative_of_its_density_along_the_gradient():
    z = hearts.latents(60, seed=5)
    read = hearts.reading(z)
    sets = extremes(LOW_EF, z.mean(1)[:, hearts.EF])
    region = find_region(read, sets, rng=np.random.default_rng(0))
    step = 1e-4
    ahead, behind = (
        region.density(read.activations + sign * step * read.gradients) for sign in (1, -1)
    )
    assert np.allclose(region.sensitivities(read), (ahead - behind) / (2 * step), atol=1e-6)


def test_a_concept_without_a_biomarker_cannot_be_regressed():
    read = hearts.reading(hearts.latents(40))
    sets = tagged(Concept("flash"), np.arange(40) % 2)
    with pytest.raises(CohortError, match="no biomarker"):
        find_direction(read, sets, "regression", rng=np.random.default_rng(0))
