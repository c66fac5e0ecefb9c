import numpy as np
import pandas as pd
import pytest

from napari_cardioxai.cohorts.shortcuts import TOGETHER, Shortcut
from napari_cardioxai.cohorts.threats import Concept, counted, find_threats


def threats(*, target=None, concepts=(), properties=None, shortcuts=(), failed=None):
    table = pd.DataFrame(index=range(20)) if properties is None else properties
    return find_threats("label", target, concepts, table, shortcuts, failed or {})


def labels(positive: int, negative: int) -> np.ndarray:
    return np.repeat([1.0, 0.0], [positive, negative])


def shortcut(name="pixel_mm", *, threatens=True, is_certain=True) -> Shortcut:
    return Shortcut(name, 0.82, 1e-6, "rank", 40, threatens, is_certain)


def test_an_even_cohort_is_not_warned_of():
    even = Concept("low EF", present=12, absent=8, unknown=0)
    whole = pd.DataFrame({"lv_share": [0.1, 0.2], "myo_share": [0.1, 0.1], "rv_share": [0.0, 0.0]})
    assert threats(target=labels(9, 11), concepts=[even], properties=whole) == ()


@pytest.mark.parametrize(
    ("positive", "is_rare"), [(14, True), (15, False), (85, False), (86, True)]
)
def test_a_label_is_imbalanced_below_fifteen_percent_on_either_side(positive, is_rare):
    found = threats(target=labels(positive, 100 - positive))
    assert bool(found) is is_rare
    if found:
        rarer = "positive" if positive < 50 else "negative"
        assert f"14 of 100 subjects (14%) are {rarer} for the label 'label'" in found[0].sentence
        assert (found[0].kind, found[0].severity, found[0].column) == (
            "imbalance", "warning", "label",
        )  # fmt: skip


def test_blank_labels_do_not_count():
    target = np.concatenate([labels(10, 10), np.full(80, np.nan)])
    assert counted(target) == {"0": 10, "1": 10, "blank": 80}
    assert threats(target=target) == ()


def test_a_rare_concept_is_a_note_and_one_that_nobody_has_is_a_warning():
    rare, never = (Concept(n, p, 50 - p, 0) for n, p in (("rare", 3), ("never", 0)))
    first, second = threats(concepts=[rare, never])
    assert (first.column, first.severity) == ("never", "warning")
    assert "No subject is positive for the concept 'never'" in first.sentence
    assert (second.column, second.severity) == ("rare", "info")


def test_a_concept_that_is_known_of_nobody_is_left_alone():
    assert threats(concepts=[Concept("unknown", 0, 0, 40)]) == ()


def test_subjects_that_cannot_be_read_are_counted_and_the_first_is_named():
    (warning,) = threats(failed={"s3": "s3.nii.gz is empty.", "s9": "gone"})
    assert warning.sentence == (
        "2 of 20 subjects could not be read, the first s3: s3.nii.gz is empty."
    )


def test_a_structure_that_only_some_have_tells_who_labelled_them():
    table = pd.DataFrame(
        {"lv_share": [0.1, 0.1, 0.1], "rv_share": [0.1, 0.0, np.nan]}, index=["a", "b", "c"]
    )
    (warning,) = threats(properties=table)
    assert (warning.kind, warning.column) == ("structures", "rv_share")
    assert warning.sentence.startswith(
        "RV cavity is labelled nowhere in 1 of 2 subjects, the first b"
    )


def test_a_shortcut_is_grave_where_chance_is_ruled_out():
    certain, maybe, harmless = threats_of_shortcuts = [
        shortcut("pixel_mm"),
        shortcut("frames", is_certain=False),
        shortcut("rows", threatens=False),
    ]
    found = threats(shortcuts=threats_of_shortcuts)
    assert [(w.column, w.severity) for w in found] == [("pixel_mm", "warning"), ("frames", "info")]
    assert found[0].sentence == (
        "Pixel size tells 'label' with an AUC of 0.82: a model may decide by it instead of by "
        "the heart."
    )
    assert found[1].sentence.endswith("with 40 subjects that may be chance.")
    assert harmless.name not in {w.column for w in found} and certain.threatens and maybe.threatens


def test_all_of_them_together_are_named_in_words():
    (warning,) = threats(shortcuts=[shortcut(TOGETHER)])
    assert warning.sentence.startswith("What is not anatomy, taken together, tells 'label'")


def test_grave_ones_come_first():
    found = threats(
        target=labels(1, 19),
        concepts=[Concept("rare", 1, 40, 0)],
        shortcuts=[shortcut("frames", is_certain=False), shortcut()],
        failed={"a": "gone"},
    )
    severities = [warning.severity for warning in found]
    assert severities == sorted(severities, key=lambda severity: severity != "warning")
    assert len(found) == 5
