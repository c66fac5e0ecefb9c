import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.segments import BASAL, MID, Rings, six_segments
from napari_cardioxai.anatomy.wall_contours import (
    RAYS,
    WallContours,
    segment_rays,
    wall_contours,
)
from napari_cardioxai.anatomy.walls import (
    radial_thickness_mm,
    slice_thickness_mm,
    thickening_percent,
    thickening_variance,
    wall_thickness,
)
from napari_cardioxai.anatomy.walls_laplace import laplace_thickness_mm
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.phantom.classes import HeartClass, draw_case
from napari_cardioxai.phantom.rasterise import rasterise, stack_around
from napari_cardioxai.scans.geometry import Geometry

METHODS = pytest.mark.parametrize("method", [radial_thickness_mm, laplace_thickness_mm])
DIRECTIONS = segment_rays(0.3, 1)


def ring(inner, wall, *, pixel=1.5, centre=(47.5, 47.5), size=96):
    """A ring of myocardium around a cavity, by pixel centres; `pixel` may be (y, x)."""
    dy, dx = np.broadcast_to(pixel, 2)
    y, x = np.indices((size, size))
    r = np.hypot((y - centre[0]) * dy, (x - centre[1]) * dx)
    return np.where(r < inner, 1, np.where(r < inner + wall, 2, 0)).astype(np.uint8)


def measured(labels, *, pixel=1.5, method=radial_thickness_mm):
    size = tuple(float(p) for p in np.broadcast_to(pixel, 2))
    return slice_thickness_mm(labels, size, directions_rad=DIRECTIONS, method=method)


@METHODS
@pytest.mark.parametrize("pixel", [1.0, 1.25, 1.5])
@pytest.mark.parametrize("inner, wall", [(10, 12), (15.3, 5), (20, 10), (26.7, 8.3), (33, 6)])
@pytest.mark.parametrize("centre", [(47.31, 46.83), (47.93, 48.22), (46.6, 47.45)])
def test_a_ring_is_measured_within_0_2_mm(method, pixel, inner, wall, centre):
    rays = measured(ring(inner, wall, pixel=pixel, centre=centre), pixel=pixel, method=method)
    assert rays.mean() == pytest.approx(wall, abs=0.2)
    assert six_segments(rays) == pytest.approx(np.full(6, wall), abs=0.5)


@METHODS
@pytest.mark.parametrize("inner, wall", [(10, 12), (26.7, 8.3)])
@pytest.mark.parametrize("centre", [(47.5, 47.5), (47.0, 47.0)])
def test_a_ring_on_the_grid_is_as_thick_as_its_pixels_are(method, inner, wall, centre):
    """Centred on the grid, eight equal arcs err alike: the pixels themselves hold another ring."""
    labels = ring(inner, wall, centre=centre)
    radii = [1.5 * np.sqrt(np.count_nonzero(part) / np.pi) for part in (labels == 1, labels > 0)]
    assert measured(labels, method=method).mean() == pytest.approx(radii[1] - radii[0], abs=0.06)
    assert radii[1] - radii[0] == pytest.approx(wall, abs=0.3)


@METHODS
def test_pixels_need_not_be_square(method):
    pixel = (1.0, 1.4)
    rays = measured(ring(22, 9, pixel=pixel), pixel=pixel, method=method)
    assert six_segments(rays) == pytest.approx(np.full(6, 9), abs=0.3)


def test_counting_pixels_along_a_ray_would_miss_the_ring():
    """The trap: whole pixels on the ray to the right differ from the thickness by half a pixel."""
    labels = ring(20, 9.7)
    pixels = 1.5 * np.count_nonzero(labels[47, 48:] == 2)
    assert abs(pixels - 9.7) > 0.2
    assert measured(labels).mean() == pytest.approx(9.7, abs=0.1)


def eccentric(radius, away):
    """Distance from the centre of rays to a circle of `radius` whose middle is `away` mm off."""
    along = away * np.cos(DIRECTIONS)
    return along + np.sqrt(along**2 + radius**2 - away**2)


def test_laplace_does_not_depend_on_the_centre_of_the_rays_and_radial_does():
    """Exact contours of a 10 mm ring seen from a point 8 mm off its middle."""
    contours = WallContours((0.0, 0.0), DIRECTIONS, eccentric(20, 8), eccentric(30, 8))
    assert laplace_thickness_mm(contours) == pytest.approx(np.full(RAYS, 10), abs=0.06)
    assert radial_thickness_mm(contours).max() > 10.4


def test_laplace_length_between_eccentric_circles_is_that_of_the_conformal_map():
    """Circles of 10 mm and 20 mm, 4 mm apart: along the axis the ways are straight, 6 and 14 mm.

    Elsewhere streamlines are arcs of circles through the two limiting points
    (bipolar coordinates), which gives their length in closed form.
    """
    inner, outer, away = 10.0, 20.0, 4.0
    # Limiting points on the axis through both middles: |x - c1|² - r1² = |x - c2|² - r2² = 0-power.
    c1 = (outer**2 - inner**2 - away**2) / (2 * away)  # middle of the inner circle on the axis
    a = np.sqrt(c1**2 - inner**2)
    directions = segment_rays(0.0, 1)
    # Rays from the inner middle; the outer middle lies at +away along x.
    along = away * np.cos(directions)
    epi = along + np.sqrt(along**2 + outer**2 - away**2)
    contours = WallContours((0.0, 0.0), directions, np.full(RAYS, inner), epi)
    found = laplace_thickness_mm(contours)
    # Bipolar: foci at x = ±a; the circles are τ = const with middles a coth τ. Take the inner
    # middle at c1 and the outer at c1 + away.
    tau_inner, tau_outer = np.arctanh(a / c1), np.arctanh(a / (c1 + away))
    tau = np.linspace(tau_outer, tau_inner, 2001)

    def way(sigma):
        scale = a / (np.cosh(tau) - np.cos(sigma))
        return np.trapezoid(scale, tau)

    # Where each streamline σ crosses the middle of the wall, seen from the inner middle.
    sigmas = np.linspace(1e-3, 2 * np.pi - 1e-3, 721)
    middle = 0.5 * (tau_inner + tau_outer)
    x = a * np.sinh(middle) / (np.cosh(middle) - np.cos(sigmas)) - c1
    y = a * np.sin(sigmas) / (np.cosh(middle) - np.cos(sigmas))
    angle = np.mod(np.arctan2(y, x), 2 * np.pi)
    lengths = np.array([way(s) for s in sigmas])
    order = np.argsort(angle)
    expected = np.interp(
        np.mod(directions, 2 * np.pi), angle[order], lengths[order], period=2 * np.pi
    )
    assert (expected.min(), expected.max()) == pytest.approx((6, 14), abs=0.05)
    assert found == pytest.approx(expected, abs=0.25)


@METHODS
def test_a_wall_with_an_opening_is_measured_where_it_is(method):
    labels = ring(20, 9)
    y, x = np.indices(labels.shape) - 47.5
    labels[(np.abs(np.arctan2(y, x) - 0.3) < 0.5) & (labels == 2)] = 0
    rays = measured(labels, method=method)
    open_rays = np.abs((DIRECTIONS - 0.3 + np.pi) % (2 * np.pi) - np.pi) < 0.45
    assert np.isnan(rays[open_rays]).all()
    far = np.abs((DIRECTIONS - 0.3 + np.pi) % (2 * np.pi) - np.pi) > 0.8
    assert rays[far].mean() == pytest.approx(9, abs=0.2)


def test_an_island_of_label_far_away_changes_nothing():
    labels = ring(20, 9)
    spoilt = labels.copy()
    spoilt[47:49, 88:92] = 2
    spoilt[60, 80] = 1
    plain = wall_contours(labels, (1.5, 1.5), directions_rad=DIRECTIONS)
    other = wall_contours(spoilt, (1.5, 1.5), directions_rad=DIRECTIONS)
    assert other.epi_mm == pytest.approx(plain.epi_mm, abs=0.2)
    assert radial_thickness_mm(other).mean() == pytest.approx(9, abs=0.2)


def test_slices_without_wall_or_cavity_have_no_thickness():
    assert np.isnan(measured(np.zeros((20, 20), np.uint8))).all()
    only_wall = np.where(ring(20, 9) == 2, 2, 0).astype(np.uint8)
    assert np.isnan(measured(only_wall)).all()


def test_a_heart_at_the_border_of_the_picture_is_measured_inside_of_it():
    labels = ring(20, 9, centre=(47.5, 8.0))
    rays = measured(labels)
    right = np.cos(DIRECTIONS) > 0.5
    assert rays[right].mean() == pytest.approx(9, abs=0.4)


HEARTS = pytest.mark.parametrize(
    "kind", [HeartClass.NORMAL, HeartClass.HYPERTROPHIC, HeartClass.INFARCT, HeartClass.RIGHT]
)


@METHODS
@HEARTS
def test_phantom_walls_are_measured_within_half_a_millimetre_per_segment(kind, method):
    """At 1.5 mm pixels, ED and ES, every slice where the truth has a whole segment."""
    errors = []
    for seed in range(3):
        heart = draw_case(kind, np.random.default_rng([seed, 5])).heart
        grid = stack_around(heart, pixel_mm=1.5, septum_deg=130 + 25 * seed)
        beat = heart.beat(np.array([0.0, heart.lv.es_time_ms]))
        labels = Labels(rasterise(beat, grid), grid.geometry)
        found = wall_thickness(labels, ed_frame=0, method=method)
        errors.append(found.segment_mm - beat.wall_thickness_mm(np.array(grid.heights_mm)))
    errors = np.abs(np.concatenate([e.ravel() for e in errors]))
    errors = errors[np.isfinite(errors)]
    assert len(errors) > 200
    assert np.median(errors) < 0.2
    assert np.mean(errors < 0.5) > 0.94 and errors.max() < 1.2


def test_a_wall_that_the_valve_plane_shaves_off_is_not_called_thin():
    radii = [24, 24, 23, 22, 20, 16]
    data = np.stack([_with_rv(ring(r, 9, pixel=1.0)) for r in radii])
    _, x = np.indices(data.shape[1:])
    data[0][(x > 72) & (data[0] > 0)] = 0  # a straight cut on the right, 24.5 mm from the middle
    labels = Labels(data[None], Geometry((8.0, 1.0, 1.0)))
    found = wall_thickness(labels, ed_frame=0)
    lateral = [3, 4, 5]
    whole = found.segment_mm[0, 1:]
    assert whole == pytest.approx(np.full((5, 6), 9.0), abs=0.35)
    assert np.isnan(found.segment_mm[0, 0, lateral]).any()
    assert found.aha_mm[0, :6] == pytest.approx(np.full(6, 9.0), abs=0.4)


def test_a_septum_that_an_oblique_valve_plane_has_thinned_does_not_count():
    """What is left of the wall still closes the ring, so no gap tells that it was cut."""
    data = np.stack([_with_rv(ring(24, 9, pixel=1.0)) for _ in range(9)])
    y, x = np.indices(data.shape[1:]) - 47.5
    septum = np.abs(np.arctan2(y, -x)) < 0.9
    data[0][septum & (np.hypot(y, x) > 28) & (data[0] == 2)] = 0  # 4 of 9 mm are left
    found = wall_thickness(Labels(data[None], Geometry((8.0, 1.0, 1.0))), ed_frame=0)
    assert np.isnan(found.segment_mm[0, 0, [1, 2]]).all()
    assert found.segment_mm[0, 1:] == pytest.approx(np.full((8, 6), 9.0), abs=0.35)
    assert found.aha_mm[0, :6] == pytest.approx(np.full(6, 9.0), abs=0.3)


def test_a_thin_wall_that_goes_on_to_the_base_is_an_infarct_and_is_measured():
    data = np.stack([_with_rv(ring(24, 9, pixel=1.0)) for _ in range(9)])
    y, x = np.indices(data.shape[1:]) - 47.5
    lateral = np.abs(np.arctan2(y, x)) < 1.1  # two segments
    for z in (0, 1):  # two of three basal slices
        data[z][lateral & (np.hypot(y, x) > 28) & (data[z] == 2)] = 0
    found = wall_thickness(Labels(data[None], Geometry((8.0, 1.0, 1.0))), ed_frame=0)
    assert np.isfinite(found.segment_mm[0, :3]).all()
    assert found.segment_mm[0, :2].min() == pytest.approx(4, abs=0.6)


def _with_rv(labels):
    y, x = np.indices(labels.shape) - 47.5
    theta, r = np.arctan2(y, -x), np.hypot(y, x)
    labels[(np.abs(theta) < 1.15) & (r < 46) & (labels == 0)] = 3
    return labels


def test_thickening_and_its_variance_by_hand():
    ed = np.full((3, 6), 10.0)
    es = ed + np.array([[5, 5, 5, 5, 5, 5], [2, 4, 6, 2, 4, 6], [0, 0, 0, 0, 0, 60]])
    percent = thickening_percent(ed, es)
    assert percent[1] == pytest.approx([20, 40, 60, 20, 40, 60])
    rings = Rings(np.array([BASAL, MID, 2]), np.ones(3), True)
    # Slice variances 0 and 800/3 %²; the apical slice does not count.
    assert thickening_variance(percent, rings) == pytest.approx((0 + 800 / 3) / 2)
    percent[0, 3] = np.nan
    assert thickening_variance(percent, rings) == pytest.approx(800 / 3)


def test_no_whole_slice_gives_no_variance():
    rings = Rings(np.array([BASAL]), np.ones(1), True)
    with pytest.raises(MeasurementError, match="No basal or mid slice"):
        thickening_variance(np.full((1, 6), np.nan), rings)


def test_an_unknown_pixel_size_is_refused():
    labels = Labels(_with_rv(ring(20, 9))[None, None], Geometry(None))
    with pytest.raises(MeasurementError, match="pixel size is unknown"):
        wall_thickness(labels, ed_frame=0)
