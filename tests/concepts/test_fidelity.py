import numpy as np
import pytest

from napari_cardioxai.concepts.biomarkers import BIOMARKERS
from napari_cardioxai.concepts.cloud import fit_cloud
from napari_cardioxai.concepts.directions import find_direction
from napari_cardioxai.concepts.fidelity import (
    BiomarkerScale,
    Walked,
    fidelity,
    walk_and_measure,
)
from napari_cardioxai.concepts.layers import read_layer
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS, Concept
from napari_cardioxai.concepts.plausibility import Plausibility
from napari_cardioxai.concepts.samples import extremes
from napari_cardioxai.concepts.walk import Walk
from napari_cardioxai.errors import CohortError
from tests.concepts import hearts

LOW_EF, LOW_PFR = CLOUGH_CONCEPTS[0], CLOUGH_CONCEPTS[2]
KEYS = list(BIOMARKERS)
ALPHAS = np.array([-1.0, 0.0, 1.0, 2.0])


def a_walked(slopes, *, concept=LOW_EF, hearts_walked=5, plausibility=None):
    """Biomarkers that change by so much per alpha, from a different start in every heart."""
    values = np.full((hearts_walked, len(ALPHAS), len(KEYS)), 50.0)
    for key, slope in slopes.items():
        values[..., KEYS.index(key)] += slope * ALPHAS
    values += np.arange(hearts_walked)[:, None, None]
    logits = np.zeros(values.shape[:2])
    return Walked(concept, "made", ALPHAS, values, logits, plausibility)


def a_scale(**sd):
    correlation = np.eye(len(KEYS))
    a, b = KEYS.index("ef_percent"), KEYS.index("per_edv_s")
    correlation[a, b] = correlation[b, a] = 0.7
    return BiomarkerScale(np.array([sd.get(key, 1.0) for key in KEYS]), correlation)


def judge(walked, scale=None):
    return fidelity(walked, scale or a_scale(), rng=np.random.default_rng(0))


def test_slope_is_in_standard_deviations_and_counted_towards_the_concept():
    found = judge(a_walked({"ef_percent": -4.0}), a_scale(ef_percent=8.0))
    assert found.slope.value == pytest.approx(0.5)
    assert found.slopes["ef_percent"].value == pytest.approx(-0.5)
    assert found.spearman == pytest.approx(1.0)
    assert found.monotone == 1.0
    assert found.moves_its_own and "moves EF" in found.verdict


def test_specificity_compares_with_the_most_moved_other_and_with_its_own_cluster():
    found = judge(a_walked({"ef_percent": -4.0, "per_edv_s": -2.0, "lvm_g": 8.0}))
    assert found.specificity == pytest.approx(0.5)
    assert found.cluster_specificity == pytest.approx(2.0)
    assert found.is_specific


def test_a_direction_that_moves_its_cluster_more_is_said_so():
    found = judge(a_walked({"ef_percent": -1.0, "per_edv_s": -2.0}))
    assert not found.is_specific
    assert "but PER more (2.00 SD)" in found.verdict


def test_a_direction_that_does_not_move_its_biomarker_or_the_wrong_way_is_said_so():
    still, wrong = judge(a_walked({"lvm_g": 1.0})), judge(a_walked({"ef_percent": 3.0}))
    assert still.spearman == 0.0 and wrong.spearman == pytest.approx(-1.0)
    for found in (still, wrong):
        assert not found.moves_its_own
        assert "does not move EF" in found.verdict


def test_what_could_not_be_measured_is_left_out_and_not_taken_for_zero():
    walked = a_walked({"ef_percent": -4.0, "pafr_edv_s": 1.0})
    walked.values[:, 2:, KEYS.index("pafr_edv_s")] = np.nan
    found = judge(walked)
    assert np.isnan(found.slopes["pafr_edv_s"].value)
    assert found.as_json()["slopes"]["pafr_edv_s"] is None


def test_the_plausible_range_ends_where_hearts_stop_being_hearts():
    shape = (5, len(ALPHAS))
    sound = np.ones(shape, bool)
    sound[:, 3] = False
    told = Plausibility(np.ones(shape, bool), np.ones(shape), sound)
    assert judge(a_walked({"ef_percent": -1.0}, plausibility=told)).plausible_alpha == (-1.0, 1.0)


def test_a_concept_without_a_biomarker_has_no_fidelity():
    with pytest.raises(CohortError, match="names no biomarker"):
        judge(a_walked({}, concept=Concept("flash")))


@pytest.fixture(scope="module")
def walks():
    """Low PFR in a cohort where PFR goes with EF, raw and with EF held fixed, on the phantom."""
    z = hearts.latents(300, correlation=0.8)
    mean, rng = z.mean(1), np.random.default_rng(0)
    classifier = hearts.known_classifier()
    read = read_layer(classifier, z, "latent")
    scale = BiomarkerScale.of(hearts.biomarkers(z))
    found = {}
    for kind in ("pattern", "adjusted"):
        sets = extremes(LOW_PFR, mean[:, hearts.PFR])
        direction = find_direction(read, sets, kind, rng=rng, others=mean[:, [hearts.EF]])
        walk = Walk(classifier, direction, "latent")
        middle = z[np.argsort(np.abs(mean[:, :2]).sum(1))[:3]]
        found[kind] = walk_and_measure(
            walk, middle, [hearts.RULER] * 3, alphas=[-1.5, -0.75, 0, 0.75, 1.5]
        )
    return found, scale


def test_decoded_phantoms_are_measured_as_what_their_latents_say(walks):
    walked = walks[0]["adjusted"]
    middle = walked.values[:, 2]
    assert middle[:, KEYS.index("ef_percent")] == pytest.approx(60, abs=3)
    assert middle[:, KEYS.index("pfr_edv_s")] == pytest.approx(3, abs=0.4)
    assert middle[:, KEYS.index("edv_ml")] == pytest.approx(hearts.EDV_ML, rel=0.02)


def test_a_direction_that_is_only_correlated_is_told_from_one_that_is_causal_in_the_phantom(walks):
    found, scale = walks
    raw, adjusted = (judge(found[kind], scale) for kind in ("pattern", "adjusted"))
    moved = {
        name: abs(one.slopes["ef_percent"].value) for name, one in (("raw", raw), ("own", adjusted))
    }
    assert raw.moves_its_own and adjusted.moves_its_own
    assert adjusted.spearman > 0.95
    assert adjusted.slope.value > 2 * moved["own"]
    assert raw.slope.value < 2 * moved["raw"]
    # The decision depends on EF alone, and follows only the walk that takes EF along.
    assert (
        np.ptp(found["pattern"].logits, axis=1).min()
        > 5 * np.ptp(found["adjusted"].logits, axis=1).max()
    )


def test_the_scale_of_a_cohort_knows_which_biomarkers_go_together():
    z = hearts.latents(300, correlation=0.8)
    scale = BiomarkerScale.of(hearts.biomarkers(z))
    assert scale.cluster("pfr_edv_s") == ["ef_percent", "pfr_edv_s"]
    assert scale.sd[KEYS.index("ef_percent")] == pytest.approx(5.0, rel=0.1)
    assert fit_cloud(z, rng=np.random.default_rng(0)).is_near(z).mean() > 0.9
