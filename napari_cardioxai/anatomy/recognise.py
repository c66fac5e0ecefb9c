"""Which label value is which structure, seen from how they lie together."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from napari_cardioxai.anatomy.labels import CARDIOXAI, SCHEMES, LabelScheme
from napari_cardioxai.errors import LabelError

MASK_VALUE = 255  # a cavity mask saved as a black and white picture
ABSENT = -1  # stands for no value at all in a recognised scheme
ENCLOSED = 0.6  # part of the cavity's edge that has to lie on muscle
MARGIN = 0.2  # lead over the next best reading
SMALLEST_CAVITY = 0.05  # of the muscle; a few voxels painted into something are no cavity


def recognise_scheme(
    data: np.ndarray, spacing_mm: tuple[float, float, float] | None
) -> tuple[LabelScheme, str]:
    """Tell the scheme from shapes: the muscle is the ring that the LV cavity lies in.

    The edge of the LV cavity lies on muscle almost everywhere, that of the RV
    only along the septum. Of all readings of the values, that with the largest
    such part wins, if it leads clearly. Judged on the fullest frame.

    Parameters
    ----------
    data
        Label values as stored, shape (t, z, y, x).
    spacing_mm
        (z, y, x) spacing, which weighs edges along x and along y; None counts them alike.

    Returns
    -------
    The scheme, and one sentence on why; an assumption says that it is one.

    Raises
    ------
    LabelError
        When there are values that no scheme has.
    """
    values = [int(v) for v in np.unique(data) if v != 0]
    if values == [MASK_VALUE]:
        scheme = LabelScheme(lv=MASK_VALUE, myo=ABSENT, rv=ABSENT, name="mask")
        return scheme, f"The only value, {MASK_VALUE}, was read as the LV cavity."
    known = next((s for s in SCHEMES if set(values) <= {s.lv, s.myo, s.rv}), None)
    if known is None:
        named = {value for s in SCHEMES for value in (s.lv, s.myo, s.rv)}
        strange = [v for v in values if v not in named] or values
        raise LabelError(
            f"{listed(strange)} with no meaning in any known scheme; say which value is what."
        )
    if not values:
        return CARDIOXAI, "There are no labels."
    if values == [CARDIOXAI.lv]:
        return CARDIOXAI, "The only value, 1, was read as the LV cavity."
    frame = _fullest_frame(data)
    edges = _edge_lengths(frame, values, spacing_mm)
    size = {value: np.count_nonzero(frame == value) for value in values}
    readings = sorted(
        (
            (_part_on(edges, values, lv, myo), lv, myo)
            for lv, myo in permutations(values, 2)
            if size[lv] >= SMALLEST_CAVITY * size[myo]
        ),
        reverse=True,
    )
    part, lv, myo = readings[0] if readings else (0.0, 0, 0)
    next_best = readings[1][0] if len(readings) > 1 else 0.0
    if part < ENCLOSED or part - next_best < MARGIN:
        return known, f"The shapes do not tell which label scheme this is; {known} is assumed."
    scheme = _scheme_of(lv, myo, [v for v in values if v not in (lv, myo)])
    on_muscle = f"{part:.0%} of the edge of value {lv} lies on value {myo}"
    return scheme, f"Labels recognised as {scheme}: {on_muscle}."


def _scheme_of(lv: int, myo: int, rest: list[int]) -> LabelScheme:
    """The named scheme with these values, or a new one."""
    for scheme in SCHEMES:
        if (scheme.lv, scheme.myo) == (lv, myo) and rest in ([], [scheme.rv]):
            return scheme
    return LabelScheme(lv=lv, myo=myo, rv=rest[0] if rest else ABSENT, name="own order")


def _fullest_frame(data: np.ndarray) -> np.ndarray:
    return data[int(np.argmax(np.count_nonzero(data, axis=(1, 2, 3))))]


def _edge_lengths(
    frame: np.ndarray, values: list[int], spacing_mm: tuple[float, float, float] | None
) -> np.ndarray:
    """Length of the in-plane edge between each two of (0, *values), symmetric."""
    index = np.searchsorted([0, *values], frame)
    n = len(values) + 1
    _, dy, dx = spacing_mm or (1.0, 1.0, 1.0)
    edges = np.zeros((n, n))
    for one, other, length in (
        (index[:, :-1], index[:, 1:], dx),
        (index[:, :, :-1], index[:, :, 1:], dy),
    ):
        pairs = np.bincount((one * n + other).ravel(), minlength=n * n).reshape(n, n)
        edges += length * (pairs + pairs.T)
    np.fill_diagonal(edges, 0.0)
    return edges


def _part_on(edges: np.ndarray, values: list[int], inner: int, outer: int) -> float:
    """Part of the edge of `inner` that lies on `outer`."""
    row = edges[1 + values.index(inner)]
    return float(row[1 + values.index(outer)] / row.sum()) if row.sum() else 0.0


def listed(values: list[int]) -> str:
    """Name label values at the start of a sentence."""
    shown = ", ".join(str(v) for v in values[:8]) + (", ..." if len(values) > 8 else "")
    return f"Label values {shown}" if len(values) > 1 else f"Label value {shown}"
