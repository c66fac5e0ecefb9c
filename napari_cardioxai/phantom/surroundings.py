"""What lies around the heart in a short-axis picture, different in every subject.

A painter's scene in millimetres from the long axis, x to the right and y down:
body outline, subcutaneous fat, chest muscles with ribs, lungs with vessels,
diaphragm, liver, stomach, spleen, bowel, spine, aorta and caval vein. Shapes
and places are choices made by eye beside real short-axis pictures; they teach
a network what is not heart and are no anatomy atlas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

_OUTLINE_STEPS = 1024


@dataclass(frozen=True)
class Blob:
    """An ellipse with a wavy outline, filled with one tissue.

    Attributes
    ----------
    tissue
        Key into the table of signals.
    x_mm, y_mm
        Centre, right of and below the long axis.
    a_mm, b_mm, turn
        Half axes and the direction of the first, in radians towards growing y.
    waves
        (order, relative amplitude, phase) of the outline.
    first_mm, last_mm
        Heights over the apex between which it exists.
    """

    tissue: str
    x_mm: float
    y_mm: float
    a_mm: float
    b_mm: float
    turn: float = 0.0
    waves: tuple[tuple[int, float, float], ...] = ()
    first_mm: float = -np.inf
    last_mm: float = np.inf

    def depth_mm(self, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
        """Distance inside the outline (negative outside), to first order; broadcast shape."""
        dx, dy = x_mm - self.x_mm, y_mm - self.y_mm
        along = np.cos(self.turn) * dx + np.sin(self.turn) * dy
        across = np.cos(self.turn) * dy - np.sin(self.turn) * dx
        u, v = along / self.a_mm, across / self.b_mm
        radius = np.sqrt(u * u + v * v) + 1e-6
        gradient = np.sqrt((u / self.a_mm) ** 2 + (v / self.b_mm) ** 2) + 1e-6
        edge: np.ndarray | float = 1.0
        if self.waves:
            step = ((np.arctan2(v, u) + np.pi) * (_OUTLINE_STEPS / (2 * np.pi))).astype(np.intp)
            edge = np.take(self._outline(), step)
        return (edge - radius) * radius / gradient

    def _outline(self) -> np.ndarray:
        """Outline relative to the ellipse, by angle from -π to π, float32."""
        angle = np.linspace(-np.pi, np.pi, _OUTLINE_STEPS + 1)
        waves = np.sum([a * np.cos(n * angle - p) for n, a, p in self.waves], axis=0)
        return (1 + waves).astype(np.float32)

    def inset(self, tissue: str, by_mm: float) -> Blob:
        """The same shape, smaller by a rim, of another tissue."""
        return replace(self, tissue=tissue, a_mm=self.a_mm - by_mm, b_mm=self.b_mm - by_mm)


@dataclass(frozen=True)
class Scene:
    """Everything but the heart.

    Attributes
    ----------
    chest
        Body, fat, muscle and lung outlines from outside in, with ribs.
    abdomen
        What the diaphragm cuts off, painted only below it.
    vessels
        What is painted last: spine, aorta, lung vessels.
    diaphragm
        (height below the axis at x = 0 in mm, slope left, slope right).
    fat_mm
        Coefficients of the pericardial fat's thickness over the angle: (order, mm, phase).
    front
        Unit vector (x, y) from the heart to the chest wall.
    coil_depth_mm
        Distance over which the signal of the chest coil falls to 1/e.
    """

    chest: tuple[Blob, ...]
    abdomen: tuple[Blob, ...]
    vessels: tuple[Blob, ...]
    diaphragm: tuple[float, float, float]
    fat_mm: tuple[tuple[int, float, float], ...]
    front: tuple[float, float]
    coil_depth_mm: float


def draw_scene(
    rng: np.random.Generator, *, heart_mm: float, outline_mm: np.ndarray, outline_angle: np.ndarray
) -> Scene:
    """Draw the surroundings of one subject.

    Parameters
    ----------
    heart_mm
        Epicardial radius of the left ventricle, which rests on the diaphragm.
    outline_mm, outline_angle
        Outline of both ventricles: radius and direction in the picture
        (counter-clockwise from the right, radians), which the chest wall has to
        leave room for.
    """
    tilt = rng.uniform(np.deg2rad(85), np.deg2rad(150))
    front = np.array([np.cos(tilt), -np.sin(tilt)])
    side = np.array([-front[1], front[0]])
    heart_front = float(np.max(outline_mm * np.cos(outline_angle - tilt)))
    chest, inner = _chest(rng, front, heart_front)
    low = heart_mm + rng.uniform(1, 7)
    diaphragm = (float(low), float(rng.uniform(-0.3, 0.25)), float(rng.uniform(0.05, 0.7)))
    spine = _spine(rng, front, side, heart_mm) if rng.random() < 0.6 else []
    return Scene(
        chest=chest,
        abdomen=_abdomen(rng, low),
        vessels=(*spine, *_great_vessels(rng, heart_mm), *_lung_vessels(rng, inner, heart_mm)),
        diaphragm=diaphragm,
        fat_mm=_fat(rng),
        front=(float(front[0]), float(front[1])),
        coil_depth_mm=float(rng.uniform(45, 160)),
    )


def _waves(
    rng: np.random.Generator, size: float, orders: int = 5
) -> tuple[tuple[int, float, float], ...]:
    return tuple(
        (n, float(rng.normal(0, size / n)), float(rng.uniform(0, 2 * np.pi)))
        for n in range(2, 2 + orders)
    )


def _chest(
    rng: np.random.Generator, front: np.ndarray, heart_front_mm: float
) -> tuple[tuple[Blob, ...], Blob]:
    # The plane runs obliquely through the trunk, so its section is longer than the chest is deep.
    depth, width = rng.uniform(115, 200), rng.uniform(125, 200)
    muscle, fat = rng.uniform(8, 17), rng.gamma(3, 5) + 4
    turn = float(np.arctan2(front[1], front[0]))
    side = np.array([-front[1], front[0]])
    # Off to one side, so that the heart lies under the left half of the chest; there the
    # ellipse has already come down by `sag`.
    aside = rng.uniform(-0.3, 0.3) * width
    sag = depth * (1 - np.sqrt(1 - (aside / width) ** 2))
    centre = front * (heart_front_mm + rng.uniform(1, 9) + sag - depth) + side * aside
    inner = Blob("lung", float(centre[0]), float(centre[1]), depth, width, turn, _waves(rng, 0.03))
    middle = replace(
        inner,
        tissue="muscle",
        a_mm=depth + muscle,
        b_mm=width + muscle,
        waves=_vary(rng, inner.waves, 0.012),
    )
    shifted = centre + front * rng.uniform(0, 0.4) * fat + side * rng.normal(0, 0.15) * fat
    outer = replace(
        middle,
        tissue="fat",
        x_mm=float(shifted[0]),
        y_mm=float(shifted[1]),
        a_mm=depth + muscle + fat,
        b_mm=width + muscle + fat,
        waves=_vary(rng, inner.waves, 0.02),
    )
    parts: list[Blob] = [
        replace(outer, tissue="muscle", a_mm=outer.a_mm + 1.8, b_mm=outer.b_mm + 1.8)
    ]
    if rng.random() < 0.5:  # breast or a fold of fat
        where = shifted + front * 0.92 * outer.a_mm + side * rng.uniform(-70, 70)
        parts.append(
            Blob(
                "fat",
                float(where[0]),
                float(where[1]),
                rng.uniform(10, 35),
                rng.uniform(40, 70),
                turn + rng.normal(0, 0.2),
                _waves(rng, 0.04),
            )
        )
    parts.append(outer)
    for _ in range(int(rng.integers(1, 4))):  # flat muscles in the fat
        angle = rng.normal(0, 0.8)
        ring = 1 - 0.5 * fat / outer.a_mm
        along, across = outer.a_mm * ring * np.cos(angle), outer.b_mm * ring * np.sin(angle)
        where = shifted + front * along + side * across
        parts.append(
            Blob(
                "muscle",
                float(where[0]),
                float(where[1]),
                rng.uniform(18, 45),
                0.3 * fat * rng.uniform(0.3, 1),
                turn + np.pi / 2 + 0.8 * angle,
                _waves(rng, 0.05),
            )
        )
    parts.append(middle)
    for angle in np.arange(0, 2 * np.pi, rng.uniform(0.16, 0.26)) + rng.uniform(0, 0.3):
        parts += _rib(rng, middle, muscle, float(angle))
    return (*parts, inner.inset("fat", -rng.uniform(0, 2.5)), inner), inner


def _vary(
    rng: np.random.Generator, waves: tuple[tuple[int, float, float], ...], size: float
) -> tuple[tuple[int, float, float], ...]:
    """Nearly the same outline, so that layers vary in thickness."""
    return (*waves, *_waves(rng, size, orders=9))


def _rib(rng: np.random.Generator, middle: Blob, muscle: float, angle: float) -> list[Blob]:
    ring = 1 - 0.5 * muscle / middle.a_mm
    along, across = middle.a_mm * ring * np.cos(angle), middle.b_mm * ring * np.sin(angle)
    c, s = np.cos(middle.turn), np.sin(middle.turn)
    x, y = middle.x_mm + c * along - s * across, middle.y_mm + s * along + c * across
    tangent = np.arctan2(
        s * -middle.a_mm * np.sin(angle) + c * middle.b_mm * np.cos(angle),
        c * -middle.a_mm * np.sin(angle) - s * middle.b_mm * np.cos(angle),
    )
    bone = Blob(
        "bone",
        float(x),
        float(y),
        float(rng.uniform(5, 9)),
        float(rng.uniform(2.5, 4.2)),
        float(tangent + rng.normal(0, 0.15)),
    )
    between = (
        []
        if rng.random() < 0.4
        else [
            Blob(
                "fat",
                bone.x_mm + rng.normal(0, 4),
                bone.y_mm + rng.normal(0, 4),
                7.0,
                1.5,
                bone.turn,
            )
        ]
    )
    return [*between, bone, bone.inset("marrow", 1.2)]


def _abdomen(rng: np.random.Generator, low: float) -> tuple[Blob, ...]:
    liver = Blob(
        "liver",
        rng.uniform(-85, -25),
        low + rng.uniform(30, 50),
        rng.uniform(65, 110),
        rng.uniform(35, 60),
        rng.uniform(-0.3, 0.5),
        _waves(rng, 0.05),
    )
    organs = [liver, *_dots(rng, liver, int(rng.integers(6, 16)), (1.2, 4.0), ("blood",))]
    stomach = Blob(
        "muscle",
        rng.uniform(10, 60),
        low + rng.uniform(22, 45),
        rng.uniform(22, 40),
        rng.uniform(15, 28),
        rng.uniform(-0.6, 0.6),
        _waves(rng, 0.06),
    )
    content = str(rng.choice(["gas", "fluid", "meal", "meal"]))
    organs += [stomach, stomach.inset(content, rng.uniform(2, 4))]
    if content == "meal":
        organs += _dots(rng, stomach.inset("meal", 6), 14, (1.5, 6.0), ("gas", "fluid", "fat"))
    spleen = Blob(
        "spleen",
        rng.uniform(70, 115),
        low + rng.uniform(20, 60),
        rng.uniform(25, 40),
        rng.uniform(12, 20),
        rng.uniform(0.6, 1.8),
        _waves(rng, 0.05),
    )
    organs += [spleen]
    for _ in range(int(rng.integers(4, 10))):
        loop = Blob(
            "muscle",
            rng.uniform(-90, 110),
            low + rng.uniform(70, 130),
            rng.uniform(10, 24),
            rng.uniform(9, 18),
            rng.uniform(0, 3),
            _waves(rng, 0.08),
        )
        filling = str(rng.choice(["gas", "fluid", "meal", "liver", "spleen"]))
        organs += [loop, loop.inset(filling, rng.uniform(1.5, 3))]
    return tuple(organs)


def _dots(
    rng: np.random.Generator,
    inside: Blob,
    count: int,
    radius_mm: tuple[float, float],
    tissues: tuple[str, ...],
) -> list[Blob]:
    """Small blobs in the inner part of a large one."""
    found = []
    for _ in range(count):
        far, angle = 0.85 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        along, across = far * inside.a_mm * np.cos(angle), far * inside.b_mm * np.sin(angle)
        c, s = np.cos(inside.turn), np.sin(inside.turn)
        radius = rng.uniform(*radius_mm)
        found.append(
            Blob(
                str(rng.choice(tissues)),
                float(inside.x_mm + c * along - s * across),
                float(inside.y_mm + s * along + c * across),
                radius * rng.uniform(1, 2.5),
                radius,
                rng.uniform(0, np.pi),
                (),
                float(rng.uniform(-30, 80)),
                float(rng.uniform(40, 200)),
            )
        )
    return found


def _spine(
    rng: np.random.Generator, front: np.ndarray, side: np.ndarray, heart_mm: float
) -> list[Blob]:
    back = -front * (heart_mm + rng.uniform(55, 95)) + side * rng.uniform(-45, 30)
    turn = float(np.arctan2(side[1], side[0]))
    body = Blob(
        "bone",
        float(back[0]),
        float(back[1]),
        rng.uniform(17, 24),
        rng.uniform(13, 22),
        turn,
        _waves(rng, 0.04),
    )
    behind = back - front * (body.b_mm + 9)
    found = []
    for hand in (-1, 1):
        muscle = behind - front * 10 + side * hand * rng.uniform(22, 30)
        found.append(
            Blob("muscle", float(muscle[0]), float(muscle[1]), 26.0, 15.0, turn, _waves(rng, 0.1))
        )
    found += [body, body.inset("marrow", 1.4)]
    canal = Blob("bone", float(behind[0]), float(behind[1]), 11.0, 9.0, turn)
    return [*found, canal, canal.inset("fluid", 2.5), canal.inset("spleen", 5.5)]


def _great_vessels(rng: np.random.Generator, heart_mm: float) -> list[Blob]:
    """Descending aorta behind the left ventricle, caval vein under the right one."""
    angle, away = rng.uniform(0.2, 0.75) * np.pi, heart_mm + rng.uniform(16, 35)
    x, y = float(away * np.cos(angle)), float(away * np.sin(angle))
    radius = rng.uniform(8.5, 13)
    found = [Blob("muscle", x, y, radius + 1.3, radius + 1.3), Blob("blood", x, y, radius, radius)]
    if rng.random() < 0.7:
        found.append(
            Blob(
                "blood",
                rng.uniform(-60, -20),
                heart_mm + rng.uniform(6, 24),
                rng.uniform(8, 14),
                rng.uniform(6, 10),
                rng.uniform(0, 3),
                first_mm=rng.uniform(30, 60),
            )
        )
    return found


def _lung_vessels(rng: np.random.Generator, lung: Blob, heart_mm: float) -> list[Blob]:
    small = _dots(rng, lung, int(rng.integers(40, 110)), (0.5, 1.6), ("vessel", "blood"))
    large = _dots(rng, lung, int(rng.integers(3, 9)), (2.0, 4.5), ("vessel", "blood"))
    # Only where lung is: right of the heart and above the diaphragm.
    return [d for d in small + large if d.x_mm > 0.5 * heart_mm and d.y_mm < 1.2 * heart_mm]


def _fat(rng: np.random.Generator) -> tuple[tuple[int, float, float], ...]:
    """Pericardial fat: most of it over the right ventricle, little at the lateral wall."""
    size = rng.uniform(0.5, 2.0)
    fat = [(0, float(rng.uniform(-1.5, 3.0)), 0.0), (1, 3.5 * size, float(rng.normal(0.5, 0.5)))]
    fat += [
        (n, float(rng.normal(0, 3.0 * size / n)), float(rng.uniform(0, 6.3))) for n in range(2, 7)
    ]
    return tuple(fat)


def paint(
    scene: Scene,
    signals: Mapping[str, float],
    x_mm: np.ndarray,
    y_mm: np.ndarray,
    *,
    height_mm: float,
    edge_mm: float,
) -> np.ndarray:
    """Signed signal of the surroundings in one plane; fat is negative, as it is out of phase.

    Parameters
    ----------
    x_mm, y_mm
        Coordinates of columns (1, x) and rows (y, 1).
    height_mm
        Height of the plane over the apex.
    edge_mm
        Width over which borders are blended: one sample.

    Returns
    -------
    float32, shape (y, x).
    """
    canvas = np.zeros((y_mm.shape[0], x_mm.shape[1]), np.float32)
    for blob in scene.chest:
        _paint(canvas, blob, signals, x_mm, y_mm, edge_mm)
    within = canvas.copy()
    low, left, right = scene.diaphragm
    bend = 0.5 * (np.sqrt(x_mm**2 + 30.0**2) - 30.0)
    level = low + 0.5 * (left + right) * x_mm + (right - left) * bend + 0.001 * x_mm**2
    level = level + 0.1 * (height_mm - 45)
    inner = scene.chest[-1].depth_mm(x_mm, y_mm)
    below = np.clip((y_mm - level) / edge_mm + 0.5, 0, 1) * np.clip(inner / edge_mm + 0.5, 0, 1)
    canvas[:] = signals["fat"]
    for blob in scene.abdomen:
        if blob.first_mm <= height_mm <= blob.last_mm:
            _paint(canvas, blob, signals, x_mm, y_mm, edge_mm)
    # The diaphragm itself is a thin muscle on top of the abdomen.
    skin = np.clip((y_mm - level - 2.5) / edge_mm + 0.5, 0, 1)
    canvas = (signals["muscle"] + (canvas - signals["muscle"]) * skin).astype(np.float32)
    canvas = (within + (canvas - within) * below).astype(np.float32)
    for blob in scene.vessels:
        if blob.first_mm <= height_mm <= blob.last_mm:
            _paint(canvas, blob, signals, x_mm, y_mm, edge_mm)
    return canvas


def _paint(
    canvas: np.ndarray,
    blob: Blob,
    signals: Mapping[str, float],
    x_mm: np.ndarray,
    y_mm: np.ndarray,
    edge_mm: float,
) -> None:
    """Fill the blob on the canvas, working only where it can be."""
    reach = 1.3 * max(blob.a_mm, blob.b_mm) + edge_mm
    near = [
        np.flatnonzero(np.abs(axis.ravel() - centre) <= reach)
        for axis, centre in ((y_mm, blob.y_mm), (x_mm, blob.x_mm))
    ]
    if not len(near[0]) or not len(near[1]) or min(blob.a_mm, blob.b_mm) <= 0:
        return
    rows, columns = (slice(int(n[0]), int(n[-1]) + 1) for n in near)
    depth = blob.depth_mm(x_mm[:, columns], y_mm[rows])
    part = canvas[rows, columns]
    part += (signals[blob.tissue] - part) * np.clip(depth / edge_mm + 0.5, 0, 1)
