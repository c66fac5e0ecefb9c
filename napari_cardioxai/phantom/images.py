"""A balanced steady-state cine of a phantom heart, as a scanner would show it.

Order of the simulation: tissue signal from ρ, T1, T2; partial volume within
the slice (thin planes) and within the pixel (a finer grid with blended edges);
coil sensitivity; k-space low-pass down to the pixel grid; complex Gaussian
noise; magnitude. Fat is out of phase with water, so borders between the two
turn dark by themselves, as they do in real bSSFP pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from napari_cardioxai.phantom.heart import THETA, Beat, Heart, Outflow, Papillary, Surfaces
from napari_cardioxai.phantom.rasterise import (
    ANGLE_STEPS,
    Faults,
    Grid,
    angle_table,
    papillary_disc,
)
from napari_cardioxai.phantom.surroundings import Scene, draw_scene, paint
from napari_cardioxai.progress import Progress, silent

BLOOD_LEVEL = 700.0  # grey value of blood in the middle of the picture
RV_WALL_MM = 3.0
ATRIAL_WALL_MM = 2.0
AORTIC_WALL_MM = 2.0
# The aorta's root in the picture, in radii of the left ventricle at the base: by eye.
AORTA_AWAY, AORTA_RADIUS, AORTA_BEHIND_DEG = 0.42, 0.42, 25.0


@dataclass(frozen=True)
class Tissue:
    """What a tissue is to the scanner: relative proton density, T1 and T2 in ms."""

    density: float
    t1_ms: float
    t2_ms: float
    fat: bool = False


# MRXCAT (Wissmann 2014) for muscle, fat, blood, liver and bone at 1.5 T, with blood's T2 after
# KomaMRI (its choice changes the contrast strongly) and a T2 of fat that gives the bright fat of
# real bSSFP. The rest are choices by eye.
TISSUES: dict[str, Tissue] = {
    "muscle": Tissue(80, 900, 50),
    "fat": Tissue(70, 350, 70, fat=True),
    "blood": Tissue(95, 1200, 220),
    "liver": Tissue(90, 800, 50),
    "bone": Tissue(12, 250, 20),
    "marrow": Tissue(45, 450, 45),
    "lung": Tissue(5, 1200, 40),
    "vessel": Tissue(45, 1200, 190),
    "fluid": Tissue(90, 2500, 500),
    "gas": Tissue(1, 1000, 20),
    "meal": Tissue(60, 700, 80),
    "spleen": Tissue(85, 1050, 80),
}


@dataclass(frozen=True)
class Scanner:
    """How the cine is acquired.

    Attributes
    ----------
    flip_deg, te_ms
        Flip angle and echo time; the steady state needs no repetition time while TR << T2.
    slice_share
        Slice thickness over slice distance; the rest is gap.
    planes
        Thin planes per slice for through-plane partial volume.
    finer
        Samples per pixel and direction before the low-pass.
    low_pass
        Part of k-space that is acquired, (y, x); 1 is all that the pixels can show.
    window
        How softly k-space ends: 0 hard (ringing), 1 Hann.
    bias
        Strength of the smooth variation of coil sensitivity, 0.4 is ± 40 %.
    coil
        Whether the chest coil makes near tissue brighter.
    snr
        Signal of blood over the standard deviation of the noise; 0 for none.
    texture
        Relative variation of the signal within one tissue.
    circle
        Whether the picture is cut to a circle.
    """

    flip_deg: float = 55.0
    te_ms: float = 1.5
    slice_share: float = 0.9
    planes: int = 3
    finer: int = 2
    low_pass: tuple[float, float] = (0.8, 0.95)
    window: float = 0.5
    bias: float = 0.2
    coil: bool = True
    snr: float = 25.0
    texture: float = 0.05
    circle: bool = False


@dataclass(frozen=True)
class Trabeculae:
    """Muscle among the blood along the wall of a ventricle, which readers count as cavity.

    Attributes
    ----------
    share
        Mean share of muscle at the wall itself; it falls to nothing over the depth.
    left_mm, right_mm
        That depth in each ventricle, on the left at end-diastole. There it shrinks
        with the volume: a contracting ventricle squeezes out the blood between its
        trabeculae, and what has closed up is wall to any reader. The coarse ones of
        the right ventricle stay.

    References
    ----------
    Chuang et al. 2012, JACC Cardiovasc. Imaging 5:1115: trabeculae and papillary
    muscles take 23 ± 3 % of the end-diastolic volume (1,494 subjects). With 6 mm
    it is 16 to 24 % in hearts of the seven classes.
    """

    share: float = 0.75
    left_mm: float = 6.0
    right_mm: float = 8.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Trabeculae:
        """As deep as between subjects."""
        factor = float(np.clip(rng.normal(1, 0.15), 0.6, 1.4))
        return cls(left_mm=cls.left_mm * factor, right_mm=cls.right_mm * factor)


@dataclass(frozen=True)
class Look:
    """All that makes two pictures of the same heart differ: tissues, scanner, surroundings.

    `signals` has one value for each of `TISSUES`, and may have a `right blood` of its own.
    """

    signals: Mapping[str, float]
    scanner: Scanner
    scene: Scene
    seed: int
    trabeculae: Trabeculae = field(default_factory=Trabeculae)


def signal(tissue: Tissue, *, flip_deg: float, te_ms: float) -> float:
    """Steady-state bSSFP signal on resonance; negative for fat, which is out of phase.

    References
    ----------
    Scheffler & Lehnhardt 2003, TR << T2.
    """
    flip = np.deg2rad(flip_deg)
    ratio = tissue.t1_ms / tissue.t2_ms
    value = tissue.density * np.sin(flip) * np.exp(-te_ms / tissue.t2_ms)
    value /= (ratio + 1) - np.cos(flip) * (ratio - 1)
    return float(-value if tissue.fat else value)


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Draw an acquisition within what clinical scanners do."""
    return Scanner(
        flip_deg=float(rng.uniform(42, 70)),
        te_ms=float(rng.uniform(1.2, 1.8)),
        slice_share=float(rng.uniform(0.7, 1.0)),
        low_pass=(float(rng.uniform(0.6, 0.9)), float(rng.uniform(0.75, 1.0))),
        window=float(rng.uniform(0.3, 1.0)),
        bias=float(rng.uniform(0.05, 0.4)),
        coil=bool(rng.random() < 0.8),
        snr=float(np.exp(rng.uniform(np.log(12), np.log(45)))),
        texture=float(rng.uniform(0.02, 0.08)),
        circle=bool(rng.random() < 0.3),
    )


def draw_look(
    heart: Heart, rng: np.random.Generator, *, septum_deg: float, scanner: Scanner | None = None
) -> Look:
    """Draw how a heart is shown: tissues and trabeculae vary by 10 to 15 % between subjects.

    Parameters
    ----------
    septum_deg
        As in the `Grid` that it will be shown on: the chest wall is placed by it.
    scanner
        The acquisition; drawn too by default.
    """
    scanner = scanner or draw_scanner(rng)
    signals = {}
    for name, tissue in TISSUES.items():
        factors = np.exp(rng.normal(0, (0.06, 0.08, 0.12)))
        varied = Tissue(
            tissue.density * factors[0],
            tissue.t1_ms * factors[1],
            tissue.t2_ms * factors[2],
            tissue.fat,
        )
        signals[name] = signal(varied, flip_deg=scanner.flip_deg, te_ms=scanner.te_ms)
    walls = heart.beat(np.zeros(1)).surfaces(np.array([0.65 * heart.height_mm]))
    scene = draw_scene(
        rng,
        heart_mm=float(walls.epi_mm.mean()),
        outline_mm=walls.rv_mm[0, 0] + RV_WALL_MM,
        outline_angle=np.deg2rad(septum_deg) - THETA,
    )
    return Look(signals, scanner, scene, int(rng.integers(2**63)), Trabeculae.draw(rng))


def render(
    beat: Beat,
    grid: Grid,
    look: Look,
    *,
    faults: Faults | None = None,
    on_progress: Progress = silent,
) -> np.ndarray:
    """Magnitude images of a beating heart.

    Parameters
    ----------
    beat, grid, faults
        As for `rasterise`; the same pixel shows the same tissue.
    look
        Contrast, acquisition and surroundings.

    Returns
    -------
    Grey values, shape (t, z, y, x), int16; zero in lost slices.
    """
    faults = faults or Faults()
    rng = np.random.default_rng(look.seed)
    frames, slices = len(beat.time_ms), len(grid.heights_mm)
    images = np.zeros((frames, slices, *grid.matrix), np.int16)
    painter = _Painter.prepare(beat, grid, look, rng)
    for index in range(slices):
        on_progress(index, slices, "images")
        if index not in faults.missing:
            cine = painter.cine_of(index, faults.shift_of(index), rng)
            images[:, index] = np.roll(cine, faults.late(index), axis=0)
    on_progress(slices, slices, "images")
    return images


@dataclass(frozen=True)
class _Painter:
    """What all slices of one cine share."""

    beat: Beat
    grid: Grid
    look: Look
    gain: float
    passes: tuple[np.ndarray, np.ndarray]
    bias: np.ndarray
    grain: np.ndarray
    flow: np.ndarray

    @classmethod
    def prepare(cls, beat: Beat, grid: Grid, look: Look, rng: np.random.Generator) -> _Painter:
        scanner = look.scanner
        passes = tuple(
            low_pass(n, finer=scanner.finer, share=share, window=scanner.window)
            for n, share in zip(grid.matrix, scanner.low_pass, strict=True)
        )
        shape = (grid.matrix[0] * scanner.finer, grid.matrix[1] * scanner.finer)
        step = grid.pixel_mm / scanner.finer
        bias = _bias(grid, look, rng)
        grain = _noise(shape, 4.0 / step, rng)
        return cls(
            beat=beat,
            grid=grid,
            look=look,
            gain=BLOOD_LEVEL / look.signals["blood"],
            passes=(passes[0], passes[1]),
            bias=bias,
            grain=grain,
            flow=_noise(shape, 9.0 / step, rng),
        )

    def cine_of(
        self, index: int, shift_mm: tuple[float, float], rng: np.random.Generator
    ) -> np.ndarray:
        """The cine of one slice, (t, y, x), float64 rounded to int16."""
        scanner, grid = self.look.scanner, self.grid
        down, right = grid.offsets_mm(finer=scanner.finer)
        down = (down - shift_mm[0]).astype(np.float32)
        right = (right - shift_mm[1]).astype(np.float32)
        height = grid.heights_mm[index]
        thickness = scanner.slice_share * grid.slice_distance_mm
        planes = height + thickness * ((np.arange(scanner.planes) + 0.5) / scanner.planes - 0.5)
        edge = grid.pixel_mm / scanner.finer
        still = paint(
            self.look.scene, self.look.signals, right, down, height_mm=height, edge_mm=edge
        )
        walls = self.beat.surfaces(planes)
        part = _Part.of(self, walls, down, right, edge)
        weight = self.bias * (1 + scanner.texture * self.grain)
        base = self._through(weight * still, slice(None), slice(None))
        before = still[part.rows, part.columns]
        change = np.stack(
            [part.heart(walls, frame, before) - before for frame in range(len(self.beat.time_ms))]
        )
        change *= weight[part.rows, part.columns]
        cine = base + self._through(change, part.rows, part.columns)
        return self._detect(cine * self.gain, rng)

    def _through(self, fine: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """Low-pass the samples (..., rows, columns) of the finer grid onto the pixels."""
        down, right = self.passes[0][:, rows], self.passes[1][:, columns]
        return np.matmul(down, fine @ np.ascontiguousarray(right.T))

    def _detect(self, cine: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Noise, magnitude and the circle."""
        scanner = self.look.scanner
        if scanner.snr > 0:
            sigma = BLOOD_LEVEL / scanner.snr
            real = cine + sigma * rng.standard_normal(cine.shape, np.float32)
            cine = np.hypot(real, sigma * rng.standard_normal(cine.shape, np.float32))
        else:
            cine = np.abs(cine)
        if scanner.circle:
            rows, columns = (np.arange(n) - (n - 1) / 2 for n in self.grid.matrix)
            cine = cine * (np.hypot(rows[:, None], columns) <= 0.5 * min(self.grid.matrix))
        return np.clip(np.rint(cine), 0, 32767).astype(np.int16)


@dataclass(frozen=True)
class _Part:
    """The samples that the heart can reach in one slice, with what is needed to fill them."""

    painter: _Painter
    rows: slice
    columns: slice
    down: np.ndarray
    right: np.ndarray
    radius: np.ndarray
    step: np.ndarray
    edge: float

    @classmethod
    def of(
        cls, painter: _Painter, walls: Surfaces, down: np.ndarray, right: np.ndarray, edge: float
    ) -> _Part:
        reach = float(walls.rv_mm.max()) + RV_WALL_MM + 16.0
        near = [np.flatnonzero(np.abs(d.ravel()) <= reach) for d in (down, right)]
        rows, columns = (slice(int(n[0]), int(n[-1]) + 1) if len(n) else slice(0, 0) for n in near)
        down, right = down[rows], right[:, columns]
        angle = np.deg2rad(painter.grid.septum_deg) - np.arctan2(-down, right)
        step = np.rint(angle * (ANGLE_STEPS / (2 * np.pi))).astype(np.intp) % ANGLE_STEPS
        radius = np.hypot(down, right).astype(np.float32)
        return cls(painter, rows, columns, down, right, radius, step, edge)

    def _cover(self, depth_mm: np.ndarray) -> np.ndarray:
        return np.clip(depth_mm / self.edge + 0.5, 0, 1)

    def _towards(self, direction_deg: float) -> np.ndarray:
        angle = np.deg2rad(self.painter.grid.septum_deg - direction_deg)
        return (np.cos(angle) * self.right - np.sin(angle) * self.down).astype(np.float32)

    def _around(self, angle_deg: float, distance_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (down, right) in mm from the point at the heart's θ and this far from the axis."""
        angle = np.deg2rad(self.painter.grid.septum_deg - angle_deg)
        right = self.right - np.float32(distance_mm * np.cos(angle))
        return self.down + np.float32(distance_mm * np.sin(angle)), right

    def _in_fat(self, walls: Surfaces, frame: int, before: np.ndarray) -> np.ndarray:
        """Pericardial fat round the heart; lung takes the place that the fat leaves."""
        now, rest = ((walls.rv_mm[k] + self._right_wall(walls, k)).mean(axis=0) for k in (frame, 0))
        height = float(np.mean(walls.above_mitral_mm[frame])) + self.painter.beat.heart.height_mm
        if rest.max() < 1.0:  # below the apex: a pad of fat, or nothing
            now = rest = np.full_like(rest, 4.0 if height > -6 else -30.0)
        fat = np.zeros_like(rest)
        for order, thickness, phase in self.painter.look.scene.fat_mm:
            fat += thickness * np.cos(order * THETA - phase)
        edge = 0.6 * now + 0.4 * rest + np.clip(fat, 0, 14)
        table = angle_table(np.where(fat > 0.5, edge, -4.0)[None])[0]
        share = self._cover(np.take(table, self.step) - self.radius)
        return before + (self.painter.look.signals["fat"] - before) * share

    def _right_wall(self, walls: Surfaces, frame: int) -> np.ndarray:
        """Thickness of the right ventricle's own wall, (plane, θ)."""
        width = walls.rv_mm[frame] - walls.epi_mm[frame]
        return RV_WALL_MM * np.clip(width / 3.0, 0, 1)

    def heart(self, walls: Surfaces, frame: int, before: np.ndarray) -> np.ndarray:
        """Signal with the heart in it, mean over the planes, (y, x)."""
        total = np.zeros_like(before)
        packed = self._in_fat(walls, frame, before)
        tables = [
            angle_table(surface)
            for surface in (
                walls.rv_mm[frame] + self._right_wall(walls, frame),
                walls.rv_mm[frame],
                walls.epi_mm[frame],
                walls.endo_mm[frame],
            )
        ]
        for plane in range(len(tables[0])):
            total += self._plane(walls, frame, plane, [t[plane] for t in tables], packed)
        return total / len(tables[0])

    def _plane(
        self,
        walls: Surfaces,
        frame: int,
        plane: int,
        tables: list[np.ndarray],
        before: np.ndarray,
    ) -> np.ndarray:
        look, radius, step = self.painter.look, self.radius, self.step
        signals = look.signals
        if tables[2].max() < 0.5:
            return before
        muscle = signals["muscle"]
        blood = signals["blood"] * (1 + 0.06 * self._flow(frame))
        outer, right, epi, endo = (np.take(table, step) - radius for table in tables)
        image = before + (muscle - before) * self._cover(outer)
        # Inflow and contrast agent can make the right blood differ from the left.
        right_blood = blood * (signals.get("right blood", signals["blood"]) / signals["blood"])
        right, right_blood = self._right_blood(walls, frame, plane, right_blood, right)
        image += (right_blood - image) * self._cover(right)
        image += (muscle - image) * self._cover(epi)
        cavity, blood = self._left_blood(walls, frame, plane, blood, epi, endo)
        image += (blood - image) * self._cover(cavity)
        level = walls.above_mitral_mm[frame, plane] / self.painter.beat.heart.height_mm + 1
        for papillary in self.painter.beat.heart.shape.papillaries:
            if papillary.first <= level <= papillary.last:
                self._add_papillary(image, papillary, frame, level, tables[3])
        return image

    def _left_blood(
        self,
        walls: Surfaces,
        frame: int,
        plane: int,
        blood: np.ndarray,
        epi: np.ndarray,
        endo: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Depth in the blood on the left, and the blood: ventricle below the mitral plane, atrium above."""
        above = float(walls.above_mitral_mm[frame, plane])
        mixed = self._mixed(blood, endo, self._left_trabeculae_mm(frame))
        rise = walls.mitral.slope * self._towards(walls.mitral.direction_deg)
        if above < float(rise.min()):
            return endo, mixed
        atrium = epi - np.float32(ATRIAL_WALL_MM + 0.15 * max(above, 0))
        outflow = self.painter.beat.heart.shape.outflow
        if outflow is not None:
            atrium = np.minimum(atrium, self._aortic_wall(epi + self.radius, outflow))
        ventricular = rise > above
        return np.where(ventricular, endo, atrium), np.where(ventricular, mixed, blood)

    def _right_blood(
        self, walls: Surfaces, frame: int, plane: int, blood: np.ndarray, right: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same on the right; above the tricuspid plane lies a shrinking atrium."""
        above = float(walls.above_tricuspid_mm[frame, plane])
        mixed = self._mixed(blood, right, self.painter.look.trabeculae.right_mm)
        rise = walls.tricuspid.slope * self._towards(walls.tricuspid.direction_deg)
        if above < float(rise.min()):
            return right, mixed
        atrium = right - np.clip(0.35 * (above - rise), 1, 12)
        if walls.outflow_mm.any():
            way = np.take(angle_table(walls.outflow_mm[None])[0], self.step)
            part = way / walls.outflow_mm.max()
            ridge = (
                (part > 0.3) & (part < 0.7) & (above > rise)
            )  # muscle between the ways in and out
            right = np.where(ridge, np.float32(-1), right)
            # Above its valve the pulmonary artery goes on.
            atrium = np.where(way > 0, right, atrium)
            rise = rise + way
        ventricular = rise > above
        return np.where(ventricular, right, atrium), np.where(ventricular, mixed, blood)

    def _aortic_wall(self, epi_mm: np.ndarray, outflow: Outflow) -> np.ndarray:
        """Depth outside the wall of the aorta's root, which stands between the left atrium and the outflow tract."""
        size = float(np.median(epi_mm))
        down, right = self._around(outflow.angle_deg - AORTA_BEHIND_DEG, AORTA_AWAY * size)
        wall: np.ndarray = np.abs(np.hypot(down, right) - AORTA_RADIUS * size) - AORTIC_WALL_MM / 2
        return wall

    def _flow(self, frame: int) -> np.ndarray:
        """Slow patterns of flowing blood, turning over the cycle."""
        flow = self.painter.flow
        moved = np.roll(flow, (7 * frame) % flow.shape[0], axis=0)
        return moved[self.rows, self.columns]

    def _left_trabeculae_mm(self, frame: int) -> float:
        """How far the trabeculae reach into the blood of the left ventricle by now."""
        beat = self.painter.beat
        curve = beat.heart.lv
        filled = float(curve.volume_ml(beat.time_ms[frame])) / curve.edv_ml
        return self.painter.look.trabeculae.left_mm * filled

    def _mixed(self, blood: np.ndarray, depth_mm: np.ndarray, reach_mm: float) -> np.ndarray:
        """Blood with the trabeculae that lie in it near the wall."""
        look = self.painter.look
        grain = self.painter.grain[self.rows, self.columns]
        share = np.clip(look.trabeculae.share * (1 + grain), 0, 1)
        share *= np.clip(1 - depth_mm / reach_mm, 0, 1)
        return blood + (look.signals["muscle"] - blood) * share

    def _add_papillary(
        self, image: np.ndarray, papillary: Papillary, frame: int, level: float, endo: np.ndarray
    ) -> None:
        angle_deg, distance, radius = papillary_disc(
            self.painter.beat, papillary, frame=frame, level=level, endo=endo
        )
        down, right = self._around(angle_deg, distance)
        rows, columns = (np.flatnonzero(np.abs(d.ravel()) < radius + 1) for d in (down, right))
        if not len(rows) or not len(columns):
            return
        near = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        away = np.hypot(down[near[0]], right[:, near[1]])
        image[near] += (self.painter.look.signals["muscle"] - image[near]) * self._cover(
            radius - away
        )


def low_pass(pixels: int, *, finer: int, share: float, window: float) -> np.ndarray:
    """The k-space filter along one axis as a matrix, (pixels, pixels * finer).

    Keeps the part `share` of the frequencies that `pixels` can show, fading
    from the fraction 1 - `window` of them to the last as a raised cosine.
    Each row sums to 1.
    """
    samples = pixels * finer
    position = (np.arange(pixels) + 0.5) * finer - 0.5
    distance = position[:, None] - np.arange(samples)[None, :]
    highest = share * pixels / 2
    frequency = np.arange(1, int(np.floor(highest)) + 1)
    start = (1 - window) * highest
    fade = np.clip((frequency - start) / max(highest - start, 1e-9), 0, 1)
    weight = 0.5 * (1 + np.cos(np.pi * fade))
    # A sum of cosines, taken over the distances that occur rather than over all pairs.
    unique, inverse = np.unique(np.round(distance, 6), return_inverse=True)
    wave = np.cos(2 * np.pi * unique[:, None] * frequency / samples) @ weight
    return ((1 + 2 * wave) / samples)[inverse].reshape(distance.shape).astype(np.float32)


def _noise(shape: tuple[int, int], width: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of standard deviation 1 and correlation length `width` samples."""
    coarse = max(int(width / 2), 1)
    small = rng.standard_normal([n // coarse + 4 for n in shape]).astype(np.float32)
    smooth = gaussian_filter(small, width / coarse, mode="wrap")
    large = zoom(smooth, coarse, order=1)[: shape[0], : shape[1]] if coarse > 1 else smooth
    large = large[: shape[0], : shape[1]]
    return ((large - large.mean()) / large.std()).astype(np.float32)


def _bias(grid: Grid, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Coil sensitivity on the finer grid, 1 at the heart, (y, x)."""
    scanner = look.scanner
    down, right = grid.offsets_mm(finer=scanner.finer)
    field = np.zeros((down.shape[0], right.shape[1]))
    for _ in range(4):
        kx, ky = rng.uniform(-1, 1, 2) * np.pi / 150.0
        field += rng.normal(0, 0.5) * np.cos(kx * right + ky * down + rng.uniform(0, 2 * np.pi))
    field = np.clip(1 + scanner.bias * field, 0.2, None)
    if scanner.coil:
        front_x, front_y = look.scene.front
        near = front_x * right + front_y * down
        field *= np.exp(np.clip(near / look.scene.coil_depth_mm, -2, 1.6))
    centre = field[
        int(np.clip(grid.centre_px[0] * scanner.finer, 0, field.shape[0] - 1)),
        int(np.clip(grid.centre_px[1] * scanner.finer, 0, field.shape[1] - 1)),
    ]
    return (field / centre).astype(np.float32)
