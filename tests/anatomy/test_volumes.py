import time

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.volumes import (
    ejection_fraction,
    frame_volume_ml,
    volume_curve_ml,
)
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.scans.geometry import Geometry


def labels_with(counts, structure, geometry):
    """`counts[t][z]` voxels of a structure in each slice."""
    counts = np.asarray(counts)
    data = np.zeros((*counts.shape, 8, 8), np.uint8)
    for (t, z), n in np.ndenumerate(counts):
        data[t, z].flat[:n] = structure
    return Labels(data, geometry)


@pytest.mark.parametrize("structure", [1, 2, 3])
def test_voxels_are_counted_whatever_their_value(structure):
    """Summing label values would give three times the volume for value 3."""
    labels = labels_with([[10, 20], [5, 0]], structure, Geometry((10.0, 2.0, 1.0)))
    np.testing.assert_allclose(volume_curve_ml(labels, structure), [0.6, 0.1])  # 20 mm3 each


def test_other_structures_do_not_count():
    labels = labels_with([[10, 20]], 3, Geometry((10.0, 2.0, 1.0)))
    assert volume_curve_ml(labels, 1) == pytest.approx([0.0])


def test_unequal_gaps_weigh_each_slice_by_what_it_stands_for():
    geometry = Geometry((8.0, 1.0, 1.0), slice_positions_mm=(0.0, 8.0, 20.0))
    labels = labels_with([[1, 10, 30]], 1, geometry)
    # Extents 8, (8 + 12) / 2 and 12 mm: 1*8 + 10*10 + 30*12 = 468 mm3.
    assert volume_curve_ml(labels) == pytest.approx([0.468])


def test_one_frame_agrees_with_the_curve():
    geometry = Geometry((8.0, 1.5, 1.4), slice_positions_mm=(0.0, 8.0, 20.0))
    labels = labels_with([[3, 10, 30], [1, 2, 3]], 1, geometry)
    each = [frame_volume_ml(frame, geometry, 1) for frame in labels.data]
    np.testing.assert_allclose(each, volume_curve_ml(labels))


def test_a_frame_is_counted_far_within_a_brush_stroke():
    frame = np.random.default_rng(0).integers(0, 4, (12, 256, 256)).astype(np.uint8)
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        frame_volume_ml(frame, Geometry((8.0, 1.4, 1.4)), 1)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.010


def test_without_a_pixel_size_there_is_no_volume():
    labels = labels_with([[10, 20]], 1, Geometry(None))
    with pytest.raises(MeasurementError, match="pixel size"):
        volume_curve_ml(labels)


def test_ejection_fraction_by_hand():
    ef = ejection_fraction(np.array([120.0, 140.0, 90.0, 56.0, 80.0]))
    assert (ef.edv_ml, ef.esv_ml, ef.sv_ml) == (140.0, 56.0, 84.0)
    assert ef.percent == pytest.approx(60.0)
    assert (ef.ed_frame, ef.es_frame) == (1, 3)


def test_a_single_outlier_frame_is_not_smoothed_away():
    curve = np.full(20, 100.0)
    curve[7] = 40.0
    assert ejection_fraction(curve).esv_ml == 40.0


def test_a_frame_that_nobody_labelled_is_not_end_systole():
    ef = ejection_fraction(np.array([100.0, 0.0, 0.0, 45.0, 0.0]))
    assert ef.es_frame == 3 and ef.percent == pytest.approx(55.0)


@pytest.mark.parametrize(
    "curve, reason",
    [
        ([], "no frame"),
        ([100.0, np.nan], "frame 2 of 2"),
        ([np.inf, 1.0], "frame 1 of 2"),
        ([0.0, 0.0], "no volume"),
        ([100.0], "one frame"),
        ([0.0, 100.0], "one frame"),
    ],
)
def test_curves_that_have_no_ejection_fraction(curve, reason):
    with pytest.raises(MeasurementError, match=reason):
        ejection_fraction(np.array(curve))
