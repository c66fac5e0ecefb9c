"""One heart along a concept, back on the grid of its scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.cohorts.sequences import fitting_cine
from napari_cardioxai.concepts.biomarkers import Ruler, measure_cycle
from napari_cardioxai.concepts.heart import check_draws_labels
from napari_cardioxai.concepts.walk import Walk, combined
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent

_MOST_ALPHAS = 101


@dataclass(frozen=True)
class Step:
    """A heart at one alpha.

    Attributes
    ----------
    alpha
        Standard deviations of the cohort towards the concept.
    labels
        On the scan's own grid, shape (t, z, y, x), uint8: the three slices that
        the model sees, the others are background.
    cycle
        As decoded, shape (T, 3, y, x).
    biomarkers
        Measured on `cycle`, by key; NaN where not measurable.
    logit
        Of the primary class.
    """

    alpha: float
    labels: NDArray[np.uint8]
    cycle: NDArray[np.uint8]
    biomarkers: dict[str, float]
    logit: float

    def as_json(self) -> dict[str, Any]:
        """Without the arrays; NaN as None."""
        known = {k: v if np.isfinite(v) else None for k, v in self.biomarkers.items()}
        return {"alpha": self.alpha, "biomarkers": known, "logit": self.logit}


def traverse(
    walks: Walk | Sequence[Walk],
    labels: Labels,
    alphas: ArrayLike,
    *,
    on_progress: Progress = silent,
) -> list[Step]:
    """Walk one heart along a concept, or along several at once.

    Parameters
    ----------
    walks
        Along what; of several, every alpha is gone along each of them.
    labels
        Of the scan, a whole cycle.
    alphas
        Where, shape (a,).
    on_progress
        Called per alpha; may raise `Cancelled`.

    Raises
    ------
    BundleError
        When the model does not draw labels.
    CohortError
        When the labels do not fit the model.
    """
    along = [walks] if isinstance(walks, Walk) else list(walks)
    classifier = along[0].classifier
    check_draws_labels(classifier)
    cine = fitting_cine(labels, classifier.spec, model=classifier.card.name)
    ruler = Ruler.of(labels, cine.transform)
    start = classifier.encode(cine.data[None])
    wanted = np.asarray(alphas, float)
    steps = []
    for done, alpha in enumerate(wanted, start=1):
        latent = combined(along, start, [float(alpha)] * len(along))
        cycle = classifier.decode(latent)[0]
        steps.append(
            Step(
                float(alpha),
                cine.transform.restore(cycle),
                cycle,
                measure_cycle(cycle, ruler),
                float(classifier.decide(latent).logit[0]),
            )
        )
        on_progress(done, len(wanted), "decoding")
    return steps


def alphas_from(text: str) -> tuple[float, ...]:
    """Alphas from "-3:3:7" (first, last, how many) or "-2,0,2".

    Raises
    ------
    CohortError
        When it is neither.
    """
    try:
        if ":" in text:
            first, last, count = text.split(":")
            if not 1 <= int(count) <= _MOST_ALPHAS:
                raise ValueError
            found = tuple(np.linspace(float(first), float(last), int(count)).tolist())
        else:
            found = tuple(float(part) for part in text.split(","))
        if not np.isfinite(found).all() or len(found) > _MOST_ALPHAS:
            raise ValueError
        if len(set(found)) < len(found):
            raise ValueError
    except ValueError:
        raise CohortError(
            f"{text!r} are no alphas; give first:last:number as in -3:3:7, or values as in -2,0,2, "
            f"each once and at most {_MOST_ALPHAS}."
        ) from None
    return found


def label_names(concept: str, alphas: Sequence[float]) -> list[str]:
    """A file name for the labels at each alpha, with as many decimals as tell them apart."""
    stem = "-".join(concept.split()).replace("/", "-")
    decimals = 2
    while len(set(names := [f"{stem}_{a:+.{decimals}f}.nii.gz" for a in alphas])) < len(alphas):
        decimals += 1
    return names
