import numpy as np
import pytest

from napari_cardioxai.phantom.classes import Case, Variation, draw_case
from napari_cardioxai.phantom.lesions import NEIGHBOURS, TERRITORIES
from napari_cardioxai.phantom.ranges import HeartClass

COUNT = 25


def _draw(kind: HeartClass, variation: Variation | None = None) -> list[Case]:
    return [
        draw_case(kind, np.random.default_rng([29, k]), variation=variation) for k in range(COUNT)
    ]


def _thickness(case: Case) -> tuple[np.ndarray, np.ndarray]:
    beat = case.heart.beat(np.array([0.0, case.heart.lv.es_time_ms]))
    rest, systole = beat.segment_thickness_mm()
    return rest, systole


# Rules of ACDC (Bernard 2018) and the ranges of the class statistics.
@pytest.mark.parametrize(
    ("kind", "edv", "ef", "mean_edv", "mean_ef"),
    [
        ("NOR", (80, 170), (50, 73), 130, 60),
        ("DCM", (200, 400), (10, 40), 285, 18),
        ("HCM", (85, 190), (55, 82), 129, 67),
        ("MINF", (110, 260), (16, 40), 172, 31),
        ("RV", (70, 160), (43, 63), 107, 55),
        ("LBBB", (170, 340), (20, 35), 250, 28),
    ],
)
def test_volumes_keep_to_the_class(
    kind: str, edv: tuple, ef: tuple, mean_edv: float, mean_ef: float
):
    truths = [case.heart.lv.truth() for case in _draw(HeartClass(kind))]
    volumes, fractions = (
        np.array([getattr(t, n) for t in truths]) for n in ("edv_ml", "ef_percent")
    )
    assert volumes.min() >= edv[0] and volumes.max() <= edv[1]
    assert fractions.min() >= ef[0] and fractions.max() <= ef[1]
    assert volumes.mean() == pytest.approx(mean_edv, rel=0.12)
    assert fractions.mean() == pytest.approx(mean_ef, rel=0.15)


def test_mass_is_near_the_class_statistics():
    for kind, mean in (("NOR", 102), ("DCM", 170), ("HCM", 177), ("MINF", 123), ("RV", 77)):
        masses = [case.heart.mass_g for case in _draw(HeartClass(kind))]
        assert np.mean(masses) == pytest.approx(mean, rel=0.2), kind


def test_only_hypertrophic_hearts_have_walls_above_15_mm():
    assert all(_thickness(case)[0].max() > 14.5 for case in _draw(HeartClass.HYPERTROPHIC))
    for kind in set(HeartClass) - {HeartClass.HYPERTROPHIC}:
        assert all(_thickness(case)[0].max() < 12 for case in _draw(kind)), kind


def test_hypertrophic_septum_thickens_less_than_the_free_wall():
    for case in _draw(HeartClass.HYPERTROPHIC):
        rest, systole = _thickness(case)
        gain = systole / rest - 1
        assert gain[[1, 2, 7, 8]].mean() < 0.7 * gain[[4, 5, 10, 11]].mean()


def test_infarcts_are_one_to_three_adjacent_thin_segments_of_one_territory():
    seen = set()
    for case in _draw(HeartClass.INFARCT):
        segments = case.details["infarct_segments"]
        seen.add(len(segments))
        assert set(segments) <= set(TERRITORIES[case.details["territory"]])
        for segment in segments[1:]:
            assert len(segments) == 1 or any(
                frozenset((segment, other)) in NEIGHBOURS for other in segments if other != segment
            )
        rest, systole = _thickness(case)
        dead = np.array(segments) - 1
        alive = np.setdiff1d(np.arange(12), dead)
        assert np.all(systole[dead] / rest[dead] < 1.1)
        assert np.median(systole[alive] / rest[alive]) > 1.1
    assert seen == {1, 2, 3}


def test_right_ventricles_fail_only_in_their_class():
    weak = [case.heart.rv.truth() for case in _draw(HeartClass.RIGHT)]
    assert all(t.ef_percent < 45 and t.edv_ml > 115 for t in weak)
    assert all(c.heart.rv.truth().ef_percent > 40 for c in _draw(HeartClass.NORMAL))


def test_stroke_volumes_of_both_ventricles_agree():
    for kind in HeartClass:
        for case in _draw(kind)[:5]:
            assert case.heart.rv.sv_ml == pytest.approx(case.heart.lv.sv_ml, rel=0.1)


def test_septal_flash_is_one_to_three_mm_at_60_to_120_ms_and_the_lateral_wall_late():
    for case in _draw(HeartClass.DYSSYNCHRONY):
        times = np.arange(0.0, 280.0, 2.0)
        septum = case.heart.beat(times).septal_displacement_mm()
        deepest = int(np.argmin(septum[:70]))
        assert 60 <= times[deepest] <= 122
        assert 1.0 <= -septum[deepest] <= 3.0
        assert septum[deepest:].max() > septum[deepest] + 0.8
        assert 100 <= case.heart.lateral_delay_ms <= 200


def test_diastolic_dysfunction_is_a_twin_with_other_filling_rates():
    same_rate = Variation(heart_rate_bpm=(50.0, 62.0))
    for normal, ill in zip(
        _draw(HeartClass.NORMAL, same_rate), _draw(HeartClass.DIASTOLIC, same_rate), strict=True
    ):
        a, b = normal.heart.lv.truth(), ill.heart.lv.truth()
        assert b.ef_percent == a.ef_percent and b.per_ml_s == a.per_ml_s
        assert b.pfr_ml_s == pytest.approx(0.6 * a.pfr_ml_s)
        assert b.pafr_ml_s == pytest.approx(1.3 * a.pafr_ml_s)
        assert normal.heart.shape == ill.heart.shape


def test_fused_hearts_beat_fast_and_have_no_atrial_rate():
    for case in _draw(HeartClass.NORMAL, Variation(fused_share=1.0)):
        truth = case.heart.lv.truth()
        assert truth.heart_rate_bpm > 100 and truth.pafr_ml_s is None


def test_the_same_generator_state_draws_the_same_patient():
    for kind in HeartClass:
        a, b = (draw_case(kind, np.random.default_rng([29, 4])) for _ in range(2))
        assert a == b
        assert a != draw_case(kind, np.random.default_rng([29, 5]))


def _candidate(index: int) -> Case:
    """A patient of the cohort `crt`, seed 3."""
    rng = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(index, 0)))
    return draw_case(HeartClass.CANDIDATE, rng)


def test_a_flashing_septum_and_a_scar_that_leave_too_little_wall_cost_ejection():
    """These two could not eject what their class would have them eject."""
    for index in (60, 114):
        case = _candidate(index)
        assert case.details["flash_mm"] > 0 and case.details["scar_segments"]
        lv = case.heart.lv
        beat = case.heart.beat(lv.frame_times_ms(25))
        assert np.all(beat.surfaces(np.array([0.5 * case.heart.height_mm])).endo_mm >= 0)
        assert 12 < lv.truth().ef_percent < 35
        assert case.heart.rv.sv_ml == pytest.approx(lv.sv_ml, rel=0.06)
