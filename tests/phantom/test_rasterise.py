from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_cardioxai.phantom.classes import Case, HeartClass, draw_case
from napari_cardioxai.phantom.heart import Heart, Outflow
from napari_cardioxai.phantom.rasterise import (
    LV,
    MYO,
    RV,
    Faults,
    Grid,
    cut_as_readers_do,
    cut_at_the_valve,
    levels_through,
    mask_volume_ml,
    rasterise,
    stack_around,
)
from napari_cardioxai.phantom.volume_curve import PhantomError


def _case(kind: HeartClass, number: int = 0) -> Case:
    return draw_case(kind, np.random.default_rng([41, number]))


def _labels(case: Case, *, frames: int = 25) -> tuple[np.ndarray, Grid]:
    grid = stack_around(case.heart, first_mm=1.0)
    return rasterise(case.heart.beat(case.heart.lv.frame_times_ms(frames)), grid), grid


@pytest.mark.parametrize("kind", list(HeartClass))
def test_volumes_of_the_masks_are_those_of_the_curve(kind: HeartClass):
    for number in range(4):
        case = _case(kind, number)
        labels, grid = _labels(case)
        lv, rv = case.heart.lv, case.heart.rv
        volume = mask_volume_ml(labels, grid, LV)
        true = lv.volume_ml(lv.frame_times_ms(25))
        assert np.abs(volume - true).max() < 0.02 * lv.edv_ml
        found_ef = 100 * (1 - volume.min() / volume.max())
        assert found_ef == pytest.approx(100 * (1 - true.min() / true.max()), abs=1.0)
        right = mask_volume_ml(labels, grid, RV)
        assert np.abs(right - rv.volume_ml(lv.frame_times_ms(25))).max() < 0.03 * rv.edv_ml
        wall = mask_volume_ml(labels, grid, MYO)
        assert wall == pytest.approx(case.heart.myocardial_volume_ml, rel=0.04)


def test_each_pixel_is_labelled_by_its_centre_against_a_plain_loop():
    case = _case(HeartClass.NORMAL)
    times = np.array([0.0, 200.0])
    beat, grid = case.heart.beat(times), stack_around(case.heart, septum_deg=140.0)
    labels = rasterise(beat, grid)
    walls = beat.surfaces(np.array(grid.heights_mm))
    rng = np.random.default_rng(1)
    wrong = checked = 0
    for _ in range(4000):
        t, z = rng.integers(2), rng.integers(len(grid.heights_mm))
        y, x = rng.integers(30, 98, 2)
        right, up = (x - grid.centre_px[1]) * 1.25, -(y - grid.centre_px[0]) * 1.25
        radius = np.hypot(right, up)
        theta = (np.deg2rad(140.0) - np.arctan2(up, right)) % (2 * np.pi)
        k = round(theta / (2 * np.pi) * 180) % 180
        endo, epi, rv = (s[t, z, k] for s in (walls.endo_mm, walls.epi_mm, walls.rv_mm))
        expected = LV if radius < endo else MYO if radius < epi else RV if radius < rv else 0
        plane, above = (
            (walls.tricuspid, walls.above_tricuspid_mm[t, z])
            if expected == RV
            else (walls.mitral, walls.above_mitral_mm[t, z])
        )
        rise = np.tan(np.deg2rad(plane.degrees)) * radius
        if above > rise * np.cos(theta - np.deg2rad(plane.direction_deg)):
            expected = 0
        checked += 1
        wrong += labels[t, z, y, x] != expected
    assert wrong < 0.01 * checked  # pixels on a border, where the angle is rounded


def _with_outflow(heart: Heart) -> Heart:
    outflow = Outflow(angle_deg=60.0, half_width_deg=40.0, bulge=1.0, height_mm=22.0)
    return replace(heart, shape=replace(heart.shape, outflow=outflow))


def test_above_the_tricuspid_valve_the_way_out_alone_is_left_of_the_right_ventricle():
    heart = _with_outflow(_case(HeartClass.NORMAL).heart)
    grid = stack_around(heart, first_mm=1.0, septum_deg=180.0)
    beat = heart.beat(np.zeros(1))
    for cut in (cut_at_the_valve, cut_as_readers_do):
        labels = rasterise(beat, grid, cut=cut)[0]
        top = max(z for z in range(len(labels)) if (labels[z] == RV).any())
        plain = rasterise(_case(HeartClass.NORMAL).heart.beat(np.zeros(1)), grid, cut=cut)[0]
        assert top > max(z for z in range(len(plain)) if (plain[z] == RV).any())
        assert not (labels[top] == LV).any()
        radius, theta = grid.polar()
        there = theta[labels[top] == RV]
        assert np.rad2deg(there).min() > 20 and np.rad2deg(there).max() < 100
        assert ndimage.label(labels[top] == RV)[1] == 1
        assert radius[labels[top] == RV].min() > 15


def test_the_mask_of_a_right_ventricle_with_its_way_out_has_the_volume_of_the_curve():
    heart = _with_outflow(_case(HeartClass.NORMAL, 1).heart)
    grid = stack_around(heart, first_mm=1.0, slice_distance_mm=4.0)
    times = heart.rv.frame_times_ms(10)
    volume = mask_volume_ml(rasterise(heart.beat(times), grid), grid, RV)
    assert np.abs(volume - heart.rv.volume_ml(times)).max() < 0.02 * heart.rv.edv_ml


def test_labels_look_like_a_heart():
    case = _case(HeartClass.NORMAL)
    labels, grid = _labels(case)
    middle = labels[0, len(grid.heights_mm) // 2]
    for value in (LV, MYO, RV):
        assert ndimage.label(middle == value)[1] == 1
    lv, rv = (np.array(ndimage.center_of_mass(middle == v)) for v in (LV, RV))
    assert rv[1] < lv[1] and rv[0] < lv[0]  # to the left and up: the patient's right and front
    # No cavity pixel touches anything but cavity and wall, below the mitral plane.
    around = ndimage.binary_dilation(middle == LV) & (middle != LV)
    assert set(np.unique(middle[around])) == {MYO}
    areas = (labels[0] == LV).sum(axis=(1, 2))
    present = np.flatnonzero(areas)
    assert areas[present[0]] < 0.35 * areas.max()
    assert not labels[:, -1].any()


def test_the_basal_slice_is_lost_in_systole():
    case = _case(HeartClass.NORMAL)
    labels, _ = _labels(case)
    es = int(np.argmin((labels == LV).sum(axis=(1, 2, 3))))
    present = (labels == LV).any(axis=(2, 3))
    assert np.flatnonzero(present[es]).max() < np.flatnonzero(present[0]).max()


def test_the_affine_leads_from_the_apex_to_the_base_with_the_right_ventricle_on_the_patients_right():
    case = _case(HeartClass.NORMAL)
    labels, grid = _labels(case)
    affine = grid.geometry.affine
    assert np.linalg.norm(affine[:3, :3], axis=0) == pytest.approx([1.25, 1.25, 8.0])
    assert np.linalg.det(affine[:3, :3]) != 0

    def place(value: int) -> np.ndarray:
        z, y, x = ndimage.center_of_mass(labels[0] == value)
        return (affine @ [x, y, z, 1])[:3]

    towards_rv = place(RV) - place(LV)
    assert towards_rv[0] > 0 and towards_rv[1] > 0  # RAS: right and front
    base_to_apex = -affine[:3, 2]
    assert base_to_apex[0] < 0 and base_to_apex[1] > 0 and base_to_apex[2] < 0


def test_levels_are_fractions_of_the_long_axis():
    case = _case(HeartClass.NORMAL)
    grid = levels_through(case.heart, (0.35, 0.55, 0.75))
    assert np.array(grid.heights_mm) == pytest.approx(
        np.array([0.35, 0.55, 0.75]) * case.heart.height_mm
    )
    assert grid.slice_distance_mm == pytest.approx(0.2 * case.heart.height_mm)
    with pytest.raises(PhantomError, match="equally"):
        levels_through(case.heart, (0.3, 0.5, 0.8))


def test_faults_shift_delay_and_lose_slices():
    case = _case(HeartClass.NORMAL)
    grid = levels_through(case.heart, (0.35, 0.55, 0.75))
    beat = case.heart.beat(case.heart.lv.frame_times_ms(20))
    plain = rasterise(beat, grid)
    faults = Faults(
        shift_mm=((0.0, 0.0), (3.6, -1.8), (0.0, 0.0)), late_frames=(0, 0, 3), missing=(0,)
    )
    faulty = rasterise(beat, grid, faults=faults)
    assert not faulty[:, 0].any()
    assert np.array_equal(faulty[:, 1], np.roll(plain[:, 1], (2, -1), axis=(1, 2)))
    assert np.array_equal(faulty[:, 2], np.roll(plain[:, 2], 3, axis=0))


def test_a_heart_outside_the_picture_is_refused():
    case = _case(HeartClass.NORMAL)
    grid = replace(levels_through(case.heart, (0.5,)), centre_px=(900.0, 900.0))
    with pytest.raises(PhantomError, match="outside"):
        rasterise(case.heart.beat(np.zeros(1)), grid)


def test_readers_draw_a_basal_cavity_whole_or_not_at_all():
    cavity = np.zeros((4, 4), bool)
    cavity[:, :2] = True
    above = np.zeros((4, 4), bool)
    above[:2] = True
    assert not cut_as_readers_do(cavity, above).any(), "half of it is ventricle: drawn whole"
    above[2, 0] = True
    np.testing.assert_array_equal(cut_as_readers_do(cavity, above), cavity)
    np.testing.assert_array_equal(cut_at_the_valve(cavity, above), cavity & above)
