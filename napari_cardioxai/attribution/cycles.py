"""A labelled cycle as a latent classifier reads it: what is explained of its decision."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_cardioxai.attribution.latent import FramesToLogits, memberships
from napari_cardioxai.attribution.subjects import Places, Question, Subject, mask_or_none
from napari_cardioxai.attribution.targets import Target
from napari_cardioxai.bundles.card import LatentCard
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.cohorts.normalisation import (
    CineTransform,
    normalise_pictures,
)
from napari_cardioxai.cohorts.sequences import fitting_cine, why_unfit
from napari_cardioxai.errors import AttributionError, BundleError, CohortError


@dataclass(frozen=True)
class HeartLogit(Target):
    """The logit of a latent heart's decision or of a concept, for or against.

    Attributes
    ----------
    index
        0 the decision, k the k-th concept.
    sign
        -1 explains the other answer.
    name
        Of the answer.
    """

    index: int
    sign: int
    name: str

    @property
    def text(self) -> str:
        """Such as "logit of DCM"."""
        return f"logit of {self.name}"

    def __call__(self, output: Tensor, rows: Tensor) -> Tensor:
        """See `Target`."""
        return self.sign * output[:, self.index]


def heart_targets(card: LatentCard) -> dict[str, tuple[str, ...]]:
    """Names of what can be explained of a latent classifier, by what they are."""
    return {
        "class": tuple(reversed(card.classes)),
        "concept": tuple(concept.name for concept in card.concepts),
    }


def cycle_of(classifier: LatentClassifier, question: Question) -> Subject:
    """A labelled cycle as a latent classifier reads it.

    A model of labels is explained on the memberships of every pixel, a model
    of images on the intensities at the place that the labels name.

    Parameters
    ----------
    classifier
        A loaded bundle.
    question
        With labels of a whole cycle of a short-axis stack, and for a model of
        images with the scan that was labelled; the target is one of
        `heart_targets`, in any case, or None for the class that it decides
        for. Frames and slices are those that the model reads.

    Raises
    ------
    CohortError
        When the labels do not fit the model.
    BundleError
        When the model reads images and there is no scan.
    AttributionError
        When it has no such target.
    """
    labels, truth = question.labels, question.truth
    assert labels is not None, "checked at the door"
    reads_images = classifier.network.reads == "images"
    if reads_images and question.scan is None:
        raise BundleError(f"{classifier.card.name} reads images; give the scan beside its labels.")
    if reads_images:
        assert question.scan is not None
        if fault := why_unfit(labels):
            raise CohortError(f"these labels do not fit {classifier.card.name}: {fault}")
        cine = normalise_pictures(np.asarray(question.scan.data), labels, classifier.spec)
        inputs = torch.from_numpy(cine.data[None, None]).float().to(classifier.device)
    else:
        cine = fitting_cine(labels, classifier.spec, model=classifier.card.name)
        inputs = memberships(torch.from_numpy(cine.data[None])).to(classifier.device)
    model = FramesToLogits(classifier.network)
    with torch.inference_mode():
        logits = model(inputs)[0]
    aim = _heart_target(classifier, question.target, logits)
    # PIC asks for the answer that is given; the other one has no probability to lose.
    for_it = float(logits[aim.index]) * aim.sign > 0
    transform = cine.transform
    assert labels.geometry.spacing_mm is not None, "checked on normalising"
    slices_mm = labels.geometry.spacing_mm[0] * abs(transform.slices[1] - transform.slices[0])
    pixel = classifier.spec.pixel_mm
    inside = None
    if truth is not None:
        whole = np.broadcast_to(truth > 0, labels.data.shape).astype(np.uint8)
        inside = transform.apply(whole) > 0

    def probability(x: Tensor) -> Tensor:
        return torch.sigmoid(aim.sign * model(x)[:, aim.index] / _temperature(classifier, aim))

    def right(x: Tensor) -> Tensor:
        return (aim.sign * model(x)[:, aim.index] > 0).float()

    return Subject(
        model=model,
        inputs=inputs,
        target=aim,
        baseline="zero" if reads_images else "background",
        scored_against="blur" if reads_images else "background",
        spacing_mm=(None, slices_mm, pixel, pixel),
        scored=0,
        truth=mask_or_none(inside),
        truth_text="the given mask" if truth is not None else "",
        probability=probability if for_it else None,
        right=right if for_it else None,
        has_detail=reads_images,
        geometry=labels.geometry,
        frame_times_ms=labels.frame_times_ms,
        cycle_ms=labels.cycle_ms,
        places=Places(labels.data.shape, tuple(range(len(labels.data))), transform.slices),
        to_scan=lambda maps: sequence_on_scan(maps[0], transform),
        labels=labels,
        notes=cine.notes,
    )


def sequence_on_scan(values: NDArray, transform: CineTransform) -> NDArray[np.float32]:
    """A map of a sequence on the pixels and frames of its scan, linear in between.

    Parameters
    ----------
    values
        Shape (T, 3, y, x).
    transform
        Of the sequence.

    Returns
    -------
    Shape (t, 3, y, x): every frame of the scan, the slices that were taken;
    zero beyond the square around the ventricle.
    """
    cycle = len(values)
    before = np.floor(transform.sequence_frames).astype(int)
    part = (transform.sequence_frames - before)[:, None, None, None]
    timed = (1 - part) * values[before % cycle] + part * values[(before + 1) % cycle]
    turn = np.linalg.inv(transform.to_scan[:, :2])
    shift = -turn @ transform.to_scan[:, 2]
    _, _, height, width = transform.scan_shape
    pictures = [
        ndimage.affine_transform(picture, turn, shift, output_shape=(height, width), order=1)
        for frame in timed
        for picture in frame
    ]
    return np.stack(pictures).reshape(*timed.shape[:2], height, width).astype(np.float32)


def _heart_target(classifier: LatentClassifier, target: str | None, logits: Tensor) -> HeartLogit:
    classes, concepts = classifier.card.classes, [c.name for c in classifier.card.concepts]
    if target is None:
        decided = int(float(logits[0]) > 0)
        return HeartLogit(0, 1 if decided else -1, classes[decided])
    wish = target.strip().lower()
    if wish in (classes[0].lower(), classes[1].lower()):
        which = int(wish == classes[1].lower())
        return HeartLogit(0, 1 if which else -1, classes[which])
    for k, name in enumerate(concepts, start=1):
        if wish == name.lower():
            return HeartLogit(k, 1, name)
    raise AttributionError(
        f"{classifier.card.name} has no target {target!r}; it has "
        f"{', '.join(chain(*heart_targets(classifier.card).values()))}."
    )


def _temperature(classifier: LatentClassifier, aim: HeartLogit) -> float:
    return classifier.card.temperature if aim.index == 0 else 1.0
