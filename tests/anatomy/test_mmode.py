import numpy as np
import pytest

from napari_cardioxai.anatomy.mmode import label_mmode, mmode
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.scans.geometry import Geometry

GEOMETRY = Geometry((8.0, 2.0, 1.0))  # pixels of 2 mm down and 1 mm right
TIMES = np.array([0.0, 40.0, 85.0])


def ramp():
    """Intensity 10 y + x + 1000 t in slice 1, nothing in slice 0."""
    t, z, y, x = np.indices((3, 2, 20, 30), dtype=float)
    return np.where(z == 1, 10 * y + x + 1000 * t, -1.0)


def test_a_slanted_line_has_its_length_in_mm_and_interpolated_intensities():
    # 6 pixels down (12 mm) and 9 right (9 mm): 15 mm
    seen = mmode(
        ramp(),
        slice_index=1,
        start=(2, 3),
        end=(8, 12),
        geometry=GEOMETRY,
        frame_times_ms=TIMES,
        step_mm=1.5,
    )
    assert seen.distance_mm == pytest.approx(np.arange(11) * 1.5)
    assert seen.values.shape == (11, 3)
    assert seen.time_ms == pytest.approx(TIMES)
    share = np.arange(11) / 10
    expected = (10 * (2 + 6 * share) + 3 + 9 * share)[:, None] + [0, 1000, 2000]
    assert seen.values == pytest.approx(expected)


def test_the_step_is_the_smaller_pixel_and_the_last_sample_the_end_of_the_line():
    seen = mmode(ramp(), slice_index=1, start=(0, 0), end=(0, 7.4), geometry=GEOMETRY)
    assert len(seen.distance_mm) == 8
    assert seen.distance_mm[-1] == pytest.approx(7.4)
    assert seen.time_ms is None


def test_labels_are_never_mixed():
    data = np.zeros((2, 1, 10, 10), np.uint8)
    data[0, 0, :, 5:], data[1, 0, :, 3:] = 3, 3
    line = {"slice_index": 0, "start": (4, 0), "end": (4, 9), "step_mm": 0.5}
    seen = label_mmode(data, **line, geometry=GEOMETRY)
    assert seen.values.dtype == np.uint8
    assert set(np.unique(seen.values)) == {0, 3}
    first = [seen.distance_mm[np.argmax(column == 3)] for column in seen.values.T]
    assert first == pytest.approx([4.5, 2.5], abs=0.5), "half way between the pixels"
    assert len(np.unique(mmode(data, **line, geometry=GEOMETRY).values)) > 2


def test_outside_of_the_picture_there_is_nothing():
    line = {"slice_index": 1, "start": (5, 20), "end": (5, 40), "geometry": GEOMETRY}
    intensity, label = mmode(ramp(), **line), label_mmode(ramp().astype(np.int16), **line)
    assert np.isnan(intensity.values[11:]).all() and np.isfinite(intensity.values[:10]).all()
    assert (label.values[11:] == 0).all()


def test_a_lazy_scan_is_read_in_one_slice_only():
    read = []

    class Lazy:
        shape = (3, 2, 20, 30)

        def __len__(self):
            return 3

        def __getitem__(self, index):
            read.append(index)
            return ramp()[index]

    mmode(Lazy(), slice_index=1, start=(0, 0), end=(5, 5), geometry=GEOMETRY)
    assert read == [(slice(None), 1)]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"geometry": Geometry(None)}, "pixel size is unknown"),
        ({"end": (2, 3)}, "no length"),
        ({"slice_index": 2}, "no slice 3"),
        ({"frame_times_ms": TIMES[:2]}, "2 frame times for 3 frames"),
    ],
)
def test_lines_that_cannot_be_drawn_say_why(change, said):
    line = {"slice_index": 1, "start": (2, 3), "end": (8, 12), "geometry": GEOMETRY} | change
    with pytest.raises(MeasurementError, match=said):
        mmode(ramp(), **line)
