import numpy as np
import pytest

from napari_cardioxai.anatomy.dyssynchrony import dyssynchrony_index, regional_volumes_ml
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.segments import APICAL, BASAL, MID, Rings, SegmentReference
from napari_cardioxai.anatomy.volumes import volume_curve_ml
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.scans.geometry import Geometry


def curves(delays_percent, frames=30, *, size=1.0, depth=0.3):
    """A cosine per segment whose minimum lies at 35 % of the cycle plus its delay."""
    phase = np.arange(frames)[:, None] / frames
    minimum = 0.35 + np.asarray(delays_percent) / 100
    return size * (1 - depth * np.cos(2 * np.pi * (phase - minimum)))


def test_the_index_is_the_standard_deviation_of_the_delays():
    delays = np.array([0, 1, 2, 3, 10, 12, -4, 0.5])
    assert dyssynchrony_index(curves(delays)) == pytest.approx(np.std(delays, ddof=1), abs=0.15)
    assert dyssynchrony_index(curves(np.zeros(16))) == pytest.approx(0, abs=0.01)


def test_the_index_is_finer_than_the_frames():
    """At 10 frames one frame is 10 %; grid minima would say 0 or much more than 1.5."""
    delays = np.array([0, 1, 2, 3, 4.0, 1.5])
    assert dyssynchrony_index(curves(delays, 10)) == pytest.approx(np.std(delays, ddof=1), abs=0.2)


def test_where_the_cycle_starts_does_not_matter():
    around = curves([-6, 6, -3, 3], 40)
    shifted = np.roll(around, -14, axis=0)  # minima on both sides of the first frame
    assert dyssynchrony_index(shifted) == pytest.approx(dyssynchrony_index(around), abs=1e-6)


def test_segments_that_stand_still_are_left_out():
    moving, still = curves([0, 2, 4, 6, 8]), curves([45, 50], depth=0.01)
    assert dyssynchrony_index(np.hstack([moving, still])) == pytest.approx(
        dyssynchrony_index(moving)
    )


@pytest.mark.parametrize(
    "regional, said",
    [(curves(np.zeros(16), 7), "8 frames"), (curves([0, 1, 2]), "Fewer than 4 segments")],
)
def test_too_little_gives_no_index(regional, said):
    with pytest.raises(MeasurementError, match=said):
        dyssynchrony_index(regional)


def test_regional_volumes_divide_the_cavity_and_sum_to_it():
    y, x = np.indices((61, 61)) - 30.0
    disc = np.hypot(y, x) < 20
    data = np.zeros((2, 3, 61, 61), np.uint8)
    data[:, :, disc] = 1
    data[1, 1] = np.roll(data[1, 1], 5, axis=1)  # moved as a whole: nothing contracts
    labels = Labels(data, Geometry((8.0, 1.0, 1.0)))
    reference = SegmentReference(np.full(3, 0.2), 1, np.full(3, 130.0), np.zeros(3, bool))
    rings = Rings(np.array([BASAL, MID, APICAL]), np.ones(3), True)
    regional = regional_volumes_ml(labels, reference=reference, rings=rings)
    assert regional.shape == (2, 16)
    assert regional.sum(axis=1) == pytest.approx(volume_curve_ml(labels))
    slice_ml = np.count_nonzero(disc) * 8.0 / 1000
    assert regional[:, :12] == pytest.approx(np.full((2, 12), slice_ml / 6), rel=0.04)
    assert regional[:, 12:] == pytest.approx(np.full((2, 4), slice_ml / 4), rel=0.04)


def test_a_dent_shows_in_its_own_segment():
    y, x = np.indices((61, 61)) - 30.0
    data = np.zeros((2, 1, 61, 61), np.uint8)
    data[:, 0, np.hypot(y, x) < 20] = 1
    # Septum at 180 degrees (left), anterior up: turn +1 from 180 to 270. The dent is up, anterior.
    data[1, 0][(y < -15) & (np.abs(x) < 7)] = 0
    reference = SegmentReference(np.array([np.pi]), 1, np.array([130.0]), np.zeros(1, bool))
    rings = Rings(np.array([MID]), np.ones(1), True)
    change = np.diff(
        regional_volumes_ml(
            Labels(data, Geometry((8.0, 1.0, 1.0))), reference=reference, rings=rings
        ),
        axis=0,
    )[0]
    assert np.argmin(change) == 6, "segment 7, mid anterior"
    assert change[6] < 2 * np.delete(change, 6).min()
