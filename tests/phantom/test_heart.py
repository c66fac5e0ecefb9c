"""The heart against integrals that know nothing of its formulas."""

from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.phantom.classes import HeartClass, draw_case
from napari_cardioxai.phantom.heart import (
    THETA,
    Dyssynchrony,
    Heart,
    HeartShape,
    Outflow,
    Surfaces,
    Tilt,
)
from napari_cardioxai.phantom.volume_curve import PhantomError, VolumeCurve

LV = VolumeCurve(130.0, 52.0)
RV = VolumeCurve(145.0, 67.0, es_time_ms=350.0)
TIMES = np.array([0.0, 120.0, 340.0, 500.0])


def _case(kind: HeartClass, number: int = 1) -> Heart:
    return draw_case(kind, np.random.default_rng([17, number])).heart


def _numeric_volume_ml(walls: Surfaces, part: str, dz: float) -> np.ndarray:
    """Volume by adding up little boxes in (z, r, θ)."""
    inner, outer, above, tilt = {
        "lv": (0 * walls.endo_mm, walls.endo_mm, walls.above_mitral_mm, walls.mitral),
        "myo": (walls.endo_mm, walls.epi_mm, walls.above_mitral_mm, walls.mitral),
        "rv": (walls.epi_mm, walls.rv_mm, walls.above_tricuspid_mm, walls.tricuspid),
    }[part]
    dr = 0.1
    radius = (np.arange(0, 95, dr) + dr / 2)[:, None]
    rise = np.tan(np.deg2rad(tilt.degrees)) * np.cos(THETA - np.deg2rad(tilt.direction_deg))
    higher = walls.outflow_mm if part == "rv" else 0.0
    volume = np.zeros(len(above))
    for frame in range(above.shape[0]):
        for plane in range(above.shape[1]):
            inside = (radius > inner[frame, plane]) & (radius <= outer[frame, plane])
            inside &= above[frame, plane] <= rise * radius + higher
            volume[frame] += (inside * radius).sum() * dr * dz * (THETA[1] - THETA[0])
    return volume / 1000


@pytest.mark.parametrize("kind", list(HeartClass))
def test_cavities_hold_their_curves_and_the_wall_its_volume(kind: HeartClass):
    heart = _case(kind)
    dz = 0.5
    times = np.array([0.0, 0.5, 1.0, 1.6]) * heart.lv.es_time_ms
    walls = heart.beat(times).surfaces(np.arange(dz / 2, 1.5 * heart.height_mm, dz))
    assert _numeric_volume_ml(walls, "lv", dz) == pytest.approx(heart.lv.volume_ml(times), rel=4e-3)
    assert _numeric_volume_ml(walls, "rv", dz) == pytest.approx(heart.rv.volume_ml(times), rel=4e-3)
    wall = _numeric_volume_ml(walls, "myo", dz)
    assert wall == pytest.approx(heart.myocardial_volume_ml, rel=4e-3)
    assert heart.mass_g == pytest.approx(1.05 * wall[0], rel=4e-3)


@pytest.mark.parametrize("kind", [HeartClass.NORMAL, HeartClass.DILATED])
def test_with_its_way_out_the_right_ventricle_holds_the_same_volume(kind: HeartClass):
    plain = _case(kind)
    outflow = Outflow(angle_deg=60.0, half_width_deg=40.0, bulge=1.2, height_mm=20.0)
    heart = replace(plain, shape=replace(plain.shape, outflow=outflow))
    dz = 0.5
    times = np.array([0.0, 1.0]) * heart.lv.es_time_ms
    walls = heart.beat(times).surfaces(np.arange(dz / 2, 1.8 * heart.height_mm, dz))
    assert _numeric_volume_ml(walls, "rv", dz) == pytest.approx(heart.rv.volume_ml(times), rel=4e-3)
    assert _numeric_volume_ml(walls, "lv", dz) == pytest.approx(heart.lv.volume_ml(times), rel=4e-3)
    before = plain.beat(times).surfaces(np.array([heart.height_mm]))
    after = heart.beat(times).surfaces(np.array([heart.height_mm]))
    width = [w.rv_mm[0, 0] - w.epi_mm[0, 0] for w in (before, after)]
    assert width[1][30] > width[0][30] + 5, "θ = 60 degrees: it bulges"
    assert width[1][160] < width[0][160], "and the rest makes room for it"


def test_a_round_upright_heart_is_the_textbook_half_ellipsoid_and_cylinder():
    shape = HeartShape(mitral=Tilt(0.0, 0.0), tricuspid=Tilt(0.0, 0.0))
    heart = Heart(shape, LV, RV)
    length = shape.long_axis_mm - shape.apex_wall_mm
    cylinder = shape.cylinder_share * length
    area = np.pi * heart.radius_mm**2
    assert area * (cylinder + 2 / 3 * (length - cylinder)) / 1000 == pytest.approx(130.0, rel=1e-9)


def test_an_incompressible_round_wall_thickens_as_the_area_rule_says():
    heart = Heart(HeartShape(mitral=Tilt(0.0, 0.0), tricuspid=Tilt(0.0, 0.0)), LV, RV)
    beat = heart.beat(TIMES)
    walls = beat.surfaces(np.array([0.75 * heart.height_mm]) * 0.8)
    stretch = 1 - 13.0 / 92.0 * (130.0 - LV.volume_ml(TIMES)) / 78.0
    endo, epi = walls.endo_mm[:, 0, 0], walls.epi_mm[:, 0, 0]
    profile = 0.75 * 0.8 * heart.height_mm / stretch
    assert np.all(profile > 0.3 * heart.height_mm)
    same = heart.beat(np.zeros(len(TIMES)))._surfaces_at(profile[:, None])
    rest = same.epi_mm[:, 0, 0] ** 2 - same.endo_mm[:, 0, 0] ** 2
    assert (epi**2 - endo**2) * stretch == pytest.approx(rest, rel=1e-9)


def test_wall_thickness_is_as_prescribed_in_every_segment_at_end_diastole():
    wall = tuple(6.0 + 0.5 * k for k in range(16))
    heart = Heart(HeartShape(wall_mm=wall), LV, RV)
    thickness = heart.beat(np.zeros(1)).segment_thickness_mm()[0]
    # Segments blend into their neighbours over 10 degrees, which moves the mean a little.
    assert thickness == pytest.approx(np.array(wall), abs=0.3)
    uniform = Heart(HeartShape(wall_mm=(8.0,) * 16), LV, RV).beat(np.zeros(1))
    assert uniform.segment_thickness_mm()[0, :12] == pytest.approx(8.0, abs=1e-9)
    assert uniform.wall_thickness_mm(np.array([50.0, 60.0])) == pytest.approx(8.0, abs=1e-9)


def test_planes_without_a_whole_wall_have_no_thickness():
    heart = Heart(HeartShape(), LV, RV)
    thickness = heart.beat(np.zeros(1)).wall_thickness_mm(np.array([2.0, 55.0, 92.0, 130.0]))[0]
    assert np.isnan(thickness[0]).all() and np.isnan(thickness[3]).all()
    assert np.isfinite(thickness[1]).all()
    assert 0 < np.isnan(thickness[2]).sum() < 6  # the tilted mitral plane cuts some sectors


def test_a_dead_segment_neither_moves_nor_thickens_while_the_cavity_follows_its_curve():
    dead = {7, 8}
    shape = HeartShape(
        contraction=tuple(0.0 if s in dead else 1.0 for s in range(1, 17)),
        thickening=tuple(-0.1 if s in dead else None for s in range(1, 17)),
        wall_mm=tuple(5.0 if s in dead else 8.0 for s in range(1, 17)),
    )
    heart = Heart(shape, LV, RV)
    rest, systole = heart.beat(np.array([0.0, LV.es_time_ms])).segment_thickness_mm()
    assert systole[6] / rest[6] == pytest.approx(0.9, abs=0.08)
    assert systole[9] / rest[9] > 1.3
    middle = float(np.mean(heart.ring_borders_mm))
    walls = heart.beat(np.array([0.0, LV.es_time_ms]))._surfaces_at(np.full((2, 1), middle))
    at_90 = np.argmin(np.abs(THETA - np.pi / 2))
    assert walls.endo_mm[1, 0, at_90] == pytest.approx(walls.endo_mm[0, 0, at_90], abs=0.05)


def test_the_wall_may_grow_when_it_is_asked_not_to_be_conserved():
    heart = Heart(HeartShape(myocardial_change=0.15), LV, RV)
    walls = heart.beat(np.array([0.0, LV.es_time_ms])).surfaces(np.arange(0.25, 130, 0.5))
    rest, systole = _numeric_volume_ml(walls, "myo", 0.5)
    assert systole / rest == pytest.approx(1.15, rel=5e-3)


def test_the_mitral_plane_comes_down_by_its_descent():
    heart = Heart(HeartShape(mitral_descent_mm=13.0), LV, RV)
    assert heart.beat(np.array([LV.es_time_ms])).stretch[0] * 92.0 == pytest.approx(92.0 - 13.0)


def test_septal_flash_goes_in_then_out_and_the_lateral_wall_comes_late():
    motion = Dyssynchrony(flash_mm=2.0, flash_peak_ms=90.0, rebound_mm=1.5, lateral_delay_ms=150.0)
    lv = VolumeCurve(250.0, 180.0, heart_rate_bpm=65.0, es_time_ms=310.0)
    shape = HeartShape(
        long_axis_mm=105.0,
        mitral_descent_mm=6.0,
        contraction=tuple(0.15 if s in (2, 3, 8, 9, 14) else 1.0 for s in range(1, 17)),
    )
    heart = Heart(shape, lv, replace(lv, edv_ml=150.0, esv_ml=80.0), motion)
    times = np.arange(0.0, lv.cycle_ms, 1.0)
    beat = heart.beat(times)
    septum, lateral = beat.septal_displacement_mm(), beat.lateral_displacement_mm()
    early = (times >= 60) & (times <= 120)
    assert 1.8 < -septum[early].min() < 2.6
    assert septum[(times > 180) & (times < 300)].max() > septum[early].min() + 1.5
    assert times[np.argmin(lateral)] == pytest.approx(310.0 + 150.0, abs=1.0)
    assert heart.lateral_delay_ms == 150.0


def test_a_valve_plane_that_would_cut_the_ellipsoid_is_refused():
    with pytest.raises(PhantomError, match="tilt"):
        Heart(HeartShape(mitral=Tilt(50.0, 0.0)), LV, RV)


def test_ventricles_must_share_a_heart_rate():
    with pytest.raises(PhantomError, match="heart rate"):
        Heart(HeartShape(), LV, replace(RV, heart_rate_bpm=65.0))
