"""All scores of a map at once, and those of the controls beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.attribution.scores.controls import control_maps
from napari_cardioxai.attribution.scores.evidence import Forward, Kind, evidence_of
from napari_cardioxai.attribution.scores.infidelity import infidelity
from napari_cardioxai.attribution.scores.information import information_curve
from napari_cardioxai.attribution.scores.localisation import (
    TOLERANCE_MM,
    auprc,
    energy_inside,
    iou_at,
    pointing_game,
)
from napari_cardioxai.attribution.scores.removal import (
    RemovalCurve,
    faithfulness,
    removal_curve,
)
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent


@dataclass(frozen=True)
class Score:
    """A column of the table.

    Attributes
    ----------
    title
        For people.
    better
        Which values are good.
    meaning
        What it says.
    source
        Who defined it.
    """

    title: str
    better: Literal["higher", "lower"]
    meaning: str
    source: str


SCORES: Mapping[str, Score] = {
    "completeness_percent": Score(
        "Completeness error",
        "lower",
        "what the map's sum misses of the number",
        "Sundararajan 2017",
    ),
    "pointing": Score("Pointing game", "higher", "the peak lies in the structure", "Zhang 2018"),
    "energy": Score("Energy inside", "higher", "part of the map in the structure", "Arras 2022"),
    "iou": Score("IoU at K", "higher", "overlap of the top K with the structure", "K = its size"),
    "auprc": Score("AUPRC", "higher", "how well the map finds the structure", "Davis 2006"),
    "insertion": Score(
        "Insertion", "higher", "the answer comes back early as voxels come", "Petsiuk 2018"
    ),
    "deletion": Score("Deletion", "lower", "the answer goes early as voxels go", "Petsiuk 2018"),
    "faithfulness": Score("Faithfulness", "higher", "insertion less deletion", "Petsiuk 2018"),
    "overshoot": Score(
        "Overshoot",
        "lower",
        "how far answers to half-changed images leave the range between both ends",
        "parts of that range",
    ),
    "infidelity": Score(
        "Infidelity", "lower", "part of the answer's changes that is not foretold", "Yeh 2019"
    ),
    "max_sensitivity": Score(
        "Max-sensitivity", "lower", "how far the map moves with a little noise", "Yeh 2019"
    ),
    "sic": Score(
        "SIC", "higher", "the probability comes back with little information", "Kapishnikov 2019"
    ),
    "aic": Score(
        "AIC", "higher", "the right answer comes back with little information", "Kapishnikov 2019"
    ),
    "randomised": Score(
        "Likeness to the map of a random network", "lower", "depends on the weights", "Adebayo 2018"
    ),
}
"""Every score by its name, in the order in which they are listed."""


@dataclass(frozen=True, eq=False)
class Case:
    """One explained image, and what its maps are judged by.

    Attributes
    ----------
    image
        Shape (c, *spatial).
    forward
        The explained number, (b, c, *spatial) to (b,).
    baseline, baseline_text
        What voxels are exchanged with, shape (c, *spatial), and in words.
    blurred
        The image without detail, for the information curves; None where
        blurring has no meaning.
    spacing_mm
        One entry a spatial axis, None for one that is no length.
    truth, truth_text
        Where the evidence lies, shape (*spatial), and who says so; None where
        nobody knows.
    probability, right
        Probability of the explained answer, and 1 where it is given, (b, c,
        *spatial) to (b,); None where there is none.
    rows
        Images per pass.
    tolerance_mm
        Of the pointing game.
    """

    image: Tensor
    forward: Forward
    baseline: Tensor
    baseline_text: str
    spacing_mm: tuple[float | None, ...]
    blurred: Tensor | None = None
    truth: NDArray | None = None
    truth_text: str = ""
    probability: Forward | None = None
    right: Forward | None = None
    rows: int = 8
    tolerance_mm: float = TOLERANCE_MM


@dataclass(frozen=True, eq=False)
class MapScores:
    """What was measured of one map.

    Attributes
    ----------
    values
        By the names of `SCORES`; what could not be measured is absent.
    insertion, deletion
        The curves.
    notes
        Why something is absent.
    """

    values: Mapping[str, float]
    insertion: RemovalCurve
    deletion: RemovalCurve
    notes: tuple[str, ...] = field(default=())


def score_map(
    case: Case,
    heat: NDArray | Tensor,
    *,
    kind: Kind,
    seed: int = 0,
    steps: int = 32,
    samples: int = 48,
    on_progress: Progress = silent,
) -> MapScores:
    """Localisation, insertion, deletion, infidelity and information curves of a map.

    What needs the method and not only its map comes from elsewhere: completeness
    from the method itself, `sensitivity` and `randomisation`.

    Parameters
    ----------
    case
        What was explained.
    heat
        Shape (c or 1, *spatial).
    kind
        What its values are.
    seed
        Of ties and of infidelity's boxes: the same boxes for every map.
    steps
        Of insertion and deletion.
    samples
        Of infidelity.
    on_progress
        Called per pass; may raise `Cancelled`.
    """
    evidence = evidence_of(heat, kind)
    rng = np.random.default_rng(seed)
    values: dict[str, float] = {}
    notes = []
    if case.truth is not None:
        values["pointing"] = pointing_game(
            evidence, case.truth, tolerance_mm=case.tolerance_mm, spacing_mm=case.spacing_mm
        )
        values["energy"] = energy_inside(evidence, case.truth)
        values["iou"] = iou_at(evidence, case.truth, rng=rng)
        values["auprc"] = auprc(evidence, case.truth)
    insertion, deletion = (
        removal_curve(
            kind_of_curve,
            case.forward,
            case.image,
            evidence,
            baseline=case.baseline,
            baseline_text=case.baseline_text,
            rng=rng,
            steps=steps,
            rows=case.rows,
            on_progress=on_progress,
        )
        for kind_of_curve in ("insertion", "deletion")
    )
    values["insertion"], values["deletion"] = insertion.relative_area, deletion.relative_area
    values["faithfulness"] = faithfulness(insertion, deletion)
    values["overshoot"] = max(insertion.overshoot, deletion.overshoot)
    values["infidelity"] = infidelity(
        case.forward,
        case.image,
        heat,
        kind=kind,
        baseline=case.baseline,
        generator=torch.Generator().manual_seed(seed),
        samples=samples,
        rows=case.rows,
        on_progress=on_progress,
    ).unexplained
    for name, performance in (("sic", case.probability), ("aic", case.right)):
        if performance is None or case.blurred is None:
            continue
        try:
            values[name] = information_curve(
                performance,
                case.image,
                evidence,
                blurred=case.blurred,
                rng=rng,
                rows=case.rows,
                on_progress=on_progress,
            ).area
        except AttributionError as error:
            notes.append(f"No {name.upper()}: {error}")
    known = {name: value for name, value in values.items() if np.isfinite(value)}
    return MapScores(known, insertion, deletion, tuple(notes))


def score_controls(
    case: Case,
    *,
    seed: int = 0,
    steps: int = 32,
    samples: int = 48,
    on_progress: Progress = silent,
) -> dict[str, MapScores]:
    """The same for the three maps that know nothing of the network; arguments as for `score_map`."""
    maps = control_maps(
        case.image.detach().cpu().numpy(),
        spacing_mm=case.spacing_mm,
        rng=np.random.default_rng([seed, 1]),
    )
    return {
        name: score_map(
            case,
            heat[None],
            kind="shares",
            seed=seed,
            steps=steps,
            samples=samples,
            on_progress=on_progress,
        )
        for name, heat in maps.items()
    }
