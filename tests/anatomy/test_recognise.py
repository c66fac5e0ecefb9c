from itertools import permutations

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import ACDC, CARDIOXAI, UKBB4
from napari_cardioxai.anatomy.recognise import recognise_scheme
from napari_cardioxai.errors import LabelError

SPACING = (8.0, 1.4, 1.4)


def heart(*, lv=0, myo=0, rv=0, frames=2):
    """A disc in a ring with a crescent beside it; 0 leaves a structure out."""
    y, x = np.mgrid[:64, :64]
    from_lv = np.hypot(y - 32, x - 38)
    slice_ = np.zeros((64, 64), np.int16)
    slice_[np.hypot(y - 32, (x - 24) * 1.2) < 17] = rv
    slice_[from_lv < 16] = myo
    slice_[from_lv < 10] = lv
    return np.broadcast_to(slice_, (frames, 3, 64, 64)).copy()


@pytest.mark.parametrize("values", permutations((1, 2, 3)), ids=str)
def test_every_order_of_three_values_is_told_from_the_shapes(values):
    lv, myo, rv = values
    scheme, reason = recognise_scheme(heart(lv=lv, myo=myo, rv=rv), SPACING)
    assert (scheme.lv, scheme.myo, scheme.rv) == values
    assert "recognised" in reason and f"value {lv} lies on value {myo}" in reason


@pytest.mark.parametrize("scheme", [ACDC, CARDIOXAI, UKBB4], ids=lambda s: s.name)
def test_known_schemes_are_called_by_their_name(scheme):
    data = heart(lv=scheme.lv, myo=scheme.myo, rv=scheme.rv)
    assert recognise_scheme(data, SPACING)[0] == scheme
    assert recognise_scheme(data, None)[0] == scheme


@pytest.mark.parametrize("scheme", [ACDC, CARDIOXAI], ids=lambda s: s.name)
def test_cavity_and_muscle_are_enough(scheme):
    assert recognise_scheme(heart(lv=scheme.lv, myo=scheme.myo), SPACING)[0] == scheme


def test_a_cavity_open_to_the_outflow_tract_is_still_the_cavity():
    data = heart(lv=3, myo=2, rv=1)
    data[:, 0, 28:36, 38:] = np.where(data[:, 0, 28:36, 38:] == 2, 0, data[:, 0, 28:36, 38:])
    assert recognise_scheme(data, SPACING)[0] == ACDC


def test_a_few_voxels_painted_into_a_cavity_do_not_turn_it_into_muscle():
    data = heart(lv=1)
    data[:, :, 30:33, 36:39] = 2
    scheme, reason = recognise_scheme(data, SPACING)
    assert scheme == CARDIOXAI and "assumed" in reason


def test_frames_without_labels_do_not_matter():
    data = heart(lv=3, myo=2, rv=1, frames=4)
    data[:3] = 0
    assert recognise_scheme(data, SPACING)[0] == ACDC


@pytest.mark.parametrize("value", [1, 255])
def test_a_single_value_is_the_cavity(value):
    scheme, reason = recognise_scheme(heart(lv=value), SPACING)
    assert scheme.lv == value and str(value) in reason


@pytest.mark.parametrize("present", [{"myo": 2, "rv": 3}, {"lv": 1, "rv": 3}, {"rv": 3}])
def test_what_the_shapes_do_not_tell_is_called_an_assumption(present):
    scheme, reason = recognise_scheme(heart(**present), SPACING)
    assert scheme == CARDIOXAI and "assumed" in reason


def test_values_of_no_scheme_are_named():
    data = heart(lv=1, myo=2, rv=3)
    data[0, 0, 0, :2] = 7, 41
    with pytest.raises(LabelError, match="values 7, 41 "):
        recognise_scheme(data, SPACING)


def test_no_labels_are_no_assumption():
    assert recognise_scheme(np.zeros((1, 2, 4, 4), np.uint8), SPACING)[1] == "There are no labels."
