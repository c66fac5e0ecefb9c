"""How fast a ventricle empties and fills.

Volumes come from the measured curve; only its derivative is smoothed. The
peak rates are read between the frames, from a curve through the smoothed
derivative, because a peak seldom falls on a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import find_peaks, savgol_coeffs, savgol_filter

from napari_cardioxai.anatomy.volumes import EjectionFraction, ejection_fraction
from napari_cardioxai.errors import MeasurementError

MIN_FRAMES = 8  # fewer do not show the shape of a cycle
FOURIER_FRAMES = 20  # up to here even the smallest cubic window flattens the atrial peak
HARMONICS = 6
WINDOW_MS = 160.0
MIN_WINDOW = 5
SLOW_FRAMES_MS = 45.0  # temporal resolution asked for by cmrpocketguide
UNEVEN = 0.02  # of the frame interval

OPEN_VOLUME = 0.90  # of EDV: what the last frame must have come back to
OPEN_STROKE = 0.20  # of the stroke volume: the same for ventricles that eject little
COVERED = 0.90  # of a recorded heart cycle

PROMINENCE = 0.15  # of the fastest filling: what makes a peak a wave
LATE_DIASTOLE = 0.60  # atrial filling peaks in the last 40 % of diastole
OVER_NOISE = 5.0  # frame noise: what the dip before a wave lacks, and the wave brings, at least
RESTING = 0.05  # of the early peak: how far around its minimum the rate counts as diastasis
STEP_MS = 1.0


@dataclass(frozen=True)
class RateCurve:
    """The smoothed curve behind the rates, finer than the frames.

    Attributes
    ----------
    time_ms
        Time on the axis of the frames, shape (n,), from the first frame on;
        of a truncated cycle only where the derivative is trusted.
    volume_ml
        Volume in mL that the rates follow, shape (n,): through the measured
        frames, but without the steps of slices that come and go whole.
    rate_ml_s
        Smoothed derivative in mL/s, shape (n,).
    """

    time_ms: np.ndarray
    volume_ml: np.ndarray
    rate_ml_s: np.ndarray


@dataclass(frozen=True)
class Rates:
    """Ejection and filling rates of one ventricle; None where the curve does not tell.

    Attributes
    ----------
    per_ml_s, pfr_ml_s, pafr_ml_s
        Peak ejection, early filling (E) and atrial filling (A) rate in mL/s,
        all positive.
    per_edv_s, pfr_edv_s, pafr_edv_s
        The same per end-diastolic volume, in EDV/s.
    tper_ms, tpfr_ms, tpafr_ms
        Time of the first after end-diastole, of the others after end-systole.
    diastasis_ms
        Time after end-diastole of the slowest change between E and A.
    third_filling_fraction
        Share of the stroke volume that is back after a third of diastole.
    ea_ratio
        `pfr_ml_s / pafr_ml_s`.
    note
        Why a number is missing or uncertain; "" when there is nothing to say.
    method
        How the derivative was smoothed.
    per_time_ms, pfr_time_ms, pafr_time_ms, diastasis_time_ms
        Where to mark them on the axis of the frame times.
    curve
        What the rates were read from, or None.
    """

    per_ml_s: float | None = None
    pfr_ml_s: float | None = None
    pafr_ml_s: float | None = None
    per_edv_s: float | None = None
    pfr_edv_s: float | None = None
    pafr_edv_s: float | None = None
    tper_ms: float | None = None
    tpfr_ms: float | None = None
    tpafr_ms: float | None = None
    diastasis_ms: float | None = None
    third_filling_fraction: float | None = None
    ea_ratio: float | None = None
    note: str = ""
    method: str = ""
    per_time_ms: float | None = None
    pfr_time_ms: float | None = None
    pafr_time_ms: float | None = None
    diastasis_time_ms: float | None = None
    curve: RateCurve | None = field(default=None, repr=False, compare=False)


def filling_rates(
    volume_ml: np.ndarray, frame_times_ms: np.ndarray | None, *, cycle_ms: float | None = None
) -> Rates:
    """Peak ejection, early and atrial filling rates of one heart cycle.

    The derivative is that of a cubic Savitzky-Golay filter whose window is the
    odd number of frames nearest to 160 ms, at least 5, around the cycle; up to
    20 frames that of a least-squares Fourier series with 6 harmonics. A cycle
    that does not come back to its beginning is truncated: it is not wrapped
    around, gives no rate in the outer half window, and no atrial rate. Early
    and atrial filling that make one peak are called fused, and the atrial rate
    stays unknown.

    Parameters
    ----------
    volume_ml
        Volume per frame in mL, shape (t,), as measured.
    frame_times_ms
        Time of each frame in ms, shape (t,), even or not; None when unknown.
    cycle_ms
        Length of the heart cycle as recorded, in ms; tells a truncated cycle.

    Raises
    ------
    MeasurementError
        When there are not as many times as volumes.

    References
    ----------
    Savitzky and Golay 1964; Clough et al. 2019 (first against last frame).
    """
    volume = np.asarray(volume_ml, float)
    if frame_times_ms is None:
        return Rates(note="The frame times are unknown, so there are no rates.")
    times = np.asarray(frame_times_ms, float)
    if times.shape != volume.shape:
        raise MeasurementError(
            f"There are {len(times)} frame times for {len(volume)} volumes; give one per frame."
        )
    if refusal := _refusal(volume, times):
        return Rates(note=refusal)
    beat = _Beat.of(volume, times, cycle_ms)
    smooth = _smoothed(beat)
    return _read_rates(beat, smooth)


def why_truncated(volume_ml: np.ndarray) -> str:
    """Why a curve cannot be a whole cycle, as the end of a sentence; "" when it can.

    Parameters
    ----------
    volume_ml
        Volume per frame, shape (t,).
    """
    volume = np.asarray(volume_ml, float)
    found = ejection_fraction(volume)
    missing = float(volume[0]) - float(volume[-1])
    came_back = volume[-1] >= OPEN_VOLUME * found.edv_ml
    # A cycle may also start in mid-beat; then its ends meet below the EDV.
    ends_meet = abs(missing) <= (1 - OPEN_VOLUME) * found.edv_ml
    if (came_back or ends_meet) and missing <= OPEN_STROKE * found.sv_ml:
        return ""
    share = 100 * volume[-1] / found.edv_ml
    return f"the last frame holds {share:.0f} % of the end-diastolic volume"


def smoothing_window(dt_ms: float) -> int:
    """Frames in the cubic window: the odd number nearest to 160 ms, at least 5."""
    return max(MIN_WINDOW, 2 * round((WINDOW_MS / dt_ms - 1) / 2) + 1)


def _refusal(volume: np.ndarray, times: np.ndarray) -> str:
    """Why there can be no rates, or an empty text."""
    if len(volume) < MIN_FRAMES:
        return f"Rates need {MIN_FRAMES} frames or more; there are {len(volume)}."
    if not (np.diff(times) > 0).all():
        return "The frame times do not increase, so there are no rates."
    if not np.isfinite(volume).all() or (volume <= 0).any():
        empty = int(np.count_nonzero(~(volume > 0)))
        return f"{empty} of {len(volume)} frames have no volume, so there are no rates."
    if volume.max() == volume.min():
        return "The volume does not change, so there are no rates."
    return ""


@dataclass(frozen=True)
class _Beat:
    """The measured cycle: volumes and times (t,), its length, and why it is open ("" if closed)."""

    volume: np.ndarray
    times: np.ndarray
    dt_ms: float
    found: EjectionFraction
    open_because: str

    @classmethod
    def of(cls, volume: np.ndarray, times: np.ndarray, cycle_ms: float | None) -> _Beat:
        found = ejection_fraction(volume)
        dt = float(np.median(np.diff(times)))
        period = times[-1] - times[0] + dt
        because = why_truncated(volume)
        if not because and cycle_ms and period < COVERED * cycle_ms:
            because = f"the frames cover {period:.0f} of {cycle_ms:.0f} ms"
        return cls(volume, times, dt, found, because)

    @property
    def period_ms(self) -> float:
        return float(self.times[-1] - self.times[0]) + self.dt_ms

    @property
    def uneven(self) -> bool:
        return bool(np.abs(np.diff(self.times) - self.dt_ms).max() > UNEVEN * self.dt_ms)

    @property
    def ed_ms(self) -> float:
        return float(self.times[self.found.ed_frame])

    @property
    def es_ms(self) -> float:
        """End-systole; in a closed cycle always after end-diastole."""
        es = float(self.times[self.found.es_frame])
        return es + self.period_ms if not self.open_because and es < self.ed_ms else es


@dataclass(frozen=True)
class _Smooth:
    """Volume and derivative at any time, noise of a volume, method, and where all is trusted."""

    volume_at: Callable[[np.ndarray], np.ndarray]
    rate_at: Callable[[np.ndarray], np.ndarray]
    noise_ml: float
    method: str
    first_ms: float
    last_ms: float


def _smoothed(beat: _Beat) -> _Smooth:
    if beat.open_because:
        return _open_savitzky_golay(beat)
    if len(beat.volume) <= FOURIER_FRAMES:
        return _fourier(beat)
    return _cyclic_savitzky_golay(beat)


def _cyclic_savitzky_golay(beat: _Beat) -> _Smooth:
    through = _periodic(beat.times, beat.volume, beat.period_ms)
    even = beat.times[0] + np.arange(len(beat.times)) * (beat.period_ms / len(beat.times))
    volume = through(even) if beat.uneven else beat.volume
    window, step = smoothing_window(beat.dt_ms), float(even[1] - even[0])
    window = min(window, len(volume) - 1 + len(volume) % 2)
    rate = savgol_filter(volume, window, 3, deriv=1, delta=step / 1000, mode="wrap")
    method = f"Cubic Savitzky-Golay derivative over {window} frames ({window * step:.0f} ms)"
    return _Smooth(
        through,
        _periodic(even, rate, beat.period_ms),
        _noise_ml(volume, window, mode="wrap"),
        method + (", after even resampling." if beat.uneven else "."),
        float(beat.times[0]),
        float(beat.times[0]) + beat.period_ms,
    )


def _periodic(times: np.ndarray, values: np.ndarray, period_ms: float) -> CubicSpline:
    ends = times[0] + period_ms
    return CubicSpline(np.append(times, ends), np.append(values, values[0]), bc_type="periodic")


def _open_savitzky_golay(beat: _Beat) -> _Smooth:
    through = CubicSpline(beat.times, beat.volume)
    even = np.linspace(beat.times[0], beat.times[-1], len(beat.times))
    volume = through(even) if beat.uneven else beat.volume
    step = float(even[1] - even[0])
    window = min(smoothing_window(step), len(volume) - 1 + len(volume) % 2)
    rate = savgol_filter(volume, window, 3, deriv=1, delta=step / 1000, mode="interp")
    half = window // 2
    method = f"Cubic Savitzky-Golay derivative over {window} frames ({window * step:.0f} ms)."
    return _Smooth(
        through,
        CubicSpline(even, rate),
        _noise_ml(volume, window, mode="interp"),
        method,
        float(even[half]),
        float(even[-1 - half]),
    )


def _noise_ml(volume: np.ndarray, window: int, *, mode: str) -> float:
    """Standard deviation of the noise of one frame, from what the filter leaves over."""
    rest = volume - savgol_filter(volume, window, 3, mode=mode)
    # White noise leaves the variance σ² (1 - h) with the filter's centre weight h.
    return float(np.sqrt(np.mean(rest**2) / (1 - savgol_coeffs(window, 3)[window // 2])))


def _fourier(beat: _Beat) -> _Smooth:
    count = len(beat.volume)
    orders = np.arange(1, min(HARMONICS, (count - 1) // 2) + 1)
    omega = 2 * np.pi / beat.period_ms * orders

    def basis(time_ms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angle = np.multiply.outer(np.asarray(time_ms, float) - beat.times[0], omega)
        return np.cos(angle), np.sin(angle)

    design = np.column_stack([np.ones(count), *basis(beat.times)])
    weights = np.linalg.lstsq(design, beat.volume, rcond=None)[0]
    mean, a, b = weights[0], weights[1 : 1 + len(orders)], weights[1 + len(orders) :]

    def volume_at(time_ms: np.ndarray) -> np.ndarray:
        cos, sin = basis(time_ms)
        return mean + cos @ a + sin @ b

    def rate_at(time_ms: np.ndarray) -> np.ndarray:
        cos, sin = basis(time_ms)
        return (cos @ (omega * b) - sin @ (omega * a)) * 1000.0

    free = count - len(weights)
    rest = float(np.sum((beat.volume - design @ weights) ** 2))
    first = float(beat.times[0])
    return _Smooth(
        volume_at,
        rate_at,
        (rest / free) ** 0.5 if free else 0.0,
        f"Fourier series of {len(orders)} harmonics, because there are {count} frames only.",
        first,
        first + beat.period_ms,
    )


def _read_rates(beat: _Beat, smooth: _Smooth) -> Rates:
    notes = []
    if beat.dt_ms > SLOW_FRAMES_MS:
        notes.append(
            f"The frames are {beat.dt_ms:.0f} ms apart: above {SLOW_FRAMES_MS:.0f} ms peaks "
            "are underestimated, the atrial one most."
        )
    if beat.open_because:
        notes.append(f"Truncated cycle: {beat.open_because}; no atrial rate.")
    rates = Rates(method=smooth.method, curve=_fine_curve(beat, smooth))
    rates = _with_ejection(rates, beat, smooth, notes)
    rates = _with_filling(rates, beat, smooth, notes)
    return replace(rates, note=" ".join(notes))


def _fine_curve(beat: _Beat, smooth: _Smooth) -> RateCurve:
    time = np.arange(smooth.first_ms, smooth.last_ms + STEP_MS / 2, STEP_MS)
    return RateCurve(time, smooth.volume_at(time), smooth.rate_at(time))


def _with_ejection(rates: Rates, beat: _Beat, smooth: _Smooth, notes: list[str]) -> Rates:
    begins = beat.ed_ms if beat.ed_ms < beat.es_ms else float(beat.times[0])
    time = _between(begins, beat.es_ms, beat, smooth)
    fastest = _inner_peaks(-smooth.rate_at(time)) if len(time) else np.empty(0, int)
    if not len(fastest):
        notes.append("No peak of ejection lies within the frames that can be smoothed.")
        return rates
    peak = fastest[np.argmin(smooth.rate_at(time[fastest]))]
    per = -float(smooth.rate_at(time[peak]))
    return replace(
        rates,
        per_ml_s=per,
        per_edv_s=per / beat.found.edv_ml,
        tper_ms=float(time[peak]) - beat.ed_ms if begins == beat.ed_ms else None,
        per_time_ms=_on_axis(time[peak], beat),
    )


def _with_filling(rates: Rates, beat: _Beat, smooth: _Smooth, notes: list[str]) -> Rates:
    diastole_ends = beat.ed_ms + beat.period_ms
    if beat.open_because:
        diastole_ends = float(beat.times[-1])
    time = _between(beat.es_ms, diastole_ends, beat, smooth)
    rate = smooth.rate_at(time)
    peaks = _inner_peaks(rate)
    if not len(peaks):
        notes.append("No peak of filling lies within the frames that can be smoothed.")
        return rates
    if not beat.open_because:
        rates = replace(rates, third_filling_fraction=_third_filled(beat, smooth))
    waves = find_peaks(rate, height=0, prominence=PROMINENCE * rate.max())[0]
    if not len(waves):
        waves = peaks[[np.argmax(rate[peaks])]]
    late = beat.es_ms + LATE_DIASTOLE * (diastole_ends - beat.es_ms)
    early_waves = waves[time[waves] < late] if not beat.open_because else waves
    early = early_waves[np.argmax(rate[early_waves])] if len(early_waves) else waves[0]
    pfr = float(rate[early])
    rates = replace(
        rates,
        pfr_ml_s=pfr,
        pfr_edv_s=pfr / beat.found.edv_ml,
        tpfr_ms=float(time[early]) - beat.es_ms,
        pfr_time_ms=_on_axis(time[early], beat),
    )
    if beat.open_because:
        return rates
    atrial_waves = waves[(time[waves] >= late) & (waves > early)]
    if not len(atrial_waves):
        notes.append("Fused (E/A not separable): filling has one peak, so there is no atrial rate.")
        return rates
    atrial = int(atrial_waves[np.argmax(rate[atrial_waves])])
    if _wave_ml(rate, int(early), atrial) < OVER_NOISE * smooth.noise_ml:
        notes.append("E/A not separable: the late peak of filling is no larger than the noise.")
        return rates
    return _with_atrial(rates, beat, time[early : atrial + 1], rate[early : atrial + 1])


def _wave_ml(rate: np.ndarray, early: int, atrial: int) -> float:
    """Volume in mL that tells the late wave: the smaller of the dip before it and itself.

    A sum over many frames, so it stands out of noise where the height of a peak does not.
    """
    between = rate[early : atrial + 1]
    dip = early + int(np.argmin(between))
    lacking = np.clip(min(rate[early], rate[atrial]) - between, 0, None).sum()
    brought = np.clip(rate[dip:] - max(float(rate[dip]), 0.0), 0, None).sum()
    return float(min(lacking, brought)) * STEP_MS / 1000.0


def _with_atrial(rates: Rates, beat: _Beat, time: np.ndarray, rate: np.ndarray) -> Rates:
    """Add the atrial wave and the rest before it; `time` and `rate` run from peak to peak."""
    pafr, pfr = float(rate[-1]), float(rate[0])
    slowest = int(np.argmin(rate))
    # The rest is flat, so its lowest point is chance: take the middle of what is as slow.
    slow = rate <= rate[slowest] + RESTING * pfr
    first = slowest - int(np.argmin(slow[slowest::-1])) + 1
    last = slowest + int(np.argmin(slow[slowest:])) - 1
    diastasis = 0.5 * float(time[first] + time[last])
    return replace(
        rates,
        pafr_ml_s=pafr,
        pafr_edv_s=pafr / beat.found.edv_ml,
        tpafr_ms=float(time[-1]) - beat.es_ms,
        pafr_time_ms=_on_axis(time[-1], beat),
        ea_ratio=pfr / pafr,
        diastasis_ms=diastasis - beat.ed_ms,
        diastasis_time_ms=_on_axis(diastasis, beat),
    )


def _third_filled(beat: _Beat, smooth: _Smooth) -> float:
    third = beat.es_ms + (beat.ed_ms + beat.period_ms - beat.es_ms) / 3
    back = float(smooth.volume_at(np.array(third))) - beat.found.esv_ml
    return back / beat.found.sv_ml


def _between(start_ms: float, end_ms: float, beat: _Beat, smooth: _Smooth) -> np.ndarray:
    """Fine times from start to end, without what an open cycle cannot smooth."""
    if beat.open_because:
        start_ms, end_ms = max(start_ms, smooth.first_ms), min(end_ms, smooth.last_ms)
    return np.arange(start_ms, end_ms + STEP_MS / 2, STEP_MS)


def _inner_peaks(values: np.ndarray) -> np.ndarray:
    """Indices of positive local maxima away from both ends."""
    return find_peaks(values, height=0)[0]


def _on_axis(time_ms: float, beat: _Beat) -> float:
    """The time brought back into the recorded cycle."""
    first = float(beat.times[0])
    return first + (float(time_ms) - first) % beat.period_ms
