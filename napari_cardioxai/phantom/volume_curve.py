"""Ventricular volume over one heart cycle in closed form.

The rate of volume change is a sum of bumps that do not overlap: ejection,
early filling (E) and atrial filling (A). Each is a raised cosine that may rise
and fall at different speeds, so its integral, its peak and the time of its
peak are known exactly, and with them PER, PFR, PAFR, diastasis and the
volumes. The volume is twice continuously differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_cardioxai.errors import CardioxaiError

MS_PER_S = 1000.0
MS_PER_MIN = 60_000.0


class PhantomError(CardioxaiError):
    """Parameters that no heart can have, or a specification that cannot be read."""


@dataclass(frozen=True)
class Bump:
    """A pulse of flow: a raised cosine from `start_ms` over `peak_ms` to `end_ms`.

    Attributes
    ----------
    start_ms, peak_ms, end_ms
        Times in ms with start < peak < end; zero outside.
    volume_ml
        Integral of the pulse in mL; negative for ejection.
    """

    start_ms: float
    peak_ms: float
    end_ms: float
    volume_ml: float

    @property
    def peak_ml_s(self) -> float:
        """Extreme rate in mL/s: twice the volume over the duration, however skewed."""
        return 2 * self.volume_ml / (self.end_ms - self.start_ms) * MS_PER_S

    def _phases(self, time_ms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far the rise and the fall have come, both in 0..1, shape of `time_ms`."""
        rise = np.clip((time_ms - self.start_ms) / (self.peak_ms - self.start_ms), 0, 1)
        fall = np.clip((time_ms - self.peak_ms) / (self.end_ms - self.peak_ms), 0, 1)
        return rise, fall

    def rate_ml_s(self, time_ms: np.ndarray) -> np.ndarray:
        """Flow in mL/s at `time_ms`."""
        rise, fall = self._phases(time_ms)
        return self.peak_ml_s * 0.5 * (np.cos(np.pi * fall) - np.cos(np.pi * rise))

    def filled_ml(self, time_ms: np.ndarray) -> np.ndarray:
        """Volume in mL that has passed by `time_ms`: the integral of `rate_ml_s`."""
        rise, fall = self._phases(time_ms)
        rising = (self.peak_ms - self.start_ms) * (rise - np.sin(np.pi * rise) / np.pi)
        falling = (self.end_ms - self.peak_ms) * (fall + np.sin(np.pi * fall) / np.pi)
        return self.volume_ml * (rising + falling) / (self.end_ms - self.start_ms)


@dataclass(frozen=True)
class CurveTruth:
    """What a perfect measurement of the curve would find.

    Attributes
    ----------
    edv_ml, esv_ml, sv_ml, ef_percent
        Volumes in mL and ejection fraction in %.
    per_ml_s, pfr_ml_s, pafr_ml_s
        Peak ejection, early and atrial filling rate in mL/s, all positive.
        `pafr_ml_s` is None where no measurement can have it.
    per_time_ms, pfr_time_ms, pafr_time_ms, es_time_ms, diastasis_time_ms
        Times after end-diastole (the R wave) in ms; diastasis is the middle of
        the rest between E and A.
    filling_fraction
        Share of the stroke volume that is back after a third of diastole.
    e_a_ratio
        `pfr_ml_s / pafr_ml_s`.
    note
        Why there is no atrial rate; "" where there is one.
    """

    heart_rate_bpm: float
    edv_ml: float
    esv_ml: float
    sv_ml: float
    ef_percent: float
    per_ml_s: float
    pfr_ml_s: float
    pafr_ml_s: float | None
    per_time_ms: float
    pfr_time_ms: float
    pafr_time_ms: float | None
    es_time_ms: float
    diastasis_time_ms: float | None
    filling_fraction: float
    e_a_ratio: float | None
    note: str = ""


@dataclass(frozen=True)
class VolumeCurve:
    """Volume of one ventricle over a cycle that starts at end-diastole.

    Attributes
    ----------
    edv_ml, esv_ml
        End-diastolic and end-systolic volume in mL.
    heart_rate_bpm
        Heart rate in beats per minute; RR = 60000 / heart rate, in ms.
    es_time_ms
        End-systole: where ejection ends and the volume is smallest.
    ejection_onset_ms
        Where ejection starts.
    relaxation_ms
        Rest at the end-systolic volume before early filling.
    e_share
        Part of the stroke volume that early filling brings, 0 to 1.
    e_duration_ms, a_duration_ms
        Length of early and atrial filling; atrial filling ends with the cycle.
    ejection_skew, e_skew, a_skew
        Where in its duration each pulse peaks, 0.2 to 0.8.
    fused
        One pulse of filling from end-systole to the end of the cycle, as at a
        fast heart rate: E and A cannot be told apart.
    covered
        Part of the cycle that is acquired, from the R wave on; below 1 as with
        prospective gating.

    Raises
    ------
    PhantomError
        When the pulses do not fit into the cycle one after the other.
    """

    edv_ml: float
    esv_ml: float
    heart_rate_bpm: float = 60.0
    es_time_ms: float = 340.0
    ejection_onset_ms: float = 16.0
    relaxation_ms: float = 0.0
    e_share: float = 0.7
    e_duration_ms: float = 255.0
    a_duration_ms: float = 180.0
    ejection_skew: float = 0.45
    e_skew: float = 0.45
    a_skew: float = 0.5
    fused: bool = False
    covered: float = 1.0
    _bumps: tuple[Bump, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.esv_ml < self.edv_ml:
            raise PhantomError(
                f"ESV {self.esv_ml:g} mL must lie between 0 and EDV {self.edv_ml:g} mL."
            )
        object.__setattr__(self, "_bumps", self._make_bumps())

    def _make_bumps(self) -> tuple[Bump, ...]:
        sv, rr, es = self.sv_ml, self.cycle_ms, self.es_time_ms
        early = es + self.relaxation_ms
        ejection = _pulse(self.ejection_onset_ms, es, self.ejection_skew, -sv)
        if self.fused:
            return ejection, _pulse(early, rr, self.e_skew, sv)
        if early + self.e_duration_ms + self.a_duration_ms > rr:
            raise PhantomError(
                f"early ({self.e_duration_ms:.0f} ms) and atrial filling "
                f"({self.a_duration_ms:.0f} ms) do not fit between {early:.0f} ms and the end of "
                f"the cycle at {rr:.0f} ms; shorten them, slow the heart or set fused."
            )
        e = _pulse(early, early + self.e_duration_ms, self.e_skew, self.e_share * sv)
        a = _pulse(rr - self.a_duration_ms, rr, self.a_skew, (1 - self.e_share) * sv)
        return ejection, e, a

    @property
    def cycle_ms(self) -> float:
        """RR interval in ms."""
        return MS_PER_MIN / self.heart_rate_bpm

    @property
    def sv_ml(self) -> float:
        """Stroke volume in mL."""
        return self.edv_ml - self.esv_ml

    @property
    def atrial_filling_seen(self) -> bool:
        """Whether atrial filling is a pulse of its own that is acquired completely."""
        return not self.fused and self.covered >= 1

    def volume_ml(self, time_ms: np.ndarray) -> np.ndarray:
        """Volume in mL at any time in ms; periodic."""
        phase = np.mod(np.asarray(time_ms, float), self.cycle_ms)
        return self.edv_ml + np.sum([bump.filled_ml(phase) for bump in self._bumps], axis=0)

    def rate_ml_s(self, time_ms: np.ndarray) -> np.ndarray:
        """Derivative of `volume_ml` in mL/s; periodic."""
        phase = np.mod(np.asarray(time_ms, float), self.cycle_ms)
        return np.sum([bump.rate_ml_s(phase) for bump in self._bumps], axis=0)

    def progress(self, time_ms: np.ndarray) -> np.ndarray:
        """How far contraction has come: 0 at end-diastole, 1 at end-systole."""
        return (self.edv_ml - self.volume_ml(time_ms)) / self.sv_ml

    def frame_times_ms(self, frames: int) -> np.ndarray:
        """Times of `frames` equal frames from the R wave over the covered part, in ms."""
        return np.arange(frames) * (self.covered * self.cycle_ms / frames)

    def truth(self) -> CurveTruth:
        """Every number of the curve from its parameters, nothing sampled."""
        ejection, early, *late = self._bumps
        atrial = late[0] if self.atrial_filling_seen else None
        third = self.es_time_ms + (self.cycle_ms - self.es_time_ms) / 3
        note = ""
        if self.fused:
            note = "early and atrial filling are fused"
        elif atrial is None:
            note = f"the cycle is cut off at {100 * self.covered:.0f} % of RR"
        return CurveTruth(
            heart_rate_bpm=self.heart_rate_bpm,
            edv_ml=self.edv_ml,
            esv_ml=self.esv_ml,
            sv_ml=self.sv_ml,
            ef_percent=100 * self.sv_ml / self.edv_ml,
            per_ml_s=-ejection.peak_ml_s,
            pfr_ml_s=early.peak_ml_s,
            pafr_ml_s=atrial.peak_ml_s if atrial else None,
            per_time_ms=ejection.peak_ms,
            pfr_time_ms=early.peak_ms,
            pafr_time_ms=atrial.peak_ms if atrial else None,
            es_time_ms=self.es_time_ms,
            diastasis_time_ms=(early.end_ms + atrial.start_ms) / 2 if atrial else None,
            filling_fraction=float((self.volume_ml(np.array(third)) - self.esv_ml) / self.sv_ml),
            e_a_ratio=early.peak_ml_s / atrial.peak_ml_s if atrial else None,
            note=note,
        )


def _pulse(start_ms: float, end_ms: float, skew: float, volume_ml: float) -> Bump:
    """A bump that peaks at the fraction `skew` of its duration."""
    if end_ms <= start_ms or not 0.2 <= skew <= 0.8:
        raise PhantomError(
            f"a pulse from {start_ms:.0f} to {end_ms:.0f} ms with its peak at {skew:g} of its "
            "duration is impossible; it must end after it starts and peak between 0.2 and 0.8."
        )
    return Bump(start_ms, start_ms + skew * (end_ms - start_ms), end_ms, volume_ml)
