import numpy as np
import pytest

from napari_cardioxai.cohorts.image_input import InputSpec, prepare, prepare_scan
from napari_cardioxai.errors import CohortError
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.scan import Provenance, Scan


def a_scan(data, spacing_mm=None, affine=None) -> Scan:
    return Scan(
        data=data.reshape((1,) * (4 - data.ndim) + data.shape),
        geometry=Geometry(spacing_mm, affine),
        provenance=Provenance("somewhere"),
        name="a scan",
    )


def blob(shape, centre, sigma) -> np.ndarray:
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    r2 = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
    return (1000 * np.exp(-r2 / (2 * sigma**2))).astype(np.float32)


def peak(data) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(data.argmax(), data.shape))


def test_an_input_of_the_right_size_and_range_is_left_as_it_is():
    picture = np.linspace(0, 1, 30 * 40, dtype=np.float32).reshape(30, 40)
    made = prepare(picture, InputSpec((30, 40), intensities="range"))
    np.testing.assert_allclose(made.data, picture, atol=1e-6)
    np.testing.assert_allclose(made.transform.restore(picture), picture, atol=1e-6)


def test_a_whole_picture_is_fitted_with_its_proportions():
    """20 x 40 pixels into 40 x 40: twice as wide as high, so only the middle half is filled."""
    made = prepare(
        np.full((20, 40), 7.0) + np.eye(20, 40), InputSpec((40, 40), intensities="range")
    )
    filled = np.flatnonzero(made.data.any(1))
    assert made.data.shape == (40, 40)
    assert filled.min() >= 9 and filled.max() <= 30
    # Half pixels of 2 mm where rows lie further apart than columns: the height is in mm.
    tall = prepare(
        blob((20, 40), (10, 20), 4), InputSpec((40, 40), intensities="range"), spacing_mm=(2, 1)
    )
    np.testing.assert_allclose(tall.transform.matrix, np.diag([0.5, 1.0]))


def test_spacing_and_middle_are_those_of_the_spec():
    """A blob 10 mm below and 20 mm right of the middle lies there at any spacing."""
    picture = blob((101, 121), (50 + 10 / 0.5, 60 + 20 / 0.5), 4)
    made = prepare(picture, InputSpec((61, 61), spacing_mm=2.0), spacing_mm=(0.5, 0.5))
    assert peak(made.data) == (30 + 5, 30 + 10)
    back = made.transform.restore(made.data)
    assert back.shape == picture.shape
    assert np.abs(np.subtract(peak(back), (70, 100))).max() <= 2


def test_a_map_that_is_linear_comes_back_exactly_where_the_input_reaches():
    spec = InputSpec((20, 20), spacing_mm=1.0)
    made = prepare(np.ones((60, 60)), spec, spacing_mm=(0.5, 0.5))
    rows = np.arange(20, dtype=np.float32)[:, None] * np.ones((1, 20), np.float32)
    back = made.transform.restore(rows, outside=-1)
    index = (np.arange(60) - 29.5) * 0.5 + 9.5
    inside = (index >= 0) & (index <= 19)
    np.testing.assert_allclose(back[inside][:, 30], index[inside], atol=1e-5)
    assert (back[~inside] == -1).all()


@pytest.mark.parametrize(
    "axes",
    [
        ("R", "A", "S"),
        ("L", "P", "S"),
        ("S", "L", "A"),
    ],
)
def test_volumes_stand_alike_however_they_were_stored(axes):
    """A blob towards the left, the front and the head ends at the same place of the input."""
    directions = {
        "R": (1, 0, 0),
        "L": (-1, 0, 0),
        "A": (0, 1, 0),
        "P": (0, -1, 0),
        "S": (0, 0, 1),
    }
    size_xyz = (30, 32, 34)
    affine = np.eye(4)
    affine[:3, :3] = np.array([directions[a] for a in axes]).T
    middle = (np.array(size_xyz) - 1) / 2
    target_mm = np.array([-6.0, 8.0, 5.0])  # RAS from the middle
    x, y, z = np.linalg.solve(affine[:3, :3], target_mm) + middle
    volume = blob(size_xyz[::-1], (z, y, x), 3)
    spec = InputSpec((41, 41, 41), spacing_mm=1.0, intensities="range")
    made = prepare_scan(a_scan(volume, (1, 1, 1), affine), spec)
    # To the head, to the back, to the left.
    expected = np.array([20 + 5, 20 - 8, 20 + 6])
    assert np.abs(np.array(peak(made.data)) - expected).max() <= 1
    back = made.transform.restore(made.data)
    assert np.abs(np.array(peak(back)) - (z, y, x)).max() <= 1.5


def test_percentiles_count_what_is_not_exactly_black():
    volume = np.zeros((20, 20, 20), np.float32)
    volume[5:15, 5:15, 5:15] = np.linspace(100, 200, 1000, dtype=np.float32).reshape(10, 10, 10)
    made = prepare(volume, InputSpec((20, 20, 20)))
    inside = made.data[5:15, 5:15, 5:15].ravel()
    assert np.percentile(inside, 1) == pytest.approx(0, abs=1e-3)
    assert np.percentile(inside, 99) == pytest.approx(1, abs=1e-3)
    assert made.data[:5].max() == 0


def test_an_empty_picture_becomes_zero():
    assert not prepare(np.zeros((8, 8)), InputSpec((8, 8))).data.any()
    assert not prepare(np.full((8, 8), 3), InputSpec((8, 8), intensities="range")).data.any()


def test_the_wrong_kind_of_scan_is_refused_in_words():
    picture, volume = InputSpec((8, 8)), InputSpec((8, 8, 8), spacing_mm=1.0)
    with pytest.raises(CohortError, match="a volume of 5 slices; the model reads single pictures"):
        prepare_scan(a_scan(np.ones((5, 8, 8))), picture)
    with pytest.raises(CohortError, match="single picture; the model reads volumes"):
        prepare_scan(a_scan(np.ones((8, 8))), volume)
    with pytest.raises(CohortError, match="pixel size of the picture is unknown"):
        prepare_scan(a_scan(np.ones((5, 8, 8))), volume)


@pytest.mark.parametrize(
    "values, said",
    [
        ({"size": (8,)}, "an input has"),
        ({"size": (8, 0)}, "an input has"),
        ({"size": (8, 8), "spacing_mm": 0.0}, "must be positive"),
        ({"size": (8, 8), "intensities": "raw"}, "choose percentiles or range"),
    ],
)
def test_specs_that_make_no_input_are_refused(values, said):
    with pytest.raises(CohortError, match=said):
        InputSpec(**values)


def test_a_spec_survives_json():
    spec = InputSpec((10, 20, 30), spacing_mm=1.5, intensities="range")
    assert InputSpec.from_json(spec.as_json()) == spec
