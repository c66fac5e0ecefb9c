"""A heart drawn on the grid of any scan: rings that beat, both ventricles, smaller to the apex."""

from __future__ import annotations

import numpy as np

RADIUS_MM, WALL_MM = 23.0, 8.0
SHORTENING = 0.35  # of the radius in systole
SYSTOLE = 0.36  # of the cycle


def beating_heart(shape, spacing_mm) -> np.ndarray:
    """Labels 1 LV, 2 muscle, 3 RV, shape (t, z, y, x), in all slices but the first and the last."""
    frames, slices, high, wide = shape
    y, x = np.mgrid[:high, :wide]
    y, x = (y - high / 2) * spacing_mm[1], (x - wide / 2) * spacing_mm[2]
    from_lv, from_rv = np.hypot(y, x), np.hypot(y, x + RADIUS_MM + WALL_MM)
    labels = np.zeros(shape, np.uint8)
    for t in range(frames):
        phase = t / frames
        beat = phase / SYSTOLE if phase < SYSTOLE else (1 - phase) / (1 - SYSTOLE)
        beat = np.sin(beat * np.pi / 2) ** 2
        for z in range(1, slices - 1):
            size = 1 - 0.35 * z / slices
            inner = RADIUS_MM * size * (1 - SHORTENING * beat)
            labels[t, z][from_rv < RADIUS_MM * size * (1 - 0.2 * beat)] = 3
            labels[t, z][from_lv < inner + WALL_MM * (1 + 0.4 * beat)] = 2
            labels[t, z][from_lv < inner] = 1
    return labels
