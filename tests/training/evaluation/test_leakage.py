import numpy as np
import pytest
from scipy.stats import norm

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.leakage import concept_leakage

SLICES = {"low EF": (0, 2), "low PER": (2, 2)}


def planted(rng, subjects=240, units=6):
    """A latent where `low EF` is planted in unit 1 alone and `low PER` is known to nobody."""
    concepts = {name: rng.integers(0, 2, subjects) for name in SLICES}
    latent = rng.normal(size=(subjects, units))
    latent[:, 1] += 2 * concepts["low EF"]
    return latent, concepts


def test_a_concept_is_found_where_it_was_planted_and_nowhere_else():
    latent, concepts = planted(np.random.default_rng(0))
    flash, per = concept_leakage(latent, concepts, SLICES, permutations=19, folds=3)
    # Two normals 2 apart: area Phi(2 / sqrt 2), balanced accuracy Phi(1).
    assert flash.own.auc == pytest.approx(norm.cdf(np.sqrt(2)), abs=0.05)
    assert flash.own.balanced_accuracy == pytest.approx(norm.cdf(1), abs=0.06)
    assert flash.own.p_value == pytest.approx(1 / 20)
    assert flash.own.permuted_auc_95 < 0.65
    assert flash.own.permuted_auc == pytest.approx(0.5, abs=0.03)
    assert flash.every.auc == pytest.approx(flash.own.auc, abs=0.04)
    nothing = (flash.rest, flash.free, per.own, per.rest, per.every)
    assert [part.auc for part in nothing] == pytest.approx([0.5] * 5, abs=0.12)
    assert sum(part.p_value <= 1 / 20 for part in nothing) <= 1, "one in twenty by chance"


def test_a_leak_into_the_free_part_is_seen_there():
    latent, concepts = planted(np.random.default_rng(1))
    latent[:, 5] -= 2 * concepts["low PER"]
    [found] = concept_leakage(
        latent, {"low PER": concepts["low PER"]}, SLICES, permutations=19, folds=3
    )
    assert found.concept == "low PER"
    assert found.own.p_value > 0.05
    for leaky in (found.rest, found.free, found.every):
        assert leaky.auc > 0.85
        assert leaky.p_value == pytest.approx(1 / 20)


def test_a_concept_that_goes_along_with_another_is_in_the_rest_and_not_in_the_free_part():
    latent, concepts = planted(np.random.default_rng(2))
    [found] = concept_leakage(
        latent, {"low PER": concepts["low EF"]}, SLICES, permutations=0, folds=3
    )
    assert found.rest.auc > 0.85
    assert found.free.auc < 0.65


def test_frames_are_read_together():
    rng = np.random.default_rng(3)
    concept = rng.integers(0, 2, 200)
    latent = rng.normal(size=(200, 4, 6))
    # Equal means in all frames: only the change from the first to the last frame tells.
    latent[:, 0, 0] += 2 * concept
    latent[:, 3, 0] -= 2 * concept
    found = concept_leakage(latent, {"c": concept}, {"c": (0, 1)}, permutations=0)[0]
    assert found.own.auc > 0.95
    assert found.free.auc < 0.65


def test_few_components_read_what_varies_most():
    latent, concepts = planted(np.random.default_rng(4))
    latent[:, 1] *= 5
    found = concept_leakage(
        latent, {"low EF": concepts["low EF"]}, SLICES, permutations=0, components=1
    )[0]
    assert found.every.auc > 0.85
    assert np.isnan(found.every.permuted_auc)
    assert found.every.p_value == 1.0


def test_unknown_subjects_are_left_out_and_the_seed_decides_the_rest():
    latent, concepts = planted(np.random.default_rng(5))
    holes = concepts["low EF"].astype(float)
    holes[:40] = np.nan
    first, again, without = (
        concept_leakage(z, {"low EF": values}, SLICES, permutations=3, seed=7)[0]
        for z, values in ((latent, holes), (latent, holes), (latent[40:], holes[40:]))
    )
    assert first == again == without
    assert first.positives + first.negatives == 200


def test_a_part_that_never_changes_tells_nothing():
    latent, concepts = planted(np.random.default_rng(6))
    latent[:, 2:4] = 0.25
    found = concept_leakage(latent, {"low PER": concepts["low PER"]}, SLICES, permutations=3)[0]
    assert found.own.auc == 0.5
    assert found.own.balanced_accuracy == 0.5


@pytest.mark.parametrize(
    ("latent", "concept", "slices", "message"),
    [
        (np.zeros((4, 6)), [0, 1, 0, 1], {}, "'c' has no slice"),
        (np.zeros((4, 6)), [0, 1, 0, 1], {"c": (4, 3)}, "units 4 to 6 of 6"),
        (np.zeros((4, 6)), [0, 1, 0, 1], {"c": (0, 6)}, "leaves another"),
        (np.zeros((4, 6)), [0, 1, 0], {"c": (0, 1)}, r"values of shape \(3,\) for 4"),
        (np.zeros((4, 6)), [np.nan] * 4, {"c": (0, 1)}, "known for no subject"),
        (np.zeros(4), [0, 1, 0, 1], {"c": (0, 1)}, "cannot be read"),
        (np.zeros((4, 6)), [0, 1, 0, 1], {"c": (0, 1)}, "2 patients with the label 0"),
    ],
)
def test_what_cannot_be_read_is_said(latent, concept, slices, message):
    with pytest.raises(CohortError, match=message):
        concept_leakage(latent, {"c": concept}, slices)
