"""What a cohort of phantoms is like."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from napari_cardioxai.phantom.answers import LABELLINGS
from napari_cardioxai.phantom.classes import Variation
from napari_cardioxai.phantom.ranges import HeartClass
from napari_cardioxai.phantom.volume_curve import PhantomError

# Seven classes that differ in what every reader knows; the others belong to a question.
CLASSES_OF_MIXED = ("NOR", "DCM", "HCM", "MINF", "RV", "LBBB", "DIAST")
# Lowest and highest value of what is one number; what lies outside is a slip of the pen.
LIMITS = {
    "frames": (2, 1000),
    "pixel_mm": (0.2, 10.0),
    "slice_distance_mm": (0.5, 50.0),
    "fused_share": (0.0, 1.0),
    "covered": (0.3, 1.0),
    "breath_hold_mm": (0.0, 50.0),
    "mistriggered_share": (0.0, 1.0),
    "missing_share": (0.0, 1.0),
}
LIMITS_OF_LISTS = {"matrix": (16, 1024), "heart_rate_bpm": (30.0, 200.0), "levels": (0.01, 1.0)}


@dataclass(frozen=True)
class CohortSpec:
    """What a cohort is like; every field can be set in a TOML or JSON file.

    Attributes
    ----------
    classes
        Names of the classes in turn: subject i gets `classes[i % len(classes)]`.
        Repeat a name for more of it.
    frames
        Frames over the acquired part of the cycle.
    pixel_mm, matrix
        In-plane pixel size in mm and number of pixels (y, x).
    slice_distance_mm
        Distance between the slices of a full stack from apex to base.
    levels
        Instead of a full stack: slices at these fractions of the long axis.
    paired
        Draw one heart for each round of `classes` and give it to all of them: with NOR
        and DIAST, twins that differ in their filling only.
    heart_rate_bpm
        Lowest and highest heart rate, instead of the class's own.
    fused_share
        Part of the hearts with fused early and atrial filling.
    covered
        Part of the cycle that is acquired.
    conserve_myocardium
        Keep the volume of the wall over the cycle; otherwise it grows towards
        end-systole as in readers' contours.
    snr
        Signal of blood over noise in images, instead of one drawn per subject; 0 is none.
    breath_hold_mm
        Standard deviation of each slice's in-plane shift.
    mistriggered_share, missing_share
        Part of the subjects with one slice shifted by 1 to 4 frames, or lost.
    labelling
        Name of what the manifest asks (`answers.LABELLINGS`): columns `split`,
        `label` and one a concept; "" for none.
    """

    classes: tuple[str, ...] = CLASSES_OF_MIXED
    frames: int = 30
    pixel_mm: float = 1.25
    matrix: tuple[int, int] = (128, 128)
    slice_distance_mm: float = 8.0
    levels: tuple[float, ...] | None = None
    paired: bool = False
    heart_rate_bpm: tuple[float, float] | None = None
    fused_share: float = 0.0
    covered: float = 1.0
    conserve_myocardium: bool = True
    snr: float | None = None
    breath_hold_mm: float = 0.0
    mistriggered_share: float = 0.0
    missing_share: float = 0.0
    labelling: str = ""

    def __post_init__(self) -> None:
        known = [str(kind) for kind in HeartClass]
        if unknown := [name for name in self.classes if name not in known]:
            raise PhantomError(
                f"the class {unknown[0]!r} is unknown; choose from {', '.join(known)}."
            )
        if not self.classes:
            raise PhantomError("a cohort needs a class.")
        values = [(name, limits, getattr(self, name)) for name, limits in LIMITS.items()]
        for name, limits in LIMITS_OF_LISTS.items():
            values += [(name, limits, value) for value in getattr(self, name) or ()]
        for name, (lowest, highest), value in values:
            if not lowest <= value <= highest:  # not a number lies nowhere
                raise PhantomError(
                    f"{name} must lie between {lowest:g} and {highest:g}, not at {value:g}."
                )
        if self.heart_rate_bpm is not None and self.heart_rate_bpm[0] > self.heart_rate_bpm[1]:
            raise PhantomError("heart_rate_bpm is the lowest, then the highest rate.")
        if self.snr is not None and not 0 <= self.snr < float("inf"):
            raise PhantomError(f"snr must be 0 (no noise) or positive, not {self.snr:g}.")
        self._check_labelling()

    def _check_labelling(self) -> None:
        if not self.labelling:
            return
        if self.labelling not in LABELLINGS:
            raise PhantomError(
                f"the labelling {self.labelling!r} is unknown; choose from {', '.join(LABELLINGS)}."
            )
        asked = LABELLINGS[self.labelling].classes
        if others := [name for name in self.classes if name not in asked]:
            raise PhantomError(
                f"the labelling {self.labelling!r} is for {' and '.join(asked)}, not {others[0]}."
            )

    @property
    def variation(self) -> Variation:
        """The part that concerns the hearts."""
        return Variation(
            self.heart_rate_bpm, self.fused_share, self.covered, self.conserve_myocardium
        )


BUILT_IN: dict[str, CohortSpec] = {
    # Full stacks of every class, labels without noise: the ground for measurements.
    "mixed": CohortSpec(),
    # Three slices a subject, as latent models of motion take them.
    "three-slices": CohortSpec(frames=25, levels=(0.35, 0.55, 0.75), pixel_mm=1.8, matrix=(80, 80)),
    # Twins of equal EF that only filling rates separate.
    "diastolic": CohortSpec(
        classes=("NOR", "DIAST"),
        paired=True,
        heart_rate_bpm=(50.0, 62.0),
        frames=25,
        levels=(0.35, 0.55, 0.75),
        pixel_mm=1.8,
        matrix=(80, 80),
    ),
    # Weak hearts with and without septal flash.
    "dyssynchrony": CohortSpec(
        classes=("DCM", "LBBB"),
        frames=25,
        levels=(0.35, 0.55, 0.75),
        pixel_mm=1.8,
        matrix=(80, 80),
    ),
    # Cohort A, as Clough 2019: coronary disease in one of ten, see `answers.coronary_disease`.
    # The picture holds the whole heart; latent models cut their 80 x 80 out of it.
    "clough": CohortSpec(
        classes=("CTRL",) * 9 + ("CAD",),
        frames=25,
        levels=(0.35, 0.55, 0.75),
        matrix=(112, 112),
        labelling="coronary",
    ),
    # Cohort B, as Puyol-Anton 2020: see `answers.resynchronisation_response`.
    "crt": CohortSpec(
        classes=("CRT",),
        frames=25,
        levels=(0.35, 0.55, 0.75),
        matrix=(112, 112),
        labelling="response",
    ),
}


def read_spec(spec: CohortSpec | Path | str) -> CohortSpec:
    """A specification from its built-in name or from a TOML or JSON file.

    Raises
    ------
    PhantomError
        When it is neither, or a field is unknown or of the wrong kind.
    """
    if isinstance(spec, CohortSpec):
        return spec
    if str(spec) in BUILT_IN:
        return BUILT_IN[str(spec)]
    path = Path(spec)
    if not path.is_file():
        raise PhantomError(
            f"{spec} is neither a file nor one of the built-in cohorts {', '.join(BUILT_IN)}."
        )
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise PhantomError(f"{path} cannot be read as a specification: {error}.") from error
    if not isinstance(values, dict):
        raise PhantomError(f"{path} must hold named values such as frames = 30.")
    return _spec_from(values, path)


def _spec_from(values: Mapping[str, Any], path: Path) -> CohortSpec:
    """Build the specification on the one that `base` names, `mixed` by default."""
    values = dict(values)
    base = values.pop("base", "mixed")
    if base not in BUILT_IN:
        raise PhantomError(f"{path}: base {base!r} is none of {', '.join(BUILT_IN)}.")
    known = {f.name: getattr(CohortSpec(), f.name) for f in fields(CohortSpec)}
    for key, value in values.items():
        if key not in known:
            raise PhantomError(f"{path}: {key!r} is unknown; choose from {', '.join(known)}.")
        if not _fits(key, value, known[key]):
            raise PhantomError(f"{path}: {key} cannot be {value!r}.")
    listed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return replace(BUILT_IN[base], **listed)
    except PhantomError as error:
        raise PhantomError(f"{path}: {error}") from error


_PAIRS = ("matrix", "heart_rate_bpm")
_LISTS = ("classes", "levels", *_PAIRS)


def _fits(key: str, value: Any, example: Any) -> bool:
    if key in _LISTS:
        kind: tuple[type, ...] = {"classes": (str,), "matrix": (int,)}.get(key, (int, float))
        right_length = len(value) == 2 if key in _PAIRS and isinstance(value, list) else True
        right_kinds = isinstance(value, list) and all(
            isinstance(v, kind) and not isinstance(v, bool) for v in value
        )
        return right_length and right_kinds
    if isinstance(example, str):
        return isinstance(value, str)
    if isinstance(example, bool):
        return isinstance(value, bool)
    numbers = (int,) if isinstance(example, int) else (int, float)
    return isinstance(value, numbers) and not isinstance(value, bool)
