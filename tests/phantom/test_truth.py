from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.phantom.rasterise import mask_volume_ml
from napari_cardioxai.phantom.spec import BUILT_IN, CohortSpec
from napari_cardioxai.phantom.subject import Subject, draw_subject
from napari_cardioxai.phantom.truth import analytic_truth, mask_truth

MIXED = BUILT_IN["mixed"]
CRT = BUILT_IN["crt"]


@pytest.fixture(scope="module")
def normal() -> Subject:
    return draw_subject(MIXED, seed=4, index=0)


def test_the_truth_agrees_with_itself(normal: Subject):
    truth = analytic_truth(normal)
    assert truth["sv_ml"] == pytest.approx(truth["edv_ml"] - truth["esv_ml"])
    assert truth["ef_percent"] == pytest.approx(100 * truth["sv_ml"] / truth["edv_ml"])
    for rate in ("per", "pfr", "pafr"):
        assert truth[f"{rate}_edv_s"] == pytest.approx(truth[f"{rate}_ml_s"] / truth["edv_ml"])
    output = truth["sv_ml"] * truth["heart_rate_bpm"] / 1000
    assert truth["cardiac_output_l_min"] == pytest.approx(output)
    assert truth["wall_ed_max_mm"] == max(truth[f"wall_ed_mm_{k:02d}"] for k in range(1, 17))


def test_rates_are_the_slopes_of_the_curve(normal: Subject):
    """Central differences of the closed form, five steps a millisecond."""
    truth, lv = analytic_truth(normal), normal.case.heart.lv
    times = np.arange(0, lv.cycle_ms, 0.2)
    slope = np.gradient(lv.volume_ml(times), times) * 1000
    assert -slope.min() == pytest.approx(truth["per_ml_s"], rel=1e-4)
    assert slope.max() == pytest.approx(truth["pfr_ml_s"], rel=1e-4)
    late = times > truth["diastasis_ms"]
    assert slope[late].max() == pytest.approx(truth["pafr_ml_s"], rel=1e-4)


def test_thickening_variance_is_that_of_two_rings_by_hand(normal: Subject):
    truth = analytic_truth(normal)
    percent = [
        100 * (truth[f"wall_es_mm_{k:02d}"] / truth[f"wall_ed_mm_{k:02d}"] - 1)
        for k in range(1, 13)
    ]
    rings = [np.mean((np.array(r) - np.mean(r)) ** 2) for r in (percent[:6], percent[6:])]
    assert truth["thickening_variance_percent2"] == pytest.approx(np.mean(rings))


def test_fused_hearts_have_no_atrial_truth():
    fused = draw_subject(replace(MIXED, classes=("NOR",), fused_share=1.0), seed=1, index=0)
    truth = analytic_truth(fused)
    assert truth["pafr_ml_s"] is truth["pafr_edv_s"] is truth["rv_pafr_ml_s"] is None
    assert truth["pfr_edv_s"] > 0


def test_flash_is_looked_for_in_candidates_and_not_in_others(normal: Subject):
    assert analytic_truth(normal)["septal_flash_mm"] is None
    candidates = [draw_subject(CRT, seed=2, index=k) for k in range(12)]
    flashes = {s.case.heart.dyssynchrony is None: [] for s in candidates}
    for subject in candidates:
        truth = analytic_truth(subject)
        flashes[subject.case.heart.dyssynchrony is None].append(truth["septal_flash_mm"])
        drawn = subject.case.details.get("flash_mm")
        if drawn:
            assert 0.5 * drawn < truth["septal_flash_mm"] <= 1.1 * drawn
            assert truth["lateral_delay_ms"] > 0
    assert set(flashes[True]) == {0.0}, "looked for and not found"


def test_masks_hold_what_counting_finds(normal: Subject):
    labels, grid = normal.labels(), normal.grid
    found, truth = mask_truth(labels, grid), analytic_truth(normal)
    voxel = 1.25 * 1.25 * 8.0 / 1000
    counts = (labels == 1).sum(axis=(1, 2, 3))
    assert found["edv_ml"] == pytest.approx(counts.max() * voxel)
    assert found["lvm_g"] == pytest.approx(1.05 * (labels[counts.argmax()] == 2).sum() * voxel)
    for name, within in (("edv_ml", 0.02), ("esv_ml", 0.03), ("lvm_g", 0.03), ("rv_edv_ml", 0.02)):
        assert found[name] == pytest.approx(truth[name], rel=within), name


def test_nothing_labelled_has_an_ejection_fraction_of_nought(normal: Subject):
    empty = np.zeros((2, len(normal.grid.heights_mm), *normal.grid.matrix), np.uint8)
    assert set(mask_truth(empty, normal.grid).values()) == {0.0}


@pytest.mark.parametrize("conserve", [True, False])
def test_the_wall_keeps_its_volume_over_the_cycle_unless_told_otherwise(conserve: bool):
    spec = replace(MIXED, classes=("NOR",), frames=12, conserve_myocardium=conserve)
    subject = draw_subject(spec, seed=1, index=1)
    wall = mask_volume_ml(subject.labels(), subject.grid, 2)
    growth = wall[int(subject.beat.heart.lv.volume_ml(subject.times_ms).argmin())] / wall[0] - 1
    drawn = subject.case.heart.shape.myocardial_change
    assert (drawn == 0.0) is conserve
    assert growth == pytest.approx(drawn, abs=0.03)


def test_a_candidate_is_the_same_to_the_bit_whenever_it_is_drawn():
    for spec in (CRT, CohortSpec(classes=("CAD", "CTRL"), levels=(0.4, 0.6))):
        first, again = (draw_subject(spec, seed=11, index=5) for _ in range(2))
        assert analytic_truth(first) == analytic_truth(again)
        np.testing.assert_array_equal(first.labels(), again.labels())
        other = draw_subject(spec, seed=12, index=5)
        assert analytic_truth(other)["edv_ml"] != analytic_truth(first)["edv_ml"]
