"""Volume curves without the steps of slices that come and go whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SEEN_AS_STEP = 0.1  # of the stroke volume; frame to frame it changes by a sixth at its fastest
_LEAST_TOLD = 0.25  # of the stroke volume: what the slices that stay must show of the cycle

STEADIED = (
    "Slices come and go whole, so the rates follow those that stay all the cycle, "
    "scaled to the stroke volume."
)
STEPPED = "Slices come and go whole and too few stay: the rates carry their steps."


def without_steps(slices_ml: NDArray) -> tuple[NDArray, str]:
    """A volume curve to take derivatives of.

    Readers, and segmenters that learnt from them, take the cavity of a basal
    slice whole or leave it out. As the valve plane descends, such a slice is
    lost from one frame to the next, tens of millilitres with it, and a
    derivative sees nothing else. Where one step exceeds a tenth of the stroke
    volume, the shape of the cycle is therefore taken from the slices that have
    a cavity in every frame, and its extremes from the whole stack:
    ESV + (EDV - ESV) (P - min P) / (max P - min P), P their volume.

    `cardioxai evaluate phantoms` says how far such rates are from the truth, in
    the row of labels as readers draw them.

    Parameters
    ----------
    slices_ml
        Volume of each slice in each frame, shape (t, z).

    Returns
    -------
    The curve, shape (t,), and `STEADIED`, `STEPPED` or "": what must be said of it.
    """
    whole = slices_ml.sum(1)
    stroke = float(np.ptp(whole))
    before = np.roll(slices_ml, 1, axis=0)
    is_step = (slices_ml > 0) != (before > 0)
    steps = np.where(is_step, np.maximum(slices_ml, before), 0).sum(1)
    if steps.max(initial=0) <= _SEEN_AS_STEP * stroke:
        return whole, ""
    steady = slices_ml[:, (slices_ml > 0).all(0)].sum(1)
    told = float(np.ptp(steady))
    if told < _LEAST_TOLD * stroke:
        return whole, STEPPED
    return whole.min() + stroke * (steady - steady.min()) / told, STEADIED
