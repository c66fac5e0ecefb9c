"""Volume curves of stacks whose basal slices come and go whole."""

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import measure_volumes
from napari_cardioxai.anatomy.steps import STEADIED, STEPPED, without_steps
from napari_cardioxai.phantom.rasterise import cut_as_readers_do, rasterise
from napari_cardioxai.phantom.spec import BUILT_IN
from napari_cardioxai.phantom.subject import draw_subject
from napari_cardioxai.phantom.truth import analytic_truth

PHASE = 2 * np.pi * np.arange(20) / 20


def a_stack(*, passed=()):
    """Four slices that shrink by a cosine from 20 to 10 mL; the first is away in some frames."""
    slices = np.repeat((15 + 5 * np.cos(PHASE))[:, None], 4, axis=1)
    slices[list(passed), 0] = 0.0
    return slices


def test_a_smooth_curve_is_left_as_it_is():
    slices = a_stack()
    curve, said = without_steps(slices)
    np.testing.assert_array_equal(curve, slices.sum(1))
    assert said == ""


def test_steps_are_replaced_by_the_shape_of_the_slices_that_stay():
    slices = a_stack(passed=range(8, 13))
    curve, said = without_steps(slices)
    # 80 mL at end-diastole, 30 at end-systole without the first slice, a cosine between them.
    np.testing.assert_allclose(curve, 55 + 25 * np.cos(PHASE), atol=1e-9)
    assert said == STEADIED


def test_an_apex_that_closes_by_and_by_is_no_step():
    slices = a_stack()
    slices[:, 3] = np.maximum(0, 2 * np.cos(PHASE) + 0.5)  # 1.1 mL at most from frame to frame
    curve, said = without_steps(slices)
    np.testing.assert_array_equal(curve, slices.sum(1))
    assert said == ""


def test_where_too_few_slices_stay_the_steps_are_said_but_kept():
    slices = a_stack(passed=range(8, 13))
    slices[:, 1:] = 12.0
    curve, said = without_steps(slices)
    np.testing.assert_array_equal(curve, slices.sum(1))
    assert said == STEPPED


@pytest.mark.parametrize("slices", [np.zeros((5, 3)), np.ones((1, 3))])
def test_nothing_that_changes_has_no_steps(slices):
    curve, said = without_steps(slices)
    np.testing.assert_array_equal(curve, slices.sum(1))
    assert said == ""


def test_rates_of_labels_drawn_as_readers_do_come_near_the_truth():
    subject = draw_subject(BUILT_IN["mixed"], seed=2**32 + 1, index=1)
    data = rasterise(subject.beat, subject.grid, cut=cut_as_readers_do)
    labels = Labels(data, subject.grid.geometry, subject.times_ms, subject.case.heart.lv.cycle_ms)
    measured, truth = measure_volumes(labels), analytic_truth(subject)
    assert measured.per_ml_s == pytest.approx(truth["per_ml_s"], rel=0.15)
    assert STEADIED in measured.rate_note
    volumes = np.array(measured.volume_ml)
    assert np.abs(np.diff(volumes)).max() > 0.3 * np.ptp(volumes), "the volumes keep their steps"
    followed = measured.lv_rates.curve.volume_ml
    assert followed.max() == pytest.approx(volumes.max(), rel=0.01)
    assert followed.min() == pytest.approx(volumes.min(), rel=0.01)
