from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.phantom.classes import draw_case
from napari_cardioxai.phantom.heart import HeartShape
from napari_cardioxai.phantom.lesions import (
    FLASH_SHARE,
    LARGEST_RIGHT_ML,
    LATERAL_SCAR_SHARE,
    LESIONS,
    NEIGHBOURS,
    POSTEROLATERAL,
    SEPTUM,
    TERRITORIES,
    WEAK_RIGHT_SHARE,
    Build,
    adjacent_segments,
    candidacy,
    impair_filling,
    ischaemia,
    wear,
)
from napari_cardioxai.phantom.ranges import HeartClass
from napari_cardioxai.phantom.volume_curve import PhantomError, VolumeCurve

CURVE = VolumeCurve(edv_ml=140, esv_ml=56, heart_rate_bpm=60)


def a_build(**curve) -> Build:
    lv = replace(CURVE, **curve)
    return Build(HeartShape(), lv, replace(lv, edv_ml=150, esv_ml=150 - lv.sv_ml))


def hang_together(segments) -> bool:
    """Whether one can walk from the first to every other over shared borders."""
    reached, left = {segments[0]}, set(segments[1:])
    while step := {s for s in left if any(frozenset((s, r)) in NEIGHBOURS for r in reached)}:
        reached, left = reached | step, left - step
    return not left


def test_territories_share_the_sixteen_segments_among_them():
    assert sorted(s for part in TERRITORIES.values() for s in part) == list(range(1, 17))


def test_segments_of_a_ring_have_two_neighbours_in_it():
    for ring in (range(1, 7), range(7, 13), range(13, 17)):
        for segment in ring:
            beside = [s for s in ring if frozenset((s, segment)) in NEIGHBOURS]
            assert len(beside) == 2


@pytest.mark.parametrize("territory", TERRITORIES)
def test_adjacent_segments_hang_together(territory: str):
    rng = np.random.default_rng(1)
    for count in (1, 2, 3, 4):
        for _ in range(10):
            drawn = adjacent_segments(TERRITORIES[territory], count, rng)
            assert len(set(drawn)) == count and set(drawn) <= set(TERRITORIES[territory])
            assert list(drawn) == sorted(drawn) and hang_together(drawn)


def test_filling_dysfunction_changes_two_rates_by_forty_and_thirty_percent_and_nothing_else():
    before, after = CURVE.truth(), impair_filling(CURVE).truth()
    assert after.pfr_ml_s == pytest.approx(0.6 * before.pfr_ml_s)
    assert after.pafr_ml_s == pytest.approx(1.3 * before.pafr_ml_s)
    for name in ("edv_ml", "esv_ml", "per_ml_s", "es_time_ms"):
        assert getattr(after, name) == getattr(before, name)
    half = impair_filling(CURVE, severity=0.5).truth()
    assert half.pfr_ml_s == pytest.approx(0.8 * before.pfr_ml_s)
    assert half.pafr_ml_s == pytest.approx(1.15 * before.pafr_ml_s)
    unchanged = impair_filling(CURVE, severity=0.0)
    assert unchanged.e_duration_ms == pytest.approx(CURVE.e_duration_ms)
    assert unchanged.e_share == CURVE.e_share


def test_a_short_diastole_has_no_room_for_slow_filling():
    fast = replace(CURVE, heart_rate_bpm=76.0)
    with pytest.raises(PhantomError, match="do not fit"):
        impair_filling(fast)
    # Wear takes as much of it as there is room for.
    worn = wear(Build(HeartShape(), fast, fast), np.random.default_rng(3))
    assert worn.lv.sv_ml == fast.sv_ml


def test_wear_leaves_volumes_alone_and_moves_the_walls_unevenly():
    build = a_build()
    worn = wear(build, np.random.default_rng(5))
    assert (worn.lv.edv_ml, worn.lv.esv_ml) == (build.lv.edv_ml, build.lv.esv_ml)
    assert worn.rv == build.rv and worn.shape.wall_mm == build.shape.wall_mm
    share = np.array(worn.shape.contraction) / build.shape.contraction
    assert 0.01 < share.std() < 0.4


def test_ischaemia_weakens_two_to_four_neighbours_of_one_territory_and_costs_ejection():
    build = a_build()
    for seed in range(30):
        ill = ischaemia(build, np.random.default_rng(seed))
        segments, severity = ill.details["ischaemic_segments"], ill.details["ischaemia_severity"]
        assert 2 <= len(segments) <= 4 and hang_together(segments)
        assert set(segments) <= set(TERRITORIES[ill.details["territory"]])
        thinned = [s for s in range(1, 17) if ill.shape.wall_mm[s - 1] < build.shape.wall_mm[s - 1]]
        assert thinned == segments
        lost = 0.5 * severity * len(segments) / 16
        assert ill.lv.sv_ml == pytest.approx((1 - lost) * build.lv.sv_ml)
        assert ill.lv.edv_ml == build.lv.edv_ml
        assert ill.rv.sv_ml == pytest.approx(ill.lv.sv_ml)


def test_candidates_have_their_factors_as_often_as_the_shares_say():
    build = a_build(edv_ml=250, esv_ml=180)
    drawn = [candidacy(build, np.random.default_rng(seed)) for seed in range(400)]
    flash = np.array([b.dyssynchrony is not None and b.dyssynchrony.flash_mm > 0 for b in drawn])
    scar = np.array([set(POSTEROLATERAL) <= set(b.details["scar_segments"]) for b in drawn])
    weak = np.array([b.rv.edv_ml > build.rv.edv_ml for b in drawn])
    for found, share in (
        (flash, FLASH_SHARE),
        (scar, LATERAL_SCAR_SHARE),
        (weak, WEAK_RIGHT_SHARE),
    ):
        assert found.mean() == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / 400))
    # Drawn one without regard to the other: each tells the answer something of its own.
    assert np.abs(np.corrcoef([flash, scar, weak]) - np.eye(3)).max() < 0.2
    assert {b.rv.sv_ml for b in drawn} == {build.rv.sv_ml}
    assert max(b.rv.edv_ml for b in drawn) <= LARGEST_RIGHT_ML


def test_flash_comes_with_a_late_lateral_wall_and_a_still_septum():
    for seed in range(40):
        build = candidacy(a_build(edv_ml=250, esv_ml=180), np.random.default_rng(seed))
        motion = build.dyssynchrony
        if motion is None or motion.flash_mm == 0:
            continue
        assert 100 <= motion.lateral_delay_ms <= 200
        still = set(SEPTUM) - set(build.details["scar_segments"])
        assert all(build.shape.contraction[s - 1] == 0 for s in still)


@pytest.mark.parametrize("kind", HeartClass)
def test_every_lesion_leaves_a_heart_whose_cavities_and_wall_hold_their_volumes(kind: HeartClass):
    """Solved surfaces, integrated on an independent fine grid of planes and angles."""
    assert kind in LESIONS
    heart = draw_case(kind, np.random.default_rng([7, 7])).heart
    times = np.array([0.0, 0.5, 1.0]) * heart.lv.es_time_ms
    beat = heart.beat(times)
    planes, step = np.linspace(0, 1.35 * heart.height_mm, 1600, retstep=True)
    walls = beat.surfaces(planes)
    cavity, outer = (_volume_ml(walls, r, step) for r in (walls.endo_mm, walls.epi_mm))
    assert cavity == pytest.approx(heart.lv.volume_ml(times), rel=4e-3)
    assert outer - cavity == pytest.approx(np.full(3, heart.myocardial_volume_ml), rel=8e-3)


def _volume_ml(walls, radius_mm: np.ndarray, step_mm: float) -> np.ndarray:
    """Volume below the mitral plane within `radius_mm`, in mL, by small rings of each sector."""
    theta = np.arange(radius_mm.shape[-1]) * 2 * np.pi / radius_mm.shape[-1]
    share = (np.arange(60) + 0.5) / 60
    rise = walls.mitral.slope * np.cos(theta - np.deg2rad(walls.mitral.direction_deg))
    total = np.zeros(len(radius_mm))
    for part in share:
        r = part * radius_mm
        below = walls.above_mitral_mm[..., None] <= r * rise
        total += (below * r * radius_mm / 60).sum(axis=(1, 2))
    return total * step_mm * (2 * np.pi / radius_mm.shape[-1]) / 1000
