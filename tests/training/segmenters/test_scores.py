import numpy as np
import pytest

from napari_cardioxai.training.segmenters.scores import (
    ScoredPicture,
    average_perpendicular_distance,
    dice,
    hausdorff95,
    judge_opinion,
    patient_dice,
    score_pictures,
    summarise,
)


def box(y0, y1, x0, x1, side=32):
    mask = np.zeros((side, side), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_dice_of_half_overlapping_boxes():
    assert dice(box(0, 4, 0, 4), box(0, 4, 2, 6)) == pytest.approx(2 * 8 / 32)
    assert dice(box(0, 0, 0, 0), box(0, 0, 0, 0)) == 1.0
    assert dice(box(0, 4, 0, 4), box(8, 12, 8, 12)) == 0.0


def test_distances_between_nested_squares_follow_the_pixel_size():
    inner, outer = box(8, 24, 8, 24), box(6, 26, 6, 26)
    # Every inner contour pixel lies two pixels inside the outer contour.
    assert average_perpendicular_distance(inner, outer, pixel_mm=1.5) == pytest.approx(3.0)
    # The outer corner is 2 * sqrt(2) away, but corners are fewer than 5 % of 76 pixels... times 2.
    assert hausdorff95(inner, outer, pixel_mm=1.5) <= 2 * np.sqrt(2) * 1.5
    assert hausdorff95(inner, outer, pixel_mm=1.5) >= 3.0


def test_distances_to_nothing_are_undefined():
    assert np.isnan(average_perpendicular_distance(box(0, 0, 0, 0), box(1, 4, 1, 4), pixel_mm=1))
    assert np.isnan(hausdorff95(box(1, 4, 1, 4), box(0, 0, 0, 0), pixel_mm=1))


def test_patient_dice_pools_pixels_and_the_worst_patient_is_named():
    good, half = box(0, 10, 0, 10), box(0, 10, 0, 5)
    pictures = [ScoredPicture("A", k, 0, 0, good, good, 1.4, 0.9) for k in range(3)] + [
        ScoredPicture("B", k, 0, 1, half, good, None, 0.6) for k in range(6)
    ]
    table = score_pictures(pictures)
    assert patient_dice(table).to_dict() == {"A": 1.0, "B": pytest.approx(2 / 3)}
    assert (
        list(table.loc[table.patient == "B", "part"])
        == ["base"] * 2 + ["middle"] * 2 + ["apex"] * 2
    )
    summary = summarise(table)
    assert summary["patients"]["worst"] == "B"
    assert summary["patients"]["dice_mean"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert summary["pictures"]["dice_mean"] == pytest.approx((3 + 6 * 2 / 3) / 9, abs=1e-4)
    assert summary["folds"]["1"]["apd_mm"] is None, "no pixel size is known in fold 1"
    assert summary["folds"]["0"]["apd_mm"] == 0.0


def test_an_opinion_that_ranks_perfectly_is_judged_so_and_turned_into_dice():
    """Dice is 1 at agreement 0.9 and 2/3 at 0.6, so the line is Dice = 1/0.9 * agreement exactly."""
    good, half = box(0, 8, 0, 8), box(0, 4, 0, 8)
    table = score_pictures(
        [ScoredPicture("A", k, 0, 0, good, good, None, 0.9) for k in range(8)]
        + [ScoredPicture("B", k, 0, 0, half, good, None, 0.6) for k in range(2)]
    )
    opinion = judge_opinion(table)
    assert opinion["spearman_pictures"] == pytest.approx(1.0)
    assert opinion["worst_tenth_found"] == 1.0
    assert opinion["calibration"]["1"] == pytest.approx([0.0, 1 / 0.9], abs=1e-3)
