"""Label volumes and the names of their values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_cardioxai.errors import LabelError
from napari_cardioxai.scans.geometry import Geometry


@dataclass(frozen=True)
class LabelScheme:
    """Which value stands for which structure.

    Attributes
    ----------
    lv, myo, rv
        Value of the left-ventricular cavity, the myocardium and the
        right-ventricular cavity.
    name
        How the scheme is called.
    """

    lv: int
    myo: int
    rv: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.lv} LV, {self.myo} MYO, {self.rv} RV)"


CARDIOXAI = LabelScheme(lv=1, myo=2, rv=3, name="M&Ms, UK Biobank, cardioxai")
ACDC = LabelScheme(lv=3, myo=2, rv=1, name="ACDC")
UKBB4 = LabelScheme(lv=1, myo=2, rv=4, name="UK Biobank, RV 4")
SCHEMES = (CARDIOXAI, ACDC, UKBB4)

STRUCTURE_NAMES = {1: "LV cavity", 2: "Myocardium", 3: "RV cavity"}


@dataclass(frozen=True)
class Labels:
    """Structures over time, always in the scheme 1 LV, 2 myocardium, 3 RV.

    Attributes
    ----------
    data
        Values 0 to 3, shape (t, z, y, x), uint8.
    geometry
        Grid of the labels; that of the scan that they belong to.
    frame_times_ms
        As in `Scan`, shape (t,), or None.
    cycle_ms
        As in `Scan`.
    notes
        Sentences about how they were read (recognised scheme, assumptions).
    """

    data: np.ndarray
    geometry: Geometry
    frame_times_ms: np.ndarray | None = None
    cycle_ms: float | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.data.ndim != 4:
            raise LabelError(
                f"labels need the axes (t, z, y, x), but have shape {self.data.shape}."
            )
