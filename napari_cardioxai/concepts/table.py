"""From a model and a cohort to the table of concepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.concepts.book import VARIANCE, ConceptBook
from napari_cardioxai.concepts.cloud import fit_cloud
from napari_cardioxai.concepts.cohort import ConceptCohort
from napari_cardioxai.concepts.directions import (
    ADJUSTED,
    KINDS,
    Direction,
    cosines,
    find_direction,
)
from napari_cardioxai.concepts.fidelity import (
    ALPHAS,
    BiomarkerScale,
    Fidelity,
    Walked,
    fidelity,
    walk_and_measure,
)
from napari_cardioxai.concepts.fitting import LINEAR, PATTERN
from napari_cardioxai.concepts.layers import (
    CONCEPT_LAYER,
    LATENT,
    check_layer,
    frame_of,
    read_layer,
)
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS, Concept
from napari_cardioxai.concepts.region import REGION, find_region
from napari_cardioxai.concepts.regional import fit_regional
from napari_cardioxai.concepts.significance import (
    BOOTSTRAPS,
    PERMUTATIONS,
    Tcav,
    corrected,
    test_concepts,
)
from napari_cardioxai.concepts.walk import STRAIGHT, check_way
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent

HEARTS = 40
"""Test subjects that are walked to judge fidelity."""


@dataclass(frozen=True)
class ConceptChoice:
    """What is to be found, tested and walked.

    Attributes
    ----------
    concepts
        Which.
    layers, kinds
        Where TCAV is tested and with which directions; everything is corrected
        by Holm together.
    walk_layer, walk_kind, way
        Where the walked directions are found, of which kind, and how they are
        walked (`walk.WAYS`).
    regional
        Walk the variance of wall thickening in each heart's own segments
        instead (`concepts.regional`).
    per_side
        Subjects at each end of a biomarker; None: a fifth, at most 1,000.
    hearts
        Test subjects that are walked; 0: no fidelity.
    alphas
        Where along the walk.
    permutations, bootstraps, seed
        Of the test, and the source of all randomness.
    """

    concepts: tuple[Concept, ...] = CLOUGH_CONCEPTS
    layers: tuple[str, ...] = (CONCEPT_LAYER,)
    kinds: tuple[str, ...] = (LINEAR,)
    walk_layer: str = LATENT
    walk_kind: str = PATTERN
    way: str = STRAIGHT
    regional: bool = True
    per_side: int | None = None
    hearts: int = HEARTS
    alphas: tuple[float, ...] = ALPHAS
    permutations: int = PERMUTATIONS
    bootstraps: int = BOOTSTRAPS
    seed: int = 0


@dataclass(frozen=True)
class ConceptRow:
    """One concept, tested in one way.

    Attributes
    ----------
    tcav
        What testing says.
    holdout, holdout_name, stability
        How well held-out subjects are told apart by the tested direction
        ("accuracy" or "R²"), and how little the direction depends on who was sampled
        (NaN for a region).
    fidelity
        What the walked direction does; None where it was not walked.
    """

    tcav: Tcav
    holdout: Any
    holdout_name: str
    stability: float
    fidelity: Fidelity | None

    def as_json(self) -> dict[str, Any]:
        """As `cardioxai concepts --json` prints it."""
        tcav = self.tcav
        return {
            "concept": tcav.concept,
            "kind": tcav.kind,
            "layer": tcav.layer,
            "tcav": tcav.score.value,
            "tcav_low": tcav.score.low,
            "tcav_high": tcav.score.high,
            "mean_sensitivity": tcav.sensitivity.value,
            "sensitivity_low": tcav.sensitivity.low,
            "sensitivity_high": tcav.sensitivity.high,
            "p_permutation": tcav.p_permutation,
            "p_sampling": tcav.p_sampling,
            "p_holm": tcav.p_holm,
            "p_t_test": tcav.p_t_test,
            "permutations": tcav.permutations,
            "holdout_score": self.holdout.value,
            "holdout_low": self.holdout.low,
            "holdout_high": self.holdout.high,
            "holdout_name": self.holdout_name,
            "stability": self.stability if np.isfinite(self.stability) else None,
            "fidelity": None if self.fidelity is None else self.fidelity.as_json(),
        }


@dataclass(frozen=True)
class ConceptTable:
    """Everything that was found.

    Attributes
    ----------
    rows
        One a concept, kind and layer.
    book
        What walks need later; goes with the model.
    walked
        Measured walks by the name of the concept, for curves.
    cosine
        Between the walked directions, in the order of the book, shape (k, k).
    notes
        Sentences on what was assumed and who was left out.
    """

    rows: tuple[ConceptRow, ...]
    book: ConceptBook
    walked: dict[str, Walked]
    cosine: NDArray[np.float64]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As `cardioxai concepts --json` prints it."""
        return {
            "model": self.book.model,
            "cohort": self.book.cohort,
            "rows": [row.as_json() for row in self.rows],
            "cosine": np.round(self.cosine, 4).tolist(),
            "notes": list(self.notes),
        }


def concept_table(
    classifier: LatentClassifier,
    pool: ConceptCohort,
    test: ConceptCohort,
    choice: ConceptChoice | None = None,
    *,
    on_progress: Progress = silent,
) -> ConceptTable:
    """Find concepts on one part of a cohort, test and walk them on another.

    Parameters
    ----------
    classifier
        The model.
    pool, test
        Subjects to find concepts on, and subjects that the decision is asked about.
    choice
        What to find, test and walk.
    on_progress
        May raise `Cancelled`.

    Raises
    ------
    CohortError, BundleError
        When the cohort is too small, or a layer or kind does not exist.
    """
    choice = choice or ConceptChoice()
    _check(classifier, choice)
    rng = np.random.default_rng(choice.seed)
    sets = [pool.sets(concept, per_side=choice.per_side) for concept in choice.concepts]
    others = [_others(pool, concept, choice.concepts) for concept in choice.concepts]
    tested: list[Tcav] = []
    found: list[tuple[Any, str, float]] = []
    for layer in choice.layers:
        reading = read_layer(classifier, pool.latent, layer, on_progress=on_progress)
        asked = read_layer(classifier, test.latent, layer, on_progress=on_progress)
        tested += test_concepts(
            reading,
            asked,
            sets,
            kinds=choice.kinds,
            rng=rng,
            others=others,
            permutations=choice.permutations,
            bootstraps=choice.bootstraps,
            on_progress=on_progress,
        )
        for one, fixed in zip(sets, others, strict=True):
            for kind in choice.kinds:
                if kind == REGION:
                    found.append((find_region(reading, one, rng=rng).holdout, "accuracy", np.nan))
                    continue
                direction = find_direction(reading, one, kind, rng=rng, others=fixed)
                found.append((direction.holdout, direction.holdout_name, direction.stability))
    book = make_book(classifier, pool, choice)
    faithful, walked = _fidelities(classifier, test, choice, book, rng=rng, on_progress=on_progress)
    rows = tuple(
        ConceptRow(tcav, *judged, faithful.get(tcav.concept))
        for tcav, judged in zip(corrected(tested), found, strict=True)
    )
    told = [row.as_json() | {"walked": _curve(walked.get(row.tcav.concept))} for row in rows]
    book = replace(book, rows=tuple(told))
    return ConceptTable(
        rows,
        book,
        walked,
        cosines(list(book.directions.values())),
        _notes(pool, test, sets, choice),
    )


def _check(classifier: LatentClassifier, choice: ConceptChoice) -> None:
    """Refuse what cannot be done before anything is computed."""
    for layer in (*choice.layers, choice.walk_layer):
        check_layer(classifier, layer)
    for kind in (*choice.kinds, choice.walk_kind):
        if kind not in KINDS and (kind != REGION or kind == choice.walk_kind):
            raise CohortError(
                f"there are no directions of the kind {kind!r}; choose from "
                f"{', '.join((*KINDS, REGION))} to test and from {', '.join(KINDS)} to walk."
            )
    check_way(choice.way, choice.walk_layer)


def make_book(
    classifier: LatentClassifier, pool: ConceptCohort, choice: ConceptChoice
) -> ConceptBook:
    """What walks need, without testing anything.

    Parameters
    ----------
    classifier, pool, choice
        As for `concept_table`.
    """
    rng = np.random.default_rng(choice.seed)
    cloud = fit_cloud(pool.latent, rng=rng)
    has_variance = any(concept.biomarker == VARIANCE for concept in choice.concepts)
    return ConceptBook(
        classifier.card.name,
        pool.manifest.path.name,
        choice.way,
        walked_directions(classifier, pool, choice, rng=rng),
        cloud,
        BiomarkerScale.of(pool.biomarkers),
        regional=fit_regional(pool.latent, pool.thickening, rng=rng)
        if choice.regional and has_variance
        else None,
    )


def walked_directions(
    classifier: LatentClassifier,
    pool: ConceptCohort,
    choice: ConceptChoice,
    *,
    rng: np.random.Generator,
) -> dict[str, Direction]:
    """The directions that are walked, by the name of the concept.

    A concept without a biomarker falls back on its pattern where the kind needs one.
    """
    reading = read_layer(classifier, pool.latent, choice.walk_layer)
    found = {}
    for concept in choice.concepts:
        fixed = _others(pool, concept, choice.concepts)
        kind = choice.walk_kind
        if concept.biomarker is None and kind not in KINDS[:3]:
            kind = PATTERN
        if kind == ADJUSTED and (fixed is None or not fixed.shape[1]):
            kind = PATTERN
        found[concept.name] = find_direction(
            reading,
            pool.sets(concept, per_side=choice.per_side),
            kind,
            rng=rng,
            others=fixed,
        )
    return found


def _fidelities(
    classifier: LatentClassifier,
    test: ConceptCohort,
    choice: ConceptChoice,
    book: ConceptBook,
    *,
    rng: np.random.Generator,
    on_progress: Progress,
) -> tuple[dict[str, Fidelity], dict[str, Walked]]:
    if not choice.hearts or not classifier.network.has_decoder:
        return {}, {}
    chosen = np.sort(rng.permutation(len(test))[: choice.hearts])
    walked = {
        name: walk_and_measure(
            book.walk(classifier, name),
            test.latent[chosen],
            [test.rulers[k] for k in chosen],
            alphas=choice.alphas,
            cloud=book.cloud,
            on_progress=on_progress,
        )
        for name in book.directions
    }
    return {
        name: fidelity(one, book.scale, rng=rng)
        for name, one in walked.items()
        if one.concept.biomarker is not None
    }, walked


def _curve(walked: Walked | None) -> dict[str, list[float | None]] | None:
    """The named biomarker along the walk, mean over the hearts, as JSON."""
    if walked is None or walked.concept.biomarker is None:
        return None
    means = walked.curve(walked.concept.biomarker)
    return {
        "alphas": walked.alphas.tolist(),
        "values": [float(round(v, 4)) if np.isfinite(v) else None for v in means],
    }


def _others(
    pool: ConceptCohort, concept: Concept, concepts: Sequence[Concept]
) -> NDArray[np.float64] | None:
    return None if concept.biomarker is None else pool.others(concept, concepts)


def _notes(
    pool: ConceptCohort, test: ConceptCohort, sets: Sequence[Any], choice: ConceptChoice
) -> tuple[str, ...]:
    sizes = ", ".join(f"{one.concept.name} {one.sizes[0]} + {one.sizes[1]}" for one in sets)
    notes = [f"Found on {len(pool)} subjects ({sizes}), tested on {len(test)}."]
    left = {**pool.left_out, **test.left_out}
    if left:
        name, reason = next(iter(left.items()))
        notes.append(f"{len(left)} subjects were left out, such as {name}: {reason}")
    if choice.hearts:
        where = (
            "directions of the latent itself"
            if choice.walk_layer == LATENT or frame_of(choice.walk_layer) is not None
            else f"directions of {choice.walk_layer}, walked by {choice.way}"
        )
        notes.append(
            f"Fidelity is that of {where} ({choice.walk_kind}) over {min(choice.hearts, len(test))} "
            "hearts; decoded hearts are measured on three slices, each standing for the distance "
            "to its neighbour in the scan."
        )
    return tuple(notes)
