"""A heart moved along known directions."""

from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.concepts.difference import GONE, difference_labels
from napari_cardioxai.concepts.heart import STOPS, ConceptHeart
from napari_cardioxai.concepts.sweep import to_and_fro
from napari_cardioxai.concepts.traverse import traverse
from napari_cardioxai.concepts.walk import combined
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.progress import Cancelled
from tests.concepts.moved_heart import (
    PIXEL_MM,
    RADIUS_PX,
    SCAN_FRAMES,
    SIDE,
    SLICE_MM,
    SLICES,
    Cylinders,
    book_of,
    classifier_of,
    labels_of,
    moved_heart,
)


@pytest.fixture
def heart():
    return moved_heart()


def test_each_frame_of_the_scan_is_that_of_the_whole_cycle(heart):
    for alphas in ({"low EF": 1.3}, {"low EF": -2.0, "low PFR": 0.7}):
        latent = heart.at(alphas)
        whole = heart.on_scan(heart.cycle(latent))
        assert whole.shape == (SCAN_FRAMES, SLICES, SIDE, SIDE) and whole.any()
        for frame in range(SCAN_FRAMES):
            assert np.array_equal(heart.frame(latent, frame), whole[frame])


def test_nothing_moved_is_the_reconstruction_itself(heart):
    latent = heart.at({"low EF": 0.0})
    assert np.array_equal(latent, heart.latent)
    assert heart.cycle(latent) is heart.reconstruction
    assert heart.on_scan(heart.reconstruction) is heart.restored
    assert heart.readout(heart.reconstruction, latent) is heart.redrawn
    assert np.array_equal(heart.frame(latent, 3), heart.restored[3])


def test_several_concepts_add_up_and_volumes_are_those_of_the_radius(heart):
    walks = [heart.walks[name] for name in ("low EF", "low PFR")]
    expected = combined(walks, heart.latent[None], [-1.5, 0.5])[0]
    latent = heart.at({"low EF": -1.5, "low PFR": 0.5})
    assert np.allclose(latent, expected, atol=1e-5)
    radius_mm = (RADIUS_PX + latent[:, 0]) * PIXEL_MM
    ml = 3 * np.pi * radius_mm**2 * SLICE_MM / 1000
    found = heart.readout(heart.cycle(latent), latent)
    assert found.biomarkers["edv_ml"] == pytest.approx(ml.max(), rel=0.02)
    assert found.volume_ml.shape == (SCAN_FRAMES,)
    assert found.volume_ml.max() == pytest.approx(ml.max(), rel=0.02)
    assert found.volume_ml.min() == pytest.approx(ml.min(), rel=0.03)
    said = heart.classifier.decide(latent[None])
    assert (found.logit, found.probability) == (said.logit[0], said.probability[0])


def test_labels_and_reconstruction_are_measured_in_the_same_slices(heart):
    ends = RADIUS_PX + 4, RADIUS_PX - 4
    ef = 100 * (1 - (ends[1] / ends[0]) ** 2)
    assert heart.slices in ((1, 2, 3), (3, 2, 1))
    assert heart.labelled.biomarkers["ef_percent"] == pytest.approx(ef, abs=1.5)
    assert heart.redrawn.biomarkers["ef_percent"] == pytest.approx(ef, abs=2.5)


@pytest.mark.parametrize("way", ["gradient", "least squares"])
def test_a_walk_that_differs_from_heart_to_heart_is_met_at_its_stops_and_straight_between(way):
    classifier = classifier_of(Cylinders())
    heart = ConceptHeart.of(
        labels_of(), classifier, book_of(classifier, layer="concept_layer", way=way)
    )
    path = heart.walks["low EF"].latents(heart.latent[None], STOPS)[0]
    for k in (0, 6, 12):
        assert np.allclose(heart.at({"low EF": STOPS[k]}), path[k], atol=1e-5)
    between = heart.at({"low EF": 0.75 * STOPS[3] + 0.25 * STOPS[4]})
    assert np.allclose(between, 0.75 * path[3] + 0.25 * path[4], atol=1e-5)


def test_a_model_that_draws_no_labels_is_refused():
    network = Cylinders()
    network.prior_to_map = None
    classifier, book = classifier_of(network), moved_heart().book
    for walk in (
        lambda: ConceptHeart.of(labels_of(), classifier, book),
        lambda: traverse(book.walk(classifier, "low EF"), labels_of(), [0.0]),
    ):
        with pytest.raises(BundleError, match="does not draw labelled hearts"):
            walk()


def test_labels_that_the_model_may_not_decide_about_are_not_walked_either(heart):
    labels = labels_of()
    without = replace(labels, data=labels.data * (labels.data != 3))
    for walk in (
        lambda: ConceptHeart.of(without, heart.classifier, heart.book),
        lambda: traverse(heart.walks["low EF"], without, [0.0]),
    ):
        with pytest.raises(CohortError, match="hold no RV cavity"):
            walk()


def test_at_alpha_0_a_walked_heart_is_the_unchanged_reconstruction_on_the_scan(heart):
    (still,) = traverse(heart.walks["low EF"], labels_of(), [0.0])
    assert np.array_equal(still.labels, heart.restored)


def test_decoding_stops_when_nobody_wants_it_any_more(heart):
    def stop(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        heart.cycle(heart.at({"low EF": 1.0}), on_progress=stop)


def test_a_walked_heart_is_measured_at_every_stop(heart):
    walked = heart.walked("low EF")
    assert np.array_equal(walked.alphas, STOPS)
    at_two = heart.at({"low EF": 2.0})
    expected = heart.readout(heart.cycle(at_two), at_two)
    assert walked.curve("ef_percent")[10] == pytest.approx(expected.biomarkers["ef_percent"])
    assert walked.logits[0, 10] == pytest.approx(expected.logit, abs=1e-4)


def test_the_cohorts_limits_say_who_lies_far_out(heart):
    far = replace(heart.redrawn, within=1e6)
    assert not heart.is_near(far)
    assert heart.is_near(replace(heart.redrawn, within=0.0, beside=0.0))


def test_a_difference_says_what_is_there_now():
    moved = np.array([[0, 1, 2], [3, 0, 2]], np.uint8)
    unchanged = np.array([[0, 2, 2], [1, 1, 3]], np.uint8)
    assert difference_labels(moved, unchanged).tolist() == [[0, 1, 0], [3, GONE, 2]]
    assert difference_labels(moved, moved).max() == 0


def test_a_sweep_goes_up_down_and_back():
    low, high = -1.0, 3.0  # eight standard deviations to and fro
    found = [to_and_fro(k / 8, low, high) for k in range(9)]
    assert found == pytest.approx([0, 1, 2, 3, 2, 1, 0, -1, 0])
