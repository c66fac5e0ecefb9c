"""A picture or volume as an image classifier reads it: what is explained of a class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_cardioxai.attribution.subjects import Places, Question, Subject, mask_or_none
from napari_cardioxai.attribution.targets import ClassLogit
from napari_cardioxai.bundles.card import ImageClassifierCard
from napari_cardioxai.bundles.image_classifier import ImageClassifier
from napari_cardioxai.cohorts.image_input import InputTransform
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.scans.scan import Scan


def class_targets(card: ImageClassifierCard) -> dict[str, tuple[str, ...]]:
    """Names of what can be explained of an image classifier, by what they are."""
    return {"class": card.classes}


def image_of(classifier: ImageClassifier, question: Question) -> Subject:
    """A picture or volume as an image classifier reads it.

    Parameters
    ----------
    classifier
        A loaded bundle.
    question
        With a scan of the kind that the model reads: its first frame counts,
        and of pictures its first slice. The target is one of the classes, in
        any case, or None for the one that the model decides for.

    Raises
    ------
    CohortError
        When the scan is of another kind than the model's.
    AttributionError
        When it has no such class.
    """
    scan, labels, truth = question.scan, question.labels, question.truth
    assert scan is not None, "checked at the door"
    made = classifier.prepare(scan)
    inputs, model = classifier.tensor(made.data), classifier.network
    said = classifier.decide(made.data[None])
    decided = int(said.decision[0])
    index = decided if question.target is None else _class(classifier.card, question.target)
    # PIC asks for the answer that is given; another one has no probability to lose.
    for_it = index == decided
    places = Places(scan.data.shape, (0,), tuple(range(scan.data.shape[1])))
    inside = None if truth is None else _on_input(truth[0] > 0, made.transform, classifier)
    share = said.probability[0, decided]
    notes = [f"The model says {classifier.card.classes[decided]}, with {100 * share:.0f} %."]
    if scan.geometry.spacing_mm is None:
        notes.append("The pixel size is unknown: lengths are in pixels of the model's input.")
    if len(scan.data) > 1:
        notes.append("The model reads one image: only the first frame is explained.")

    def probability(x: Tensor) -> Tensor:
        return (model(x) / classifier.card.temperature).softmax(1)[:, index]

    def right(x: Tensor) -> Tensor:
        return (model(x).argmax(1) == index).float()

    def to_scan(maps: NDArray) -> NDArray:
        return made.transform.restore(maps[0]).reshape(1, *scan.data.shape[1:])

    return Subject(
        model=model,
        inputs=inputs,
        target=ClassLogit(index, classifier.card.classes[index]),
        baseline="zero",
        scored_against="blur",
        spacing_mm=_steps_mm(made.transform, scan),
        scored=0,
        truth=mask_or_none(inside),
        truth_text="the given mask" if truth is not None else "",
        probability=probability if for_it else None,
        right=right if for_it else None,
        has_detail=True,
        geometry=scan.geometry,
        frame_times_ms=scan.frame_times_ms,
        cycle_ms=scan.cycle_ms,
        places=places,
        to_scan=to_scan,
        labels=labels,
        notes=tuple(notes),
    )


def _class(card: ImageClassifierCard, target: str) -> int:
    names = [name.lower() for name in card.classes]
    if (wish := target.strip().lower()) in names:
        return names.index(wish)
    raise AttributionError(
        f"{card.name} has no target {target!r}; it has {', '.join(card.classes)}."
    )


def _steps_mm(transform: InputTransform, scan: Scan) -> tuple[float, ...]:
    """Spacing along the axes of the input; 1 where the scan's is unknown."""
    axes = len(transform.shape)
    if scan.geometry.spacing_mm is None:
        return (1.0,) * axes
    pixel = np.array(scan.geometry.spacing_mm[-axes:])
    return tuple(float(step) for step in np.linalg.norm(transform.matrix * pixel[:, None], axis=0))


def _on_input(
    mask: NDArray, transform: InputTransform, classifier: ImageClassifier
) -> NDArray[np.bool_]:
    """A mask (z, y, x) of the scan on the grid of the input."""
    values = mask.astype(np.float32).reshape(transform.shape)
    brought = ndimage.affine_transform(
        values, transform.matrix, transform.offset, classifier.spec.size, order=1
    )
    return brought >= 0.5
