from napari_cardioxai.attribution.scores.verdict import judge_map

CONTROLS = {
    "random": {"auprc": 0.05, "faithfulness": 0.0},
    "centre": {"auprc": 0.40, "faithfulness": 0.3},
    "edges": {"auprc": 0.20, "faithfulness": 0.1},
}
GOOD = {"auprc": 0.9, "faithfulness": 0.8, "randomised": 0.2, "completeness_percent": 0.4}


def test_a_map_that_is_ahead_everywhere_passes():
    said = judge_map(GOOD, CONTROLS)
    assert said.passes and not said.weak
    assert said.sentence == (
        "Points at the structure better than chance, a centre blob and the image's edges; the "
        "network follows it more than chance, a centre blob and the image's edges; changes with "
        "the network's weights: nothing measured here speaks against it."
    )


def test_a_map_that_does_not_change_with_the_weights_is_not_to_be_trusted():
    said = judge_map({**GOOD, "randomised": 0.92}, CONTROLS)
    assert not said.passes
    assert "but does not change when the network's weights are randomised" in said.sentence
    assert said.sentence.endswith(": do not trust it.")


def test_a_map_no_better_than_a_centre_blob_is_weak():
    said = judge_map({**GOOD, "auprc": 0.39}, CONTROLS)
    assert said.passes and said.weak
    assert "better than chance and the image's edges" in said.sentence
    assert "points at it no better than a centre blob" in said.sentence


def test_a_map_that_the_network_does_not_follow_fails():
    said = judge_map({**GOOD, "faithfulness": 0.01}, CONTROLS)
    assert not said.passes
    assert "no more than chance" in said.sentence


def test_a_sum_that_misses_fails_and_says_by_how_much():
    said = judge_map({**GOOD, "completeness_percent": 31.4}, CONTROLS)
    assert not said.passes and "by 31 %" in said.sentence


def test_without_a_truth_nothing_is_said_about_the_structure():
    said = judge_map({"faithfulness": 0.8}, CONTROLS)
    assert said.passes and "structure" not in said.sentence


def test_what_was_not_measured_is_not_trusted():
    assert "do not trust it yet" in judge_map({}, {}).sentence


def test_a_network_that_overshoots_on_half_changed_images_is_a_warning_and_no_pass():
    said = judge_map({**GOOD, "overshoot": 2.8}, CONTROLS)
    assert said.passes and said.weak
    assert "overshoot 2.8 times the range" in said.sentence
    assert said.sentence.endswith(": trust it only beside other maps.")
    assert not judge_map({**GOOD, "overshoot": 0.8}, CONTROLS).weak, "some is natural"
