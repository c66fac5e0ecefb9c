"""A beating heart with walls, whose cavity volumes follow prescribed curves exactly.

Coordinates are those of the heart: z in mm along the long axis from the
epicardial apex (0) to the base, and polar (r, θ) about it. θ = 0 points from
the left ventricle to the middle of the septum and grows towards the anterior
wall, so the right-ventricular insertions lie at ± `rv_insertion_deg` and the
AHA segments 1 to 6 are centred at 90, 30, -30, -90, -150 and 150 degrees.

The left ventricle is half an ellipsoid that continues as a cylinder up to a
tilted mitral plane. During contraction the plane descends: every z is
multiplied by λ(t), and Z = z / λ marks the same tissue at all times. At each Z
and θ the endocardium has the radius

    r_i = f(Z) [B(θ) + δ(Z, θ, t) - κ(t) C(Z, θ)]

with the ellipse's profile f, the end-diastolic radius B, prescribed
displacements δ (septal flash, late lateral wall) and regional contraction C;
κ(t) is solved so that the cavity holds V(t). The wall is incompressible:
r_o² = r_i² + 2 A / λ with the end-diastolic wall area A per radian, times a
factor μ(t) near 1 that keeps the whole myocardium's volume where thickening
is prescribed for some segments. The right ventricle is a crescent on the
septal side, r² = r_o² + 2 S(t) G(Z, θ), with S(t) solved from its own curve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from napari_cardioxai.phantom.volume_curve import Bump, PhantomError, VolumeCurve

MYOCARDIAL_DENSITY_G_PER_ML = 1.05  # Kawel-Boehm 2020
MM3_PER_ML = 1000.0

ANGLES = 180
THETA = np.arange(ANGLES) * (2 * np.pi / ANGLES)
SECTOR_BLEND_DEG = 10.0
RING_BLEND_MM = 4.0

# Centres (degrees) of the AHA segments in each ring (Cerqueira 2002), and which ring they are in.
SIX_SECTORS_DEG = (90.0, 30.0, -30.0, -90.0, -150.0, 150.0)
FOUR_SECTORS_DEG = (90.0, 0.0, -90.0, 180.0)
BASAL, MID, APICAL = 0, 1, 2
SEGMENT_RING = (BASAL,) * 6 + (MID,) * 6 + (APICAL,) * 4
SEGMENT_CENTRE_DEG = SIX_SECTORS_DEG + SIX_SECTORS_DEG + FOUR_SECTORS_DEG
SEGMENT_HALF_WIDTH_DEG = (30.0,) * 12 + (45.0,) * 4
SEGMENTS = 16


@dataclass(frozen=True)
class Tilt:
    """Inclination of a valve plane against the short-axis planes.

    Attributes
    ----------
    degrees, direction_deg
        The angle, and the θ of the high side.
    """

    degrees: float
    direction_deg: float

    @property
    def slope(self) -> float:
        """Rise in mm per mm towards the high side."""
        return float(np.tan(np.deg2rad(self.degrees)))

    @property
    def along(self) -> np.ndarray:
        """Rise in mm per mm of radius at each θ, shape (θ,)."""
        return self.slope * np.cos(THETA - np.deg2rad(self.direction_deg))


@dataclass(frozen=True)
class Outflow:
    """The right ventricle's way out: the anterior end of the crescent, rounder and higher than the rest.

    In slices at the base it lies in front of the left ventricle, and above the
    tricuspid valve nothing else of the right ventricle is left.

    Attributes
    ----------
    angle_deg, half_width_deg
        θ of its middle, and half the angle that it embraces.
    bulge
        By how much its area per radian exceeds the crescent's, of the crescent's
        largest, at the base.
    height_mm
        How much higher than the tricuspid plane the pulmonary valve lies.
    """

    angle_deg: float = 62.0
    half_width_deg: float = 42.0
    bulge: float = 0.8
    height_mm: float = 18.0

    @property
    def around(self) -> np.ndarray:
        """Its profile over θ: a raised cosine, shape (θ,)."""
        return _bulge(THETA - np.deg2rad(self.angle_deg), np.deg2rad(self.half_width_deg))

    @property
    def rise_mm(self) -> np.ndarray:
        """How much higher than the tricuspid plane the right ventricle ends at each θ, shape (θ,)."""
        return self.height_mm * sector_weight(self.angle_deg, 0.75 * self.half_width_deg)


@dataclass(frozen=True)
class Papillary:
    """A papillary muscle: muscle in the image, cavity in the labels.

    Attributes
    ----------
    angle_deg
        Where it stands, in the heart's θ.
    radius_mm
        Its radius.
    first, last
        Where it begins and ends, as fractions of the long axis from the apex.
    """

    angle_deg: float
    radius_mm: float = 4.0
    first: float = 0.3
    last: float = 0.7


@dataclass(frozen=True)
class Dyssynchrony:
    """Motion of a left bundle branch block.

    Attributes
    ----------
    flash_mm
        How far the septal endocardium is pushed inward before it moves out again.
    flash_peak_ms
        When that is, after the R wave.
    rebound_mm
        How far it is pushed outward while the lateral wall contracts.
    lateral_delay_ms
        How much later than end-systole the lateral wall is at its innermost.
    """

    flash_mm: float = 2.0
    flash_peak_ms: float = 90.0
    rebound_mm: float = 1.0
    lateral_delay_ms: float = 150.0


@dataclass(frozen=True)
class HeartShape:
    """End-diastolic anatomy and how each part moves.

    Attributes
    ----------
    long_axis_mm
        Epicardial apex to the middle of the mitral plane at end-diastole.
    apex_wall_mm
        Thickness of the wall at the apex, along the axis.
    cylinder_share
        Part of the cavity's length that is cylinder, at the base.
    mitral_descent_mm
        How far the mitral plane comes down at end-systole.
    mitral, tricuspid
        Tilt of the planes that end the two ventricles.
    tricuspid_offset_mm
        How much higher than the mitral plane the tricuspid plane crosses the long axis.
    wall_mm
        End-diastolic wall thickness of the AHA segments 1 to 16, in the short-axis plane.
    contraction
        Share of the segments in the endocardial motion; 1 is normal, 0 still.
    thickening
        Prescribed (h_ES - h_ED) / h_ED per segment; None lets the wall be incompressible.
    harmonics
        Deviations of the cross-section from a circle: (order, relative amplitude, phase deg).
    septal_flattening
        Relative flattening of the septum, as under right-ventricular load.
    myocardial_change
        Change of the myocardial volume at end-systole over end-diastole; 0 conserves it
        (contours of readers give about +0.15, see the ACDC statistics).
    rv_insertion_deg
        Half the angle that the right ventricle embraces.
    rv_apex_share
        Where the right ventricle begins, as a fraction of the long axis.
    rv_roundness, rv_skew
        Exponent of the crescent's profile (smaller is rounder) and how much its belly
        lies to the anterior side.
    outflow
        The right ventricle's way out, or None: it ends at the tricuspid plane everywhere.
    twist_deg
        Rotation of the apex against the base at end-systole, seen in the papillary
        muscles and the texture; it has no part in the volumes.
    papillaries
        Papillary muscles.
    """

    long_axis_mm: float = 92.0
    apex_wall_mm: float = 6.0
    cylinder_share: float = 0.32
    mitral_descent_mm: float = 13.0
    mitral: Tilt = Tilt(15.0, -160.0)
    tricuspid: Tilt = Tilt(12.0, 90.0)
    tricuspid_offset_mm: float = 0.0
    wall_mm: tuple[float, ...] = (7.5,) * SEGMENTS
    contraction: tuple[float, ...] = (1.0,) * SEGMENTS
    thickening: tuple[float | None, ...] = (None,) * SEGMENTS
    harmonics: tuple[tuple[int, float, float], ...] = ()
    septal_flattening: float = 0.0
    myocardial_change: float = 0.0
    rv_insertion_deg: float = 68.0
    rv_apex_share: float = 0.14
    rv_roundness: float = 0.75
    rv_skew: float = 0.0
    outflow: Outflow | None = None
    twist_deg: float = 10.0
    papillaries: tuple[Papillary, ...] = (Papillary(150.0), Papillary(-120.0))


@dataclass(frozen=True)
class Surfaces:
    """Where the walls are in some short-axis planes.

    Attributes
    ----------
    endo_mm, epi_mm, rv_mm
        Radius at `THETA`, shape (t, z, θ); outside the right ventricle's angles
        `rv_mm` equals `epi_mm`. Zero below the apex.
    above_mitral_mm, above_tricuspid_mm
        Signed height of each plane over the axis point of the valve plane that
        ends the left and the right ventricle, in end-diastolic mm, shape (t, z).
    mitral, tricuspid
        How those planes are tilted.
    outflow_mm
        How much higher than the tricuspid plane the right ventricle ends at each θ, shape (θ,).
    """

    endo_mm: np.ndarray
    epi_mm: np.ndarray
    rv_mm: np.ndarray
    above_mitral_mm: np.ndarray
    above_tricuspid_mm: np.ndarray
    mitral: Tilt
    tricuspid: Tilt
    outflow_mm: np.ndarray

    def left_ventricle(self, radius_mm: np.ndarray) -> np.ndarray:
        """Whether the point at each θ and this radius, shape (t, z, θ), is below the mitral plane."""
        return self.above_mitral_mm[..., None] <= self.mitral.along * radius_mm


@dataclass(frozen=True)
class Heart:
    """A shape that beats.

    Attributes
    ----------
    shape
        Anatomy and regional motion.
    lv, rv
        The volume curves that the two cavities follow; their heart rates must agree.
    dyssynchrony
        Extra motion, or None.

    Raises
    ------
    PhantomError
        When the parts do not fit together.
    """

    shape: HeartShape
    lv: VolumeCurve
    rv: VolumeCurve
    dyssynchrony: Dyssynchrony | None = None
    _levels: _Quadrature = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shape = self.shape
        if self.lv.heart_rate_bpm != self.rv.heart_rate_bpm:
            raise PhantomError("both ventricles need the same heart rate.")
        if not 0 <= shape.mitral_descent_mm < 0.4 * shape.long_axis_mm:
            raise PhantomError(
                f"a descent of {shape.mitral_descent_mm:g} mm does not fit a long axis of "
                f"{shape.long_axis_mm:g} mm."
            )
        object.__setattr__(self, "_levels", self._quadrature())
        if (reach := self._tilt_reach_mm()) > self.height_mm - self._equator_mm:
            raise PhantomError(
                f"a valve plane reaches {reach:.0f} mm down and would cut into the ellipsoid; "
                "tilt it less or lengthen the cylinder."
            )

    # -- anatomy at end-diastole -------------------------------------------------------

    @property
    def height_mm(self) -> float:
        """Z of the middle of the mitral plane."""
        return self.shape.long_axis_mm

    @property
    def _top(self) -> np.ndarray:
        """The middle of the mitral plane as one level, shape (1, 1)."""
        return np.array([[self.height_mm]])

    @property
    def _equator_mm(self) -> float:
        cavity = self.height_mm - self.shape.apex_wall_mm
        return self.height_mm - self.shape.cylinder_share * cavity

    @property
    def ring_borders_mm(self) -> tuple[float, float]:
        """Z between apical and mid, and between mid and basal segments."""
        apex = self.shape.apex_wall_mm
        return apex + (self.height_mm - apex) / 3, apex + 2 * (self.height_mm - apex) / 3

    def _tilt_reach_mm(self) -> float:
        """How far below the mitral plane's middle a valve plane cuts a ventricle, at most."""
        shape, walls = self.shape, self.beat(np.zeros(1))._surfaces_at(self._top)
        left = -shape.mitral.along * walls.epi_mm[0, 0]
        right = -shape.tricuspid.along * walls.rv_mm[0, 0] - shape.tricuspid_offset_mm
        septal = np.abs(_signed(THETA)) <= np.deg2rad(shape.rv_insertion_deg)
        return float(max(left.max(), right[septal].max()))

    def _rings(self, level_mm: np.ndarray) -> np.ndarray:
        """Weights of the basal, mid and apical ring at Z, shape (..., 3), summing to 1."""
        low, high = (
            _smooth_step((level_mm - border) / RING_BLEND_MM) for border in self.ring_borders_mm
        )
        return np.stack([high, low - high, 1 - low], axis=-1)

    def _regional(self, values: tuple[float, ...]) -> Callable[[np.ndarray], np.ndarray]:
        """Field of one value per segment: Z of shape (...) to (..., θ), blended at borders."""
        table = np.zeros((3, ANGLES))
        for ring, centre, half, value in zip(
            SEGMENT_RING, SEGMENT_CENTRE_DEG, SEGMENT_HALF_WIDTH_DEG, values, strict=True
        ):
            table[ring] += value * sector_weight(centre, half)
        return lambda level_mm: self._rings(level_mm) @ table

    @cached_property
    def _outline(self) -> np.ndarray:
        """Cross-section relative to a circle, shape (θ,)."""
        outline = np.ones(ANGLES)
        for order, amplitude, phase in self.shape.harmonics:
            outline += amplitude * np.cos(order * (THETA - np.deg2rad(phase)))
        return outline - self.shape.septal_flattening * _bulge(THETA, np.deg2rad(80.0))

    def _profile(self, level_mm: np.ndarray) -> np.ndarray:
        """The ellipse f(Z): 0 below the cavity, 1 above the equator."""
        apex, equator = self.shape.apex_wall_mm, self._equator_mm
        below = np.clip((equator - level_mm) / (equator - apex), 0, 1)
        return np.sqrt(1 - below**2)

    @cached_property
    def _wall(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._regional(self.shape.wall_mm)

    @cached_property
    def _contraction(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._regional(self.shape.contraction)

    @cached_property
    def _prescribed(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._regional(tuple(float(g is not None) for g in self.shape.thickening))

    @cached_property
    def _thickening(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._regional(tuple(g or 0.0 for g in self.shape.thickening))

    @cached_property
    def radius_mm(self) -> float:
        """Mean endocardial radius of the cylinder at end-diastole, from the EDV."""
        levels = self._levels
        profile = self._profile(levels.level_mm)[:, None]
        square = 0.5 * levels.integrate(profile**2 * self._outline**2)
        cube = _around(self.shape.mitral.along * self._outline**3) / 3
        radius = np.sqrt(self.lv.edv_ml * MM3_PER_ML / square)
        for _ in range(20):
            excess = square * radius**2 + cube * radius**3 - self.lv.edv_ml * MM3_PER_ML
            radius -= excess / (2 * square * radius + 3 * cube * radius**2)
        return float(radius)

    def _end_diastolic(self, level_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Endo- and epicardial radius at end-diastole, each (..., θ).

        Thickness is as prescribed down to `closing`; below, the epicardium
        follows an ellipse to the apex, so that the wall closes under the cavity.
        """
        closing = self._closing_mm
        upper = np.maximum(level_mm, closing)
        endo = self.radius_mm * self._profile(level_mm)[..., None] * self._outline
        upper_endo = self.radius_mm * self._profile(upper)[..., None] * self._outline
        outer = self._outer_profile(level_mm) / self._outer_profile(upper)
        return endo, (upper_endo + self._wall(upper)) * outer[..., None]

    @property
    def _closing_mm(self) -> float:
        apex = self.shape.apex_wall_mm
        return apex + 0.15 * (self.height_mm - apex)

    def _outer_profile(self, level_mm: np.ndarray) -> np.ndarray:
        below = np.clip((self._equator_mm - level_mm) / self._equator_mm, 0, 1)
        return np.sqrt(1 - below**2)

    def _crescent(self, level_mm: np.ndarray) -> np.ndarray:
        """Shape G(Z, θ) of the right ventricle's area per radian, (..., θ)."""
        shape = self.shape
        start, end = shape.rv_apex_share * self.height_mm, self._equator_mm
        along = 1 - np.clip((end - level_mm) / (end - start), 0, 1) ** 2
        u = _signed(THETA) / np.deg2rad(shape.rv_insertion_deg)
        around = np.clip(1 - u**2, 0, None) ** shape.rv_roundness * (1 + shape.rv_skew * u)
        crescent: np.ndarray = along[..., None] * around
        if shape.outflow is None:
            return crescent
        low, high = self._outflow_from_mm
        rising = _smooth_step(2 * (level_mm - low) / (high - low) - 1)
        return crescent + shape.outflow.bulge * rising[..., None] * shape.outflow.around

    @property
    def _outflow_from_mm(self) -> tuple[float, float]:
        """Z between which the outflow tract parts from the crescent."""
        return 0.6 * self.height_mm, self.height_mm

    @property
    def _outflow_mm(self) -> np.ndarray:
        return np.zeros(ANGLES) if self.shape.outflow is None else self.shape.outflow.rise_mm

    def _quadrature(self) -> _Quadrature:
        shape = self.shape
        breaks = [0.0, shape.apex_wall_mm, self._closing_mm, self._equator_mm, self.height_mm]
        breaks.append(shape.rv_apex_share * self.height_mm)
        for border in self.ring_borders_mm:
            breaks += [border - RING_BLEND_MM, border + RING_BLEND_MM]
        if shape.outflow is not None:
            breaks.append(self._outflow_from_mm[0])
        return _Quadrature.between(sorted({b for b in breaks if 0 <= b <= self.height_mm}))

    # -- motion ----------------------------------------------------------------------------

    def _displacement(self, time_ms: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """δ(Z, θ, t) in mm: Z of shape (t or 1, z) to (t, z, θ)."""
        motion = self.dyssynchrony
        if motion is None:
            return lambda level_mm: np.zeros((1, 1, ANGLES))
        septum = sector_weight(0.0, 60.0, blend_deg=20.0)
        es = self.lv.es_time_ms
        flash = Bump(10.0, motion.flash_peak_ms, motion.flash_peak_ms + 80.0, 1.0)
        rebound = Bump(flash.end_ms, 0.5 * (flash.end_ms + es), es + 60.0, 1.0)
        septal = motion.rebound_mm * _height(rebound, time_ms)
        septal = septal - motion.flash_mm * _height(flash, time_ms)
        late = replace(
            self.lv,
            es_time_ms=self.lv.es_time_ms + self.lateral_delay_ms,
            fused=True,
            ejection_onset_ms=self.lv.ejection_onset_ms + 0.6 * motion.lateral_delay_ms,
            covered=1.0,
        )
        end_scale = 1 - self.shape.mitral_descent_mm / self.height_mm
        inward = self.radius_mm * (1 - np.sqrt(self.lv.esv_ml / self.lv.edv_ml / end_scale))
        lateral = -inward * late.progress(time_ms)

        def field_at(level_mm: np.ndarray) -> np.ndarray:
            fade = 1 - 0.5 * self._rings(level_mm)[..., APICAL, None]
            moved = septal[:, None, None] * fade * septum
            late_wall = self._late_wall * self._contraction(level_mm)
            return moved + lateral[:, None, None] * late_wall

        return field_at

    @property
    def lateral_delay_ms(self) -> float:
        """How long after end-systole the lateral wall is innermost; at 0.8 RR at the latest."""
        if self.dyssynchrony is None:
            return 0.0
        latest = 0.8 * self.lv.cycle_ms - self.lv.es_time_ms
        return min(self.dyssynchrony.lateral_delay_ms, latest)

    @cached_property
    def _late_wall(self) -> np.ndarray:
        if self.dyssynchrony is None:
            return np.zeros(ANGLES)
        return sector_weight(180.0, 60.0, blend_deg=20.0)

    def beat(self, time_ms: np.ndarray) -> Beat:
        """Solve the heart's motion at the times `time_ms` after the R wave, shape (t,)."""
        return Beat.solve(self, np.asarray(time_ms, float))

    @cached_property
    def myocardial_volume_ml(self) -> float:
        """Volume of the left-ventricular wall at end-diastole in mL."""
        levels = self._levels
        endo, epi = self._end_diastolic(levels.level_mm)
        top_endo, top_epi = self._end_diastolic(np.array(self.height_mm))
        wall = levels.integrate(0.5 * (epi**2 - endo**2))
        wedge = _around(self.shape.mitral.along * (top_epi**3 - top_endo**3)) / 3
        return float(wall + wedge) / MM3_PER_ML

    @property
    def mass_g(self) -> float:
        """Left-ventricular mass in g, papillary muscles not counted."""
        return MYOCARDIAL_DENSITY_G_PER_ML * self.myocardial_volume_ml


@dataclass(frozen=True)
class Beat:
    """A heart at some times.

    Attributes
    ----------
    time_ms
        The times, shape (t,).
    stretch
        λ: length of the long axis relative to end-diastole, shape (t,).
    contraction, wall_factor, rv_scale
        κ, μ and S of the module's description, shape (t,).
    """

    heart: Heart
    time_ms: np.ndarray
    stretch: np.ndarray
    contraction: np.ndarray
    wall_factor: np.ndarray
    rv_scale: np.ndarray

    @classmethod
    def solve(cls, heart: Heart, time_ms: np.ndarray) -> Beat:
        """Find κ, μ and S so that cavities and wall have their volumes."""
        progress = heart.lv.progress(time_ms)
        stretch = 1 - heart.shape.mitral_descent_mm / heart.height_mm * progress
        unsolved = cls(heart, time_ms, stretch, *(np.ones(len(time_ms)) for _ in range(3)))
        solved = replace(unsolved, contraction=unsolved._solve_contraction())
        solved = replace(solved, wall_factor=solved._solve_wall(progress))
        return replace(solved, rv_scale=solved._solve_right())

    def _solve_contraction(self) -> np.ndarray:
        heart, levels = self.heart, self.heart._levels
        target = heart.lv.volume_ml(self.time_ms) * MM3_PER_ML / self.stretch
        profile = heart._profile(levels.level_mm)[None, :, None]
        rest, moving = self._radius_parts(levels.level_mm[None])
        top_rest, top_moving = (part[:, 0] for part in self._radius_parts(heart._top))
        # The volume is a cubic in κ; its coefficients are moments of the two parts.
        wedge = heart.shape.mitral.along / 3
        square = [
            0.5 * levels.integrate(profile**2 * product)
            for product in (rest**2, -2 * rest * moving, moving**2)
        ]
        cube = [
            _around(wedge * product)
            for product in (
                top_rest**3,
                -3 * top_rest**2 * top_moving,
                3 * top_rest * top_moving**2,
                -(top_moving**3),
            )
        ]
        coefficients = [a + b for a, b in zip([*square, 0.0], cube, strict=True)]
        kappa = _newton(coefficients, target, np.zeros(len(self.time_ms)))
        smallest = np.min(rest - kappa[:, None, None] * moving)
        if smallest < 1.0:
            raise PhantomError(
                "a wall would cross the long axis; raise the ESV or let more segments contract."
            )
        return kappa

    def _radius_parts(self, level_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What κ leaves alone and what it multiplies, over f(Z): both (t, z, θ)."""
        heart = self.heart
        at_rest = heart.radius_mm * heart._outline
        moving = at_rest * heart._contraction(level_mm) * (1 - heart._late_wall)
        return at_rest + heart._displacement(self.time_ms)(level_mm), moving

    def _endo(self, level_mm: np.ndarray) -> np.ndarray:
        rest, moving = self._radius_parts(level_mm)
        profile = self.heart._profile(level_mm)[..., None]
        return profile * (rest - self.contraction[:, None, None] * moving)

    def _wall_areas(self, level_mm: np.ndarray, endo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Wall area per radian: the incompressible part (times μ) and the prescribed one."""
        heart = self.heart
        endo_rest, epi_rest = heart._end_diastolic(level_mm)
        natural = 0.5 * (epi_rest**2 - endo_rest**2) / self.stretch[:, None, None]
        if all(g is None for g in heart.shape.thickening):
            return natural, np.zeros(1)
        share = heart._prescribed(level_mm)
        progress = heart.lv.progress(self.time_ms)[:, None, None]
        thickness = (epi_rest - endo_rest) * (1 + heart._thickening(level_mm) * progress)
        fixed = 0.5 * ((endo + thickness) ** 2 - endo**2)
        return (1 - share) * natural, share * fixed

    def _solve_wall(self, progress: np.ndarray) -> np.ndarray:
        heart, levels = self.heart, self.heart._levels
        change = 1 + heart.shape.myocardial_change * progress
        target = heart.myocardial_volume_ml * MM3_PER_ML * change / self.stretch
        areas = self._wall_areas(levels.level_mm[None], self._endo(levels.level_mm[None]))
        natural, fixed = (levels.integrate(np.broadcast_to(a, areas[0].shape)) for a in areas)
        endo = self._endo(heart._top)
        top_natural, top_fixed = self._wall_areas(heart._top, endo)
        wedge = heart.shape.mitral.along / 3
        inner = _around(wedge * endo[:, 0] ** 3)

        def volume(factor: np.ndarray) -> np.ndarray:
            epi = np.sqrt(endo**2 + 2 * (factor[:, None, None] * top_natural + top_fixed))
            return factor * natural + fixed + _around(wedge * epi[:, 0] ** 3) - inner

        return _secant(volume, target, np.ones(len(self.time_ms)))

    def _epi(self, level_mm: np.ndarray, endo: np.ndarray) -> np.ndarray:
        natural, fixed = self._wall_areas(level_mm, endo)
        return np.sqrt(endo**2 + 2 * (self.wall_factor[:, None, None] * natural + fixed))

    def _solve_right(self) -> np.ndarray:
        heart, levels = self.heart, self.heart._levels
        target = heart.rv.volume_ml(self.time_ms) * MM3_PER_ML / self.stretch
        crescent = heart._crescent(heart._top)[:, 0]
        # From the long axis's crossing of the mitral plane up or down to the tricuspid plane's.
        area = levels.integrate(heart._crescent(levels.level_mm))
        area = area + _around((heart.shape.tricuspid_offset_mm + heart._outflow_mm) * crescent)
        epi = self._epi(heart._top, self._endo(heart._top))[:, 0]
        wedge = heart.shape.tricuspid.along / 3

        def volume(scale: np.ndarray) -> np.ndarray:
            outer = np.sqrt(epi**2 + 2 * scale[:, None] * crescent)
            return scale * area + _around(wedge * (outer**3 - epi**3))

        return _secant(volume, target, target / area)

    # -- what it looks like ------------------------------------------------------------------

    def surfaces(self, height_mm: np.ndarray) -> Surfaces:
        """Walls in the short-axis planes at the heights `height_mm` over the apex, shape (z,)."""
        return self._surfaces_at(np.asarray(height_mm, float)[None] / self.stretch[:, None])

    def _surfaces_at(self, level_mm: np.ndarray) -> Surfaces:
        heart = self.heart
        inside = (level_mm > 0)[..., None]
        endo = self._endo(level_mm)
        epi = np.where(inside, self._epi(level_mm, endo), 0.0)
        outer = np.sqrt(epi**2 + 2 * self.rv_scale[:, None, None] * heart._crescent(level_mm))
        return Surfaces(
            endo_mm=np.where(inside, endo, 0.0),
            epi_mm=epi,
            rv_mm=np.where(inside, outer, 0.0),
            above_mitral_mm=level_mm - heart.height_mm,
            above_tricuspid_mm=level_mm - heart.height_mm - heart.shape.tricuspid_offset_mm,
            mitral=heart.shape.mitral,
            tricuspid=heart.shape.tricuspid,
            outflow_mm=heart._outflow_mm,
        )

    def wall_thickness_mm(self, height_mm: np.ndarray) -> np.ndarray:
        """Mean wall thickness of six sectors in each plane, shape (t, z, 6), in mm.

        Along the ray from the long axis, sectors in the order of the AHA
        segments 1 to 6. NaN where the plane has no cavity or where the mitral
        plane cuts through the sector.
        """
        walls = self.surfaces(height_mm)
        whole = walls.left_ventricle(walls.epi_mm) & (walls.endo_mm > 0)
        thickness = np.where(whole, walls.epi_mm - walls.endo_mm, np.nan)
        return np.stack(
            [_sector_mean(thickness, centre, 30.0) for centre in SIX_SECTORS_DEG], axis=-1
        )

    def segment_thickness_mm(self) -> np.ndarray:
        """Mean wall thickness of the AHA segments 1 to 16, shape (t, 16), in mm.

        Over the middle half of each ring's length.
        """
        low, high = self.heart.ring_borders_mm
        edges = {BASAL: (high, self.heart.height_mm), MID: (low, high)}
        edges[APICAL] = (self.heart.shape.apex_wall_mm, low)
        means = []
        for ring, centre, half in zip(
            SEGMENT_RING, SEGMENT_CENTRE_DEG, SEGMENT_HALF_WIDTH_DEG, strict=True
        ):
            bottom, top = edges[ring]
            levels = bottom + (top - bottom) * np.linspace(0.25, 0.75, 9)
            walls = self._surfaces_at(np.broadcast_to(levels, (len(self.time_ms), 9)))
            means.append(_sector_mean(walls.epi_mm - walls.endo_mm, centre, half).mean(axis=1))
        return np.stack(means, axis=-1)

    def septal_displacement_mm(self) -> np.ndarray:
        """Outward motion of the mid-septal endocardium since end-diastole, shape (t,), in mm."""
        return self._mid_motion_mm(0.0)

    def lateral_displacement_mm(self) -> np.ndarray:
        """Outward motion of the mid-lateral endocardium since end-diastole, shape (t,), in mm."""
        return self._mid_motion_mm(180.0)

    def _mid_motion_mm(self, centre_deg: float) -> np.ndarray:
        level = np.full((len(self.time_ms), 1), float(np.mean(self.heart.ring_borders_mm)))
        rest, _ = self.heart._end_diastolic(level[:1])
        return _sector_mean(self._endo(level) - rest, centre_deg, 30.0)[:, 0]


@dataclass(frozen=True)
class _Quadrature:
    """Gauss-Legendre levels between the heights where its functions have kinks."""

    level_mm: np.ndarray
    weight_mm: np.ndarray

    @classmethod
    def between(cls, breaks: list[float], order: int = 10) -> _Quadrature:
        node, weight = np.polynomial.legendre.leggauss(order)
        low, high = np.array(breaks[:-1])[:, None], np.array(breaks[1:])[:, None]
        return cls(
            (low + (high - low) * (node + 1) / 2).ravel(), ((high - low) * weight / 2).ravel()
        )

    def integrate(self, values: np.ndarray) -> np.ndarray:
        """Integral of (..., z, θ) over Z and θ."""
        return np.einsum("...zk,z->...", values, self.weight_mm) * (2 * np.pi / ANGLES)


def sector_weight(
    centre_deg: float, half_deg: float, *, blend_deg: float = SECTOR_BLEND_DEG
) -> np.ndarray:
    """1 inside the sector, 0 outside, a raised cosine of ± `blend_deg` between; shape (θ,)."""
    away = np.abs(_signed(THETA - np.deg2rad(centre_deg)))
    return _smooth_step((np.deg2rad(half_deg) - away) / np.deg2rad(blend_deg))


def _sector_mean(values: np.ndarray, centre_deg: float, half_deg: float) -> np.ndarray:
    """Mean over the sector of (..., θ)."""
    away = np.abs(np.rad2deg(_signed(THETA - np.deg2rad(centre_deg))))
    # An angle on the border belongs half to each of the two sectors.
    weight = np.clip((half_deg - away) + 0.5 * (np.abs(half_deg - away) < 1e-6), 0, 0.5)
    chosen = weight > 0
    return values[..., chosen] @ (weight[chosen] / weight.sum())


def _smooth_step(x: np.ndarray) -> np.ndarray:
    """0 below -1, 1 above 1, a raised cosine between."""
    return 0.5 * (1 + np.sin(0.5 * np.pi * np.clip(x, -1, 1)))


def _bulge(theta: np.ndarray, half: float) -> np.ndarray:
    """A raised cosine over ± `half` around the middle of the septum."""
    return 0.5 * (1 + np.cos(np.pi * np.clip(np.abs(_signed(theta)) / half, 0, 1)))


def _signed(angle: np.ndarray) -> np.ndarray:
    """The angle in (-π, π]."""
    return np.pi - np.mod(np.pi - angle, 2 * np.pi)


def _around(values: np.ndarray) -> np.ndarray:
    """Integral of (..., θ) over the circle."""
    return values.sum(axis=-1) * (2 * np.pi / ANGLES)


def _height(bump: Bump, time_ms: np.ndarray) -> np.ndarray:
    """The bump scaled to a height of 1."""
    return bump.rate_ml_s(time_ms) / bump.peak_ml_s


def _newton(coefficients: list[np.ndarray], target: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Root of Σ c_k x^k = target near `start`, elementwise."""
    x = start
    for _ in range(50):
        value = sum(c * x**k for k, c in enumerate(coefficients)) - target
        slope = sum(k * c * x ** (k - 1) for k, c in enumerate(coefficients) if k)
        step = value / slope
        x = x - step
        if np.max(np.abs(step)) < 1e-13:
            return x
    raise PhantomError(
        "the wall motion cannot follow the volume curve; let more segments contract."
    )


def _secant(
    function: Callable[[np.ndarray], np.ndarray], target: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Root of a nearly linear, rising function, elementwise."""
    before, now = 0.98 * start, start
    value_before, value = function(before) - target, function(now) - target
    for _ in range(30):
        moved = value != value_before
        slope = np.where(moved, value - value_before, 1) / np.where(moved, now - before, 1)
        before, value_before = now, value
        now = now - np.where(moved, value / slope, 0)
        value = function(now) - target
        if np.max(np.abs(value / target)) < 1e-12:
            return now
    raise PhantomError("the walls cannot hold their volume; give the heart a milder shape.")
