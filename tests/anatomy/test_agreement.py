import numpy as np
import pytest

from napari_cardioxai.anatomy.agreement import agreement
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.errors import LabelError
from napari_cardioxai.scans.geometry import Geometry

GEOMETRY = Geometry(spacing_mm=(10.0, 2.0, 2.0))


def a_heart(shift=0, slices=3):
    data = np.zeros((2, slices, 16, 16), np.uint8)
    data[0, :, 4 + shift : 8 + shift, 4:8] = 1
    return Labels(data=data, geometry=GEOMETRY)


def test_dice_and_volumes_by_hand():
    """Squares of 4 x 4 one pixel apart share 12 of 16 pixels; 48 voxels of 40 mm3 are 1.92 mL."""
    (row,) = agreement(a_heart(shift=1), a_heart())
    assert row.structure == 1
    assert row.dice == pytest.approx(12 / 16)
    assert row.volume_ml == pytest.approx(1.92)
    assert row.true_volume_ml == pytest.approx(1.92)


def test_a_frame_that_was_not_contoured_does_not_count():
    found = a_heart()
    found.data[1, :, 2:12, 2:12] = 1
    (row,) = agreement(found, a_heart())
    assert row.dice == 1.0


def test_the_worst_slice_is_named_also_when_it_was_missed_altogether():
    found = a_heart()
    found.data[:, 2] = 0
    (row,) = agreement(found, a_heart())
    assert (row.worst_slice, row.worst_dice) == (2, 0.0)


def test_other_grids_and_empty_truth_are_refused_with_a_reason():
    with pytest.raises(LabelError, match="give the scan"):
        agreement(a_heart(slices=4), a_heart())
    empty = Labels(data=np.zeros((2, 3, 16, 16), np.uint8), geometry=GEOMETRY)
    with pytest.raises(LabelError, match="nothing to compare"):
        agreement(a_heart(), empty)


def test_a_slice_beside_a_wide_gap_counts_for_what_it_stands_for():
    """Slices at 0, 10 and 30 mm stand for 10, 15 and 20 mm: 16 pixels of 4 mm2 in each."""
    gaps = Geometry((10.0, 2.0, 2.0), slice_positions_mm=(0.0, 10.0, 30.0))
    heart = Labels(data=a_heart().data, geometry=gaps)
    (row,) = agreement(heart, heart)
    assert row.true_volume_ml == pytest.approx(16 * 4 * (10 + 15 + 20) / 1000)
