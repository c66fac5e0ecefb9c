from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt

from napari_cardioxai.phantom.classes import HeartClass, draw_case
from napari_cardioxai.phantom.heart import Outflow
from napari_cardioxai.phantom.images import (
    TISSUES,
    Look,
    Scanner,
    Tissue,
    Trabeculae,
    draw_look,
    low_pass,
    render,
    signal,
)
from napari_cardioxai.phantom.rasterise import (
    LV,
    MYO,
    RV,
    Grid,
    levels_through,
    rasterise,
    rasterise_papillaries,
    stack_around,
)

CASE = draw_case(HeartClass.NORMAL, np.random.default_rng([3, 1]))
GRID = levels_through(CASE.heart, (0.3, 0.5, 0.7), pixel_mm=1.5, matrix=(128, 128))
CLEAN = Scanner(snr=0.0, bias=0.0, coil=False, texture=0.0, low_pass=(1.0, 1.0))


def _look(scanner: Scanner, seed: int = 0) -> Look:
    rng = np.random.default_rng(seed)
    return draw_look(CASE.heart, rng, septum_deg=GRID.septum_deg, scanner=scanner)


def _inner(labels: np.ndarray, value: int) -> np.ndarray:
    """Voxels whose in-plane neighbours have the same label."""
    same = labels == value
    for axis in (-1, -2):
        same = same & np.roll(same, 1, axis) & np.roll(same, -1, axis)
    return same


def test_signal_is_the_steady_state_formula_by_hand():
    # ρ 95, T1/T2 = 4, 60 degrees: 95 · 0.8660 · e^(-1.5/300) / (5 - 0.5 · 3)
    value = signal(Tissue(95, 1200, 300), flip_deg=60.0, te_ms=1.5)
    assert value == pytest.approx(95 * 0.8660254 * 0.9950125 / 3.5, rel=1e-6)


def test_fat_is_out_of_phase_and_blood_brighter_than_muscle():
    levels = {k: signal(t, flip_deg=55.0, te_ms=1.5) for k, t in TISSUES.items()}
    assert levels["fat"] < 0
    assert 2 < levels["blood"] / levels["muscle"] < 4
    assert abs(levels["lung"]) < 0.15 * levels["muscle"]


def test_the_low_pass_keeps_constants_and_slow_waves_and_removes_fast_ones():
    matrix = low_pass(64, finer=2, share=0.5, window=0.0)
    assert matrix.shape == (64, 128)
    assert matrix @ np.ones(128) == pytest.approx(1.0, abs=1e-5)
    fine = (np.arange(128) + 0.5) / 2 - 0.5
    for cycles, kept in ((8, 1.0), (24, 0.0)):
        wave = np.cos(2 * np.pi * cycles * fine / 64)
        expected = kept * np.cos(2 * np.pi * cycles * np.arange(64) / 64)
        assert matrix @ wave == pytest.approx(expected, abs=1e-4)


def test_images_show_blood_bright_and_muscle_dark_where_the_labels_say():
    beat = CASE.heart.beat(CASE.heart.lv.frame_times_ms(4))
    labels = rasterise(beat, GRID)
    images = render(beat, GRID, _look(CLEAN))
    assert images.shape == labels.shape and images.dtype == np.int16
    blood = np.median(images[_inner(labels, RV)])
    assert np.median(images[_inner(labels, LV)]) == pytest.approx(blood, rel=0.1)
    assert blood == pytest.approx(700, rel=0.1)
    assert np.median(images[_inner(labels, MYO)]) < 0.6 * blood


def in_the_left_cavity(time_ms, trabeculae):
    """Of one frame: what trabeculae change, the labels, depth in the cavity in mm, and where no papillary is."""
    beat = CASE.heart.beat(np.array([time_ms]))
    labels = rasterise(beat, GRID)
    smooth = replace(_look(CLEAN), trabeculae=Trabeculae(share=0.0))
    rough = replace(smooth, trabeculae=trabeculae)
    change = render(beat, GRID, rough).astype(float) - render(beat, GRID, smooth)
    depth = np.stack([distance_transform_edt(z == LV) for z in labels[0]])[None] * GRID.pixel_mm
    free = (labels == LV) & ~binary_dilation(rasterise_papillaries(beat, GRID), iterations=2)
    return change, labels, depth, free


def test_trabeculae_darken_the_rim_of_the_blood_and_nothing_else():
    change, labels, depth, free = in_the_left_cavity(
        0.0, Trabeculae(share=0.6, left_mm=6.0, right_mm=6.0)
    )
    assert change[free & (depth < 3)].mean() < -50 < change[free & (depth > 8)].min() - 20
    assert np.abs(change[_inner(labels, MYO) & _inner(labels, MYO)]).mean() < 15


def test_trabeculae_close_up_as_their_ventricle_empties():
    left = CASE.heart.lv
    change, _, depth, free = in_the_left_cavity(
        left.es_time_ms, Trabeculae(share=1.0, left_mm=8.0, right_mm=0.1)
    )
    reach = 8.0 * left.esv_ml / left.edv_ml
    assert 1 < reach < 4 and (free & (depth > reach + 2)).any()
    assert change[free & (depth < reach)].mean() < -50
    assert np.abs(change[free & (depth > reach + 2)]).max() < 30


def test_an_atrium_is_smooth():
    grid = levels_through(CASE.heart, (0.7, 1.35), pixel_mm=1.5, matrix=(128, 128))
    beat = CASE.heart.beat(np.zeros(1))
    smooth = replace(_look(CLEAN), trabeculae=Trabeculae(share=0.0))
    rough = replace(smooth, trabeculae=Trabeculae())
    change = np.abs(render(beat, grid, rough).astype(float) - render(beat, grid, smooth))
    ventricle, atrium = change[0]
    assert rasterise(beat, grid)[0, 1].max() == 0 and ventricle.max() > 200
    assert atrium.max() < 0.1 * ventricle.max()


def test_muscle_takes_as_much_of_the_cavity_as_in_people():
    """23 ± 3 % of the end-diastolic volume with the papillary muscles (Chuang et al. 2012)."""
    beat = CASE.heart.beat(np.zeros(1))
    grid = levels_through(CASE.heart, np.arange(0.05, 1, 0.1), pixel_mm=1.0, matrix=(160, 160))
    cavity = rasterise(beat, grid)[0] == LV
    depth = np.stack([distance_transform_edt(z) for z in cavity]) * grid.pixel_mm - 0.5
    usual = Trabeculae()
    muscle = usual.share * np.clip(1 - depth / usual.left_mm, 0, 1)
    muscle[rasterise_papillaries(beat, grid)[0]] = 1
    assert 0.17 < muscle[cavity].mean() < 0.29


def test_papillary_muscles_are_dark_where_their_discs_say():
    beat = CASE.heart.beat(np.zeros(1))
    images = render(beat, GRID, _look(CLEAN))
    labels, discs = rasterise(beat, GRID), rasterise_papillaries(beat, GRID)
    assert discs.any() and (labels[discs] == LV).mean() > 0.9
    inside = binary_erosion(discs, np.ones((1, 1, 3, 3)))
    away = (labels == LV) & ~binary_dilation(discs, np.ones((1, 1, 5, 5)))
    assert np.median(images[inside]) < 0.6 * np.median(images[away])


def test_noise_has_the_asked_for_size():
    beat = CASE.heart.beat(CASE.heart.lv.frame_times_ms(2))
    look = _look(CLEAN)
    noisy = replace(look, scanner=replace(CLEAN, snr=20.0))
    difference = render(beat, GRID, noisy).astype(float) - render(beat, GRID, look)
    inside = _inner(rasterise(beat, GRID), LV)
    assert difference[inside].std() == pytest.approx(700 / 20, rel=0.1)


def test_pixels_on_a_border_and_slices_through_the_apex_are_mixtures():
    beat = CASE.heart.beat(np.zeros(1))
    apex = Grid((128, 128), 1.5, (3.0,), (63.5, 63.5), GRID.septum_deg)
    middle = replace(apex, heights_mm=(50.0,))
    look = _look(CLEAN)
    sharp = replace(look, scanner=replace(CLEAN, planes=1))
    change = [
        np.abs(render(beat, g, look).astype(float) - render(beat, g, sharp)).max()
        for g in (apex, middle)
    ]
    assert change[0] > 50 > change[1]


def test_the_same_look_renders_the_same_picture_and_another_subject_another_one():
    beat = CASE.heart.beat(np.zeros(1))
    first, second = (render(beat, GRID, _look(Scanner())) for _ in range(2))
    assert np.array_equal(first, second)
    other = render(beat, GRID, _look(Scanner(), seed=1))
    corner = np.s_[:, :, :40, :40]
    assert np.abs(first[corner].astype(float) - other[corner]).mean() > 20


def test_over_the_valves_the_way_out_is_bright_and_the_wall_of_the_aorta_dark():
    outflow = Outflow(angle_deg=60.0, half_width_deg=40.0, bulge=1.0, height_mm=25.0)
    heart = replace(CASE.heart, shape=replace(CASE.heart.shape, outflow=outflow))
    grid = stack_around(heart, pixel_mm=1.0, matrix=(150, 150), slice_distance_mm=4.0)
    beat = heart.beat(np.zeros(1))
    labels, plain = rasterise(beat, grid)[0], CASE.heart.beat(np.zeros(1))
    look = replace(_look(CLEAN), trabeculae=Trabeculae(share=0.0))
    with_it, without = render(beat, grid, look)[0], render(plain, grid, look)[0]
    z = max(z for z in range(len(labels)) if (labels[z] == RV).sum() > 300)
    assert not (labels[z] == LV).any()
    assert np.median(with_it[z][_inner(labels[z], RV)]) == pytest.approx(700, rel=0.1)
    walls = plain.surfaces(np.array([grid.heights_mm[z]]))
    radius, _ = grid.polar()
    atrium = radius < walls.epi_mm.min() - 8
    darkest = [np.percentile(image[z][atrium], 2) for image in (with_it, without)]
    assert darkest[0] < 0.7 * darkest[1]
