"""What an image classifier says about a picture, a volume or many, and how far it may be trusted.

The command line and the window both call what is written here, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_cardioxai.cohorts.manifest import CLASS, SCAN, SUBJECT, SUFFIXES, Manifest
from napari_cardioxai.cohorts.pictures import is_image
from napari_cardioxai.errors import CardioxaiError, CohortError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.listing import in_natural_order
from napari_cardioxai.scans.nifti import is_nifti
from napari_cardioxai.scans.scan import Scan

if TYPE_CHECKING:  # torch comes with it
    from napari_cardioxai.bundles.image_classifier import ImageClassifier

STRANGE_PERCENTILE = 99.0
"""From which on an image counts as a stranger: so many known images lie nearer."""


@dataclass(frozen=True)
class ImageUnlikeness:
    """How unlike the images that the model knows this one is.

    Attributes
    ----------
    percentile
        Percentage of the known images that lie nearer to their middle.
    times_typical
        Distance over that of the median known image.
    """

    percentile: float
    times_typical: float

    @property
    def is_strange(self) -> bool:
        """Whether the decision must not be trusted."""
        return self.percentile >= STRANGE_PERCENTILE

    def as_json(self) -> dict[str, Any]:
        """Plain types, rounded to what they deserve."""
        return {
            "percentile": round(self.percentile, 2),
            "times_typical": round(self.times_typical, 3),
            "is_strange": self.is_strange,
        }


@dataclass(frozen=True)
class ImageDecision:
    """One picture or volume as an image classifier sees it.

    Attributes
    ----------
    model
        Name of the bundle.
    probabilities
        Calibrated, by class in the order of the logits.
    logits
        Before the calibration.
    temperature
        That the logits are divided by.
    calibration_error
        Mean distance of the decision's probability from how often it is right,
        on images that the model did not learn from; None when unknown.
    out_of_distribution
        None where the bundle does not know where its training images lie.
    warnings
        Sentences that must be read before the decision.
    """

    model: str
    probabilities: Mapping[str, float]
    logits: tuple[float, ...]
    temperature: float
    calibration_error: float | None
    out_of_distribution: ImageUnlikeness | None
    warnings: tuple[str, ...]

    @property
    def decision(self) -> str:
        """Name of the likeliest class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def probability(self) -> float:
        """Of the decision."""
        return self.probabilities[self.decision]

    def as_json(self) -> dict[str, Any]:
        """Plain types; keys as on the command line."""
        strange = self.out_of_distribution
        return {
            "model": self.model,
            "classes": list(self.probabilities),
            "probabilities": dict(self.probabilities),
            "decision": self.decision,
            "probability": self.probability,
            "logits": list(self.logits),
            "calibration": {
                "temperature": self.temperature,
                "expected_calibration_error": self.calibration_error,
            },
            "out_of_distribution": None if strange is None else strange.as_json(),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class ImageCohortDecision:
    """An image of many: a decision, or the reason why there is none; its class where it is known."""

    subject: str
    decision: ImageDecision | None
    refused: str | None = None
    truth: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The keys of `ImageDecision.as_json`, `subject` and `class`; `refused` without any."""
        said = {"refused": self.refused} if self.decision is None else self.decision.as_json()
        return {"subject": self.subject, "class": self.truth, **said}


def classify_scan(scan: Scan, classifier: ImageClassifier) -> ImageDecision:
    """What a model says about a picture or volume in memory.

    Raises
    ------
    CohortError
        When it is of another kind than the model's, with the reason.
    """
    said = classifier.classify(scan)
    card = classifier.card
    strange = _unlikeness(classifier, said.embedding)
    warnings = [*_doubts(strange), *_about_frames(scan)]
    if "temperature" not in card.results:
        warnings.append("This model was not calibrated; read its probabilities as an order only.")
    return ImageDecision(
        model=card.name,
        probabilities=dict(zip(card.classes, map(float, said.probability[0]), strict=True)),
        logits=tuple(map(float, said.logits[0])),
        temperature=card.temperature,
        calibration_error=_calibration_error(card.results),
        out_of_distribution=strange,
        warnings=tuple(warnings),
    )


def classify_image(
    path: Path, classifier: ImageClassifier, *, on_progress: Progress = silent
) -> ImageDecision:
    """What a model says about a file or series, whatever `scans.catalogue.load_scan` takes.

    Raises
    ------
    CardioxaiError
        When it cannot be read, or does not fit the model.
    """
    scan = load_scan(path, on_progress=on_progress)
    on_progress(0, 0, "classifying")
    return classify_scan(scan, classifier)


def classify_images(
    manifest: Manifest, classifier: ImageClassifier, *, on_progress: Progress = silent
) -> list[ImageCohortDecision]:
    """One entry for every image of a manifest, in its order."""
    found, total = [], len(manifest.subjects)
    classes = manifest.table[CLASS] if CLASS in manifest.table else pd.Series(dtype=object)
    for done, subject in enumerate(manifest.subjects):
        on_progress(done, total, f"classifying {subject}")
        path, truth = manifest.scan_path(subject), classes.get(subject)
        truth = None if truth is None or pd.isna(truth) else str(truth)
        try:
            if path is None:
                raise CohortError("the manifest names no scan.")
            said = classify_image(path, classifier)
            found.append(ImageCohortDecision(subject, said, truth=truth))
        except CardioxaiError as error:
            found.append(ImageCohortDecision(subject, None, str(error), truth))
    on_progress(total, total, "classifying")
    return found


def many_images(path: Path, *, volumes: bool) -> Manifest | None:
    """The images that a path stands for; None where it is one image.

    A table is a cohort. A folder holds one image a file, except for a model of
    volumes a folder of DICOM files alone, which is one series.

    Raises
    ------
    CohortError
        When the table cannot be read, or the folder holds no image.
    """
    from napari_cardioxai.cohorts.manifest import read_manifest

    if path.suffix.lower() in SUFFIXES and path.is_file():
        return read_manifest(path)
    if not path.is_dir():
        return None
    files = [file for file in path.rglob("*") if is_image(file)]
    if not files:
        raise CohortError(f"{path} holds no picture or volume that can be read.")
    if volumes:
        files = [file for file in files if is_nifti(file)]
        if not files:
            return None
    files = in_natural_order(files)
    names = [file.relative_to(path).as_posix() for file in files]
    index = pd.Index(names, name=SUBJECT, dtype=object)
    table = pd.DataFrame({SCAN: [str(file.resolve()) for file in files]}, index=index, dtype=object)
    return Manifest(path / "manifest.csv", table)


def _unlikeness(classifier: ImageClassifier, embedding: np.ndarray) -> ImageUnlikeness | None:
    if classifier.cloud is None:
        return None
    placed = classifier.cloud.strangeness(embedding)
    return ImageUnlikeness(float(placed.percentile[0]), float(placed.times_typical[0]))


def _doubts(strange: ImageUnlikeness | None) -> list[str]:
    if strange is None:
        return ["This model does not know where its training images lie; strangers go unnoticed."]
    if not strange.is_strange:
        return []
    return [
        (
            f"This image is unlike those that the model knows: it lies {strange.times_typical:.1f} "
            f"times as far out as a typical one, farther than {strange.percentile:.0f} % of them. "
            "The decision is not to be trusted."
        )
    ]


def _about_frames(scan: Scan) -> list[str]:
    frames = scan.data.shape[0]
    return [] if frames == 1 else [f"Only the first of {frames} frames was looked at."]


def _calibration_error(results: Mapping[str, Any]) -> float | None:
    """Of the test images, or else of the validation images."""
    for part in ("test", "val"):
        found = results.get(part, {}).get("calibration", {}).get("ece_of_decision")
        if found is not None:
            return float(found)
    return None
