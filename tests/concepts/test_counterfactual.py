import numpy as np
import pytest
import torch

from napari_cardioxai.concepts.cloud import fit_cloud
from napari_cardioxai.concepts.counterfactual import (
    counterfactual,
    decision_boundary,
    nearest_crossing,
    what_changed,
)
from napari_cardioxai.concepts.fidelity import BiomarkerScale
from napari_cardioxai.errors import CohortError
from tests.concepts import hearts


def a_cloud(z):
    return fit_cloud(z, rng=np.random.default_rng(0))


def test_on_a_linear_model_the_change_is_the_covariance_times_the_gradient():
    z = hearts.latents(400, correlation=0.8)
    classifier, cloud = hearts.known_classifier(), a_cloud(z)
    start = z[np.argmax(z.mean(1)[:, hearts.EF])]
    change = nearest_crossing(classifier, cloud, start) - start
    gradient = hearts.reading(start[None], "latent").gradients
    expected = cloud.spread(torch.from_numpy(gradient))[0].numpy().reshape(change.shape)
    cosine = np.sum(change * expected) / np.linalg.norm(change) / np.linalg.norm(expected)
    assert cosine > 0.999
    # logit = -EF, so the change ends where EF is 0, and takes the correlated PFR along.
    assert (start + change).mean(0)[hearts.EF] == pytest.approx(0, abs=0.02)
    ratio = change.mean(0)[hearts.PFR] / change.mean(0)[hearts.EF]
    assert ratio == pytest.approx(0.8, abs=0.15)


def test_the_boundary_is_that_of_the_card_after_the_temperature():
    assert decision_boundary(hearts.known_classifier()) == pytest.approx(0)


def test_the_other_heart_is_decided_otherwise_and_told_in_words_and_numbers():
    z = hearts.latents(400)
    classifier, cloud = hearts.known_classifier(), a_cloud(z)
    start = z[np.argsort(z.mean(1)[:, hearts.EF])[-40]]
    found = counterfactual(
        classifier, cloud, BiomarkerScale.of(hearts.biomarkers(z)), start, hearts.RULER
    )
    assert found.logit_before < 0 <= found.logit_after < 0.05
    assert found.is_plausible
    before = hearts.ef_percent(start.mean(0)[hearts.EF])
    assert found.before["ef_percent"] == pytest.approx(before, abs=1.0)
    assert found.after["ef_percent"] == pytest.approx(60, abs=1.0)
    assert found.sentence.startswith(f"EF {found.before['ef_percent']:.0f} to 60 %")
    assert found.distance == pytest.approx(start.mean(0)[hearts.EF], rel=0.15)


def test_words_name_the_largest_changes_first_and_leave_out_what_cannot_be_seen():
    scale = BiomarkerScale(np.ones(9), np.eye(9))
    from napari_cardioxai.concepts.biomarkers import BIOMARKERS

    before = dict.fromkeys(BIOMARKERS, float("nan")) | {"ef_percent": 52.0, "per_edv_s": 3.0}
    after = before | {"ef_percent": 41.0, "per_edv_s": 3.01}
    assert what_changed(before, after, scale) == "EF 52 to 41 %"
    assert what_changed(before, before, scale) == "no biomarker changed visibly"


def test_a_decision_that_never_changes_is_said_so():
    classifier = hearts.known_classifier()
    torch.nn.init.zeros_(classifier.network.decision[2].weight)
    z = hearts.latents(60)
    with pytest.raises(CohortError, match="does not depend on this heart"):
        nearest_crossing(classifier, a_cloud(z), z[0])
