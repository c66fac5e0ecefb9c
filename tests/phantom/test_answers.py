from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from napari_cardioxai.phantom.answers import SPLITS, draw_answer
from napari_cardioxai.phantom.classes import Case, draw_case
from napari_cardioxai.phantom.cohort import generate
from napari_cardioxai.phantom.ranges import HeartClass
from napari_cardioxai.phantom.spec import BUILT_IN, CohortSpec
from napari_cardioxai.phantom.subject import ANSWER, draw_subject, source
from napari_cardioxai.phantom.truth import analytic_truth
from napari_cardioxai.phantom.volume_curve import PhantomError

HEALTHY = {
    "ef_percent": 60.0,
    "per_edv_s": 4.0,
    "pfr_edv_s": 3.0,
    "pafr_edv_s": 2.0,
    "thickening_variance_percent2": 10.0,
}
CANDIDATE = {"septal_flash_mm": 0.0, "lateral_delay_ms": 0.0, "rv_ef_percent": 55.0}


def a_case(kind: HeartClass, **details) -> Case:
    return replace(draw_case(kind, np.random.default_rng(0)), details=details)


CONTROL, CORONARY = a_case(HeartClass.CONTROL), a_case(HeartClass.CORONARY)


def coronary(**changes):
    return draw_answer("coronary", CONTROL, HEALTHY | changes, np.random.default_rng(0))


def test_coronary_disease_is_the_class_whatever_the_measurements_say():
    rng = np.random.default_rng(0)
    assert draw_answer("coronary", CORONARY, HEALTHY, rng).label is True
    assert coronary(ef_percent=20.0).label is False


@pytest.mark.parametrize(
    ("concept", "truth", "limit", "is_low"),
    [
        ("low EF", "ef_percent", 54.5, True),
        ("low PER", "per_edv_s", 3.5, True),
        ("low PFR", "pfr_edv_s", 2.45, True),
        ("low APFR", "pafr_edv_s", 1.8, True),
        ("high LVT", "thickening_variance_percent2", 33.0, False),
    ],
)
def test_each_concept_turns_at_its_threshold_and_at_no_other(concept, truth, limit, is_low):
    assert not any(coronary().concepts.values())
    below, at, above = (coronary(**{truth: limit + d}).concepts for d in (-0.01, 0.0, 0.01))
    assert below[concept] is is_low and above[concept] is not is_low
    assert at[concept] is False, "the threshold itself is neither low nor high"
    assert not any(yes for name, yes in (below | above).items() if name != concept)


def test_a_rate_that_cannot_be_separated_is_an_unknown_concept():
    assert coronary(pafr_edv_s=None).concepts["low APFR"] is None


def responds(*, scar=(), **changes) -> float:
    """Share of responders among 400 candidates that differ in their luck alone."""
    case, truth = a_case(HeartClass.CANDIDATE, scar_segments=list(scar)), CANDIDATE | changes
    answers = [draw_answer("response", case, truth, np.random.default_rng(k)) for k in range(400)]
    return float(np.mean([answer.label for answer in answers]))


def test_a_candidate_responds_where_a_point_is_left():
    flash, late = {"septal_flash_mm": 1.5}, {"lateral_delay_ms": 150.0}
    weak, scar = {"rv_ef_percent": 30.0}, (5, 11)
    for share in (
        responds(**flash, **late),
        responds(**late),
        responds(**flash, **late, **weak),
    ):
        assert share > 0.95
    for share in (
        responds(),
        responds(**weak),
        responds(**late, **weak),
        responds(**flash, **late, scar=scar),
    ):
        assert share < 0.05


def test_a_scar_hinders_only_where_it_takes_the_whole_posterolateral_wall():
    both = {"septal_flash_mm": 1.5, "lateral_delay_ms": 150.0}
    assert responds(**both, scar=(1, 7, 12)) > 0.95
    assert responds(**both, scar=(5, 6)) > 0.95
    assert responds(**both, scar=(4, 5, 11)) < 0.05


def test_the_true_factors_tell_the_response_of_a_cohort_nearly_always():
    """The rule leaves little to chance: 0.98 of those with a point left respond."""
    truth, rule = [], []
    for index in range(40):
        subject = draw_subject(BUILT_IN["crt"], seed=3, index=index)
        rng = source(BUILT_IN["crt"], ANSWER, seed=3, index=index)
        answer = draw_answer("response", subject.case, analytic_truth(subject), rng)
        flash, late, scar, weak = answer.concepts.values()
        truth.append(answer.label)
        rule.append(int(flash) + int(late) - 2 * int(scar) - int(weak) > 0)
    assert balanced_accuracy_score(truth, rule) > 0.9
    assert 0.25 < np.mean(truth) < 0.7


def test_splits_are_drawn_as_often_as_they_say():
    drawn = [coronary_split(seed) for seed in range(600)]
    for name, share in SPLITS.items():
        assert drawn.count(name) / 600 == pytest.approx(share, abs=0.06)


def coronary_split(seed: int) -> str:
    return draw_answer("coronary", CONTROL, HEALTHY, np.random.default_rng(seed)).split


def test_a_labelled_cohort_has_one_coronary_heart_in_ten_and_its_columns(tmp_path):
    spec = replace(BUILT_IN["clough"], frames=3, levels=(0.5,), pixel_mm=3.0, matrix=(48, 48))
    rows = generate(spec, tmp_path, subjects=20, seed=1, workers=1).read_text().splitlines()
    head = rows[0].split(",")
    names = ["split", "label", "low EF", "low PER", "low PFR", "low APFR", "high LVT"]
    assert head[:11] == ["subject", "labels", "scan", "class", *names]
    cells = [row.split(",") for row in rows[1:]]
    assert [row[5] for row in cells] == (["0"] * 9 + ["1"]) * 2
    assert {row[4] for row in cells} <= set(SPLITS)
    by_truth = head.index("ef_percent_true")
    assert [row[6] for row in cells] == [str(int(float(row[by_truth]) < 54.5)) for row in cells]


@pytest.mark.parametrize(
    ("classes", "labelling", "word"),
    [(("NOR",), "coronary", "not NOR"), (("CRT",), "recovery", "'recovery' is unknown")],
)
def test_a_question_that_cannot_be_asked_is_refused(classes, labelling, word):
    with pytest.raises(PhantomError, match=word):
        CohortSpec(classes=classes, labelling=labelling)
