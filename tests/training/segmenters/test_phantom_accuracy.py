"""Accuracy on phantoms: against errors that are put in on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.errors import CohortError, MeasurementError
from napari_cardioxai.phantom.spec import BUILT_IN
from napari_cardioxai.phantom.subject import Subject, draw_subject
from napari_cardioxai.training.segmenters import phantom_accuracy
from napari_cardioxai.training.segmenters.phantom_accuracy import (
    SEED,
    Accuracy,
    Error,
    accuracy_table,
    image_accuracy,
    label_accuracy,
    markdown_table,
    measurement_errors,
)
from tests.bundles.test_bundle import a_card

SMALL = replace(BUILT_IN["mixed"], frames=10)


def subject_and_labels(index=0):
    subject = draw_subject(SMALL, seed=SEED, index=index)
    cycle = subject.case.heart.lv.cycle_ms
    return subject, Labels(subject.labels(), subject.grid.geometry, subject.times_ms, cycle)


class Knowing(Segmenter):
    """Gives the true labels of the subject that was drawn last, changed as asked."""

    def __init__(self, change=lambda labels: labels, structures=None):
        super().__init__(a_card(structures=structures or {1: 1, 2: 2, 3: 3}), None, "cpu", [])
        self.change = change

    def label(self, data, **_):
        return self.change(data)


@pytest.fixture
def images_are_labels(monkeypatch):
    """Let an image show the labels themselves, as readers draw them."""
    monkeypatch.setattr(Subject, "images", phantom_accuracy._as_readers_draw)
    monkeypatch.setitem(BUILT_IN, "mixed", SMALL)


def test_errors_are_summarised_as_numpy_does_by_hand():
    error = Error.of([1.0, -3.0, 5.0])
    assert error == Error(bias=1.0, sd=4.0, median_absolute=3.0, count=3)
    assert Error.of([-2.0]) == Error(-2.0, 0.0, 2.0, 1)


def test_a_cavity_that_is_a_tenth_too_large_is_found_a_tenth_too_large():
    subject, labels = subject_and_labels()
    right = measurement_errors(labels, subject)
    z, y, x = labels.geometry.spacing_mm
    thicker = replace(labels.geometry, spacing_mm=(1.1 * z, y, x))
    wrong = measurement_errors(replace(labels, geometry=thicker), subject)
    for name in ("edv_percent", "lvm_percent"):
        assert wrong[name][0] == pytest.approx(1.1 * (100 + right[name][0]) - 100)
    assert wrong["ef_points"] == right["ef_points"], "a fraction knows no slice distance"


def test_end_systole_is_late_around_the_cycle():
    subject, labels = subject_and_labels()
    assert measurement_errors(labels, subject)["es_frames"] == [0]
    for shift, expected in ((2, 2), (-1, -1), (9, -1)):
        late = replace(labels, data=np.roll(labels.data, shift, axis=0))
        assert measurement_errors(late, subject)["es_frames"] == [expected]


def test_walls_are_compared_segment_by_segment_at_both_ends_of_the_cycle():
    subject, labels = subject_and_labels()
    errors = measurement_errors(labels, subject)["thickness_mm"]
    assert 24 <= len(errors) <= 32
    assert np.median(np.abs(errors)) < 0.3


def test_no_ventricle_is_an_error_and_counted_in_a_row(images_are_labels):
    subject, labels = subject_and_labels()
    with pytest.raises(MeasurementError, match="LV cavity"):
        measurement_errors(replace(labels, data=np.zeros_like(labels.data)), subject)
    row = image_accuracy(Knowing(np.zeros_like), frames=10, subjects=2)
    assert row.unmeasured == 2 and not row.errors
    assert row.dice == {"lv": 0.0, "myo": 0.0, "rv": 0.0} and row.flicker == 0.0


def test_perfect_labels_of_noise_free_phantoms_are_within_the_aims():
    row = label_accuracy(frames=25, subjects=7)
    aims = {"edv_percent": 2, "ef_points": 1, "per_percent": 3, "pfr_percent": 5}
    for name, aim in (*aims.items(), ("pafr_percent", 12), ("thickness_mm", 0.5), ("es_frames", 1)):
        assert row.errors[name].median_absolute <= aim, name
    assert row.snr is None and row.flicker is None and not row.dice


def test_readers_take_a_basal_cavity_whole_or_not_at_all():
    row = label_accuracy(frames=10, subjects=3, as_readers=True)
    exact = label_accuracy(frames=10, subjects=3)
    assert row.errors["edv_percent"].sd > exact.errors["edv_percent"].sd
    assert row.errors["edv_percent"].median_absolute < 8


def test_true_labels_have_dice_one_and_change_as_the_truth_does(images_are_labels):
    row = image_accuracy(Knowing(), frames=10, snr=20, subjects=2)
    # Slices that move little at the base are given up, as for any segmenter's labels.
    assert all(value > 0.98 for value in row.dice.values())
    assert row.flicker == pytest.approx(1, abs=0.03)
    assert (row.snr, row.frames, row.subjects) == (20, 10, 2)


def test_labels_that_flip_in_every_other_frame_flicker(images_are_labels):
    """In every other frame a square of the background becomes right ventricle and back."""

    def flip(labels):
        changed = labels.copy()
        corner = changed[::2, :, :30, :30]
        corner[corner == 0] = 3
        return changed

    still = image_accuracy(Knowing(), frames=10, subjects=1)
    row = image_accuracy(Knowing(flip), frames=10, subjects=1)
    assert row.flicker > still.flicker + 0.5
    assert row.dice["lv"] == still.dice["lv"]


def test_structures_that_a_model_does_not_know_have_no_dice(images_are_labels):
    only_lv = Knowing(lambda labels: np.where(labels == 1, labels, 0), structures={1: 1})
    row = image_accuracy(only_lv, frames=10, subjects=1)
    assert set(row.dice) == {"lv"}
    assert "lvm_percent" not in row.errors and "edv_percent" in row.errors
    assert row.flicker == pytest.approx(1, abs=0.05), "of the cavity alone"


def test_the_table_goes_over_frames_with_labels_and_over_frames_and_noise_with_images(
    images_are_labels,
):
    steps = []
    rows = accuracy_table(Knowing(), subjects=1, on_progress=lambda *step: steps.append(step))
    labels, readers, images = rows[:5], rows[5], rows[6:]
    assert [row.frames for row in labels] == [15, 20, 25, 30, 50]
    assert {row.source for row in labels} == {"labels"}
    assert readers.source == "labels as readers draw"
    assert {(row.frames, row.snr) for row in images} == {
        *((n, 20.0) for n in (15, 20, 25, 30, 50)),
        *((30, snr) for snr in (10.0, 40.0)),
    }
    assert steps[-1][:2] == (7, 7)


def test_the_markdown_table_says_in_how_many_hearts_the_atrial_rate_was_found():
    row = Accuracy(
        source="images",
        frames=15,
        snr=10.0,
        subjects=5,
        unmeasured=0,
        errors={"edv_percent": Error(1.26, 2, 1, 5), "pafr_percent": Error(-8, 3.14, 7, 4)},
        dice={"lv": 0.9512},
        flicker=0.974,
    )
    head, _, line = markdown_table([row]).splitlines()
    assert (
        head == "| measured from | frames | EDV % | atrial PFR % | Dice LV / MYO / RV | flicker |"
    )
    assert line == "| images, SNR 10 | 15 | +1.3 ± 2.0 | -8.0 ± 3.1 (4) | 0.951 / – / – | 0.97 |"


def test_no_phantom_is_refused():
    with pytest.raises(CohortError, match="at least one phantom"):
        label_accuracy(subjects=0)


def test_the_seeds_lie_beyond_those_of_training():
    assert SEED >= 2**31, "`phantom_slices` draws seeds below"
