from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from napari_cardioxai.phantom.volume_curve import Bump, PhantomError, VolumeCurve

CURVE = VolumeCurve(
    edv_ml=150.0, esv_ml=60.0, heart_rate_bpm=66.0, es_time_ms=330.0, e_skew=0.4, a_skew=0.55
)


def _extreme(curve: VolumeCurve, low_ms: float, high_ms: float, sign: int) -> tuple[float, float]:
    """Time and value of the extreme of a numerical derivative of the volume."""

    def slope(time_ms: float) -> float:
        step = 0.01
        around = curve.volume_ml(np.array([time_ms - step, time_ms + step]))
        return -sign * float(around[1] - around[0]) / (2 * step) * 1000

    found = minimize_scalar(
        slope, bounds=(low_ms, high_ms), method="bounded", options={"xatol": 1e-6}
    )
    return found.x, -sign * found.fun


def test_a_bump_integrates_to_its_volume_and_peaks_at_twice_its_mean_rate():
    bump = Bump(20.0, 120.0, 340.0, 80.0)
    area = sum(
        quad(lambda t: float(bump.rate_ml_s(np.array(t))), *span, epsabs=1e-10)[0] / 1000
        for span in ((0, 20), (20, 120), (120, 340), (340, 500))
    )
    assert area == pytest.approx(80.0, abs=1e-9)
    assert bump.peak_ml_s == pytest.approx(2 * 80.0 / 0.320)
    assert bump.rate_ml_s(np.linspace(0, 500, 50001)).max() == pytest.approx(bump.peak_ml_s)


def test_rates_and_their_times_are_the_extremes_of_the_numerical_derivative():
    truth = CURVE.truth()
    for low, high, sign, rate, when in (
        (20, 320, -1, truth.per_ml_s, truth.per_time_ms),
        (340, 570, 1, truth.pfr_ml_s, truth.pfr_time_ms),
        (735, 905, 1, truth.pafr_ml_s, truth.pafr_time_ms),
    ):
        found_when, found_rate = _extreme(CURVE, low, high, sign)
        assert abs(found_rate) == pytest.approx(rate, rel=1e-6)
        assert found_when == pytest.approx(when, abs=0.05)


def test_volumes_fraction_and_diastasis_follow_from_the_inputs():
    truth = CURVE.truth()
    time = np.linspace(0, CURVE.cycle_ms, 200001)
    volume = CURVE.volume_ml(time)
    assert (volume.max(), volume.min()) == pytest.approx((150.0, 60.0), abs=1e-6)
    assert truth.ef_percent == pytest.approx(60.0)
    assert CURVE.volume_ml(np.array(truth.es_time_ms)) == pytest.approx(60.0, abs=1e-9)
    assert CURVE.rate_ml_s(np.array(truth.diastasis_time_ms)) == 0.0
    third = truth.es_time_ms + (CURVE.cycle_ms - truth.es_time_ms) / 3
    assert truth.filling_fraction == pytest.approx(
        (np.interp(third, time, volume) - 60) / 90, abs=1e-6
    )


def test_the_curve_is_periodic_and_its_second_derivative_has_no_jump():
    rr = CURVE.cycle_ms
    assert CURVE.volume_ml(np.array([0.0, 123.0])) == pytest.approx(
        CURVE.volume_ml(np.array([rr, rr + 123.0]))
    )
    time = np.arange(0, rr, 0.05)
    bend = np.diff(CURVE.rate_ml_s(time)) / 0.05
    assert np.abs(np.diff(bend)).max() < 0.02 * np.abs(bend).max()


def test_rates_of_a_normal_heart_at_60_bpm_are_those_of_the_literature():
    truth = VolumeCurve(edv_ml=150.0, esv_ml=60.0).truth()
    assert truth.per_ml_s / 150 == pytest.approx(3.7, abs=0.1)
    assert truth.pfr_ml_s / 150 == pytest.approx(3.3, abs=0.1)
    assert truth.pafr_ml_s / 150 == pytest.approx(2.0, abs=0.1)


def test_fused_filling_has_one_peak_and_no_atrial_rate():
    curve = VolumeCurve(150.0, 60.0, heart_rate_bpm=115.0, es_time_ms=250.0, fused=True)
    rate = curve.rate_ml_s(np.arange(250.0, curve.cycle_ms, 0.5))
    rising = np.diff(rate) > 0
    assert np.count_nonzero(rising[:-1] & ~rising[1:]) == 1
    truth = curve.truth()
    assert truth.pafr_ml_s is None and truth.diastasis_time_ms is None
    assert "fused" in truth.note
    assert truth.pfr_ml_s == pytest.approx(rate.max(), rel=1e-4)


def test_a_truncated_cycle_ends_early_and_has_no_atrial_rate():
    curve = replace(CURVE, covered=0.85)
    times = curve.frame_times_ms(20)
    assert times[-1] + times[1] == pytest.approx(0.85 * curve.cycle_ms)
    assert curve.volume_ml(times)[-1] < 0.9 * 150
    assert curve.truth().pafr_ml_s is None
    assert "85 %" in curve.truth().note


@pytest.mark.parametrize(
    ("change", "word"),
    [({"heart_rate_bpm": 100.0}, "fit"), ({"esv_ml": 160.0}, "ESV"), ({"e_skew": 0.95}, "peak")],
)
def test_impossible_curves_are_refused_in_a_sentence(change: dict[str, float], word: str):
    with pytest.raises(PhantomError, match=word):
        replace(CURVE, **change)
