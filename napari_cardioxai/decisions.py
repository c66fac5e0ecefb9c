"""What a latent classifier says about a study or a cohort, and how far it may be trusted.

The command line and the window both call what is written here, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_cardioxai import studies
from napari_cardioxai.anatomy.label_files import SCHEME_MARK, read_labels
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import Measurements, measure
from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.cohorts.manifest import SUFFIXES, Manifest
from napari_cardioxai.cohorts.normalisation import NormalisedCine, normalise_pictures
from napari_cardioxai.cohorts.sequences import fitting_cine, why_unfit
from napari_cardioxai.errors import BundleError, CardioxaiError, CohortError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.nifti import description_of, is_nifti, read_nifti

if TYPE_CHECKING:  # torch comes with it
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.scans.scan import Scan

STRANGE_PERCENTILE = 99.0  # of the training subjects lie nearer
POOR_PERCENTILE = 1.0  # of the validation subjects are reconstructed worse
_KINDS_OF_LABELS = "iu"
_MOST_LABELS = 12  # different values in a file that holds labels and no picture


@dataclass(frozen=True)
class Unlikeness:
    """How unlike the training cohort a heart is.

    Attributes
    ----------
    percentile
        Percentage of the training subjects that lie nearer to their mean; 100
        is beyond all of them.
    times_typical
        Distance over that of the median training subject.
    reconstruction_dice
        Of the labels with what the decoder makes of their latents, mean over
        the structures; None without a decoder, and of images.
    reconstruction_percentile
        Percentage of the validation subjects that are reconstructed worse;
        None where the bundle has none.
    is_strange
        Whether either passes its limit (`STRANGE_PERCENTILE`, `POOR_PERCENTILE`).
    """

    percentile: float
    times_typical: float
    reconstruction_dice: float | None
    reconstruction_percentile: float | None
    is_strange: bool

    def as_json(self) -> dict[str, Any]:
        """Plain types, rounded to what they deserve."""
        dice, worse = self.reconstruction_dice, self.reconstruction_percentile
        return {
            "percentile": round(self.percentile, 2),
            "times_typical": round(self.times_typical, 3),
            "reconstruction_dice": None if dice is None else round(dice, 4),
            "reconstruction_percentile": None if worse is None else round(worse, 2),
            "is_strange": self.is_strange,
        }


@dataclass(frozen=True)
class Decision:
    """One study as a latent classifier sees it.

    Attributes
    ----------
    model, classes
        Name of the bundle; names of label 0 and of label 1.
    probability, threshold
        Of `classes[1]`, calibrated; from which on the decision is that class.
    logit
        Before the calibration.
    baseline_probability
        What a logistic regression on the measured biomarkers says instead;
        None where the bundle has none or they could not be measured.
    concepts
        Probability of each concept.
    out_of_distribution
        None where the bundle does not know where its training cohort lies.
    warnings
        Sentences that must be read before the decision.
    """

    model: str
    classes: tuple[str, str]
    probability: float
    threshold: float
    logit: float
    baseline_probability: float | None
    concepts: Mapping[str, float]
    out_of_distribution: Unlikeness | None
    warnings: tuple[str, ...]

    @property
    def decision(self) -> str:
        """Name of the class."""
        return self.classes[int(self.probability >= self.threshold)]

    def as_json(self) -> dict[str, Any]:
        """Plain types; keys as on the command line."""
        strange = self.out_of_distribution
        return {
            "model": self.model,
            "classes": list(self.classes),
            "probability": self.probability,
            "threshold": self.threshold,
            "decision": self.decision,
            "baseline_probability": self.baseline_probability,
            "concepts": dict(self.concepts),
            "out_of_distribution": None if strange is None else strange.as_json(),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class CohortDecision:
    """A subject of a cohort: a decision, or the reason why there is none."""

    subject: str
    decision: Decision | None
    refused: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The keys of `Decision.as_json` and `subject`; `refused` where there is none."""
        if self.decision is None:
            return {"subject": self.subject, "refused": self.refused}
        return {"subject": self.subject, **self.decision.as_json()}


def available_classifiers() -> list[str]:
    """Names of the latent classifiers, shipped ones first."""
    from napari_cardioxai.bundles.bundle import available_cards

    return [name for name, card in available_cards()[0].items() if card.kind == "latent-classifier"]


def classify_labels(
    labels: Labels,
    classifier: LatentClassifier,
    *,
    scan: Scan | None = None,
    measurements: Measurements | None = None,
    notes: tuple[str, ...] = (),
) -> Decision:
    """What a model says about labels in memory.

    Parameters
    ----------
    labels
        A whole cycle of a short-axis stack.
    classifier
        A loaded bundle.
    scan
        What was labelled; a model of images reads it.
    measurements
        Of these labels, for the biomarker baseline; measured when None.
    notes
        Sentences about the labels that belong to the decision.

    Raises
    ------
    CohortError
        When the labels do not fit the model, with the reason.
    BundleError
        When the model reads images and there is no scan.
    """
    cine = _read_by(classifier, labels, scan)
    said = classifier.classify(cine)
    strange = _unlikeness(classifier, said.latent, cine.data)
    baseline, about_baseline = _baseline(classifier, labels, measurements)
    warnings = [*notes, *cine.notes, *_doubts(strange), *about_baseline]
    return Decision(
        model=classifier.card.name,
        classes=classifier.card.classes,
        probability=float(said.probability[0]),
        threshold=float(classifier.card.threshold["value"]),
        logit=float(said.logit[0]),
        baseline_probability=baseline,
        concepts={name: float(values[0]) for name, values in said.concepts.items()},
        out_of_distribution=strange,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _read_by(classifier: LatentClassifier, labels: Labels, scan: Scan | None) -> NormalisedCine:
    """What a model reads of a study: its labels, or the intensities at the place they name."""
    if classifier.network.reads == "images":
        if scan is None:
            raise BundleError(
                f"{classifier.card.name} reads images and cannot decide from labels; give the "
                "scan, or choose a model of labels."
            )
        if fault := why_unfit(labels):
            raise CohortError(f"these labels do not fit {classifier.card.name}: {fault}")
        return normalise_pictures(scan.data, labels, classifier.spec)
    return fitting_cine(labels, classifier.spec, model=classifier.card.name)


def classify(
    path: Path,
    classifier: LatentClassifier,
    *,
    segmenter: str | Path | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
) -> Decision:
    """What a model says about a label file, or about a scan, which is labelled first.

    Parameters
    ----------
    path
        A label file, or whatever `scans.catalogue.load_scan` takes.
    classifier
        A loaded bundle.
    segmenter
        Labels scans; by default the first model that knows all structures.
    device, on_progress
        As for `studies.segment`.

    Raises
    ------
    CardioxaiError
        When it cannot be read, labelled or brought to the model's form.
    """
    if is_label_file(path):
        on_progress(0, 0, "classifying")
        return _classify_label_file(path, classifier)
    scan = load_scan(path, on_progress=on_progress)
    result = studies.segment(
        scan, model=segmenter or DEFAULT_SEGMENTER, device=device, on_progress=on_progress
    )
    on_progress(0, 0, "classifying")
    by = f"The labels were made by {result.model} and not read over by a person."
    return classify_labels(result.labels, classifier, scan=scan, notes=(by, *result.notes))


def classify_cohort(
    manifest: Manifest,
    classifier: LatentClassifier,
    *,
    segmenter: str | Path | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
) -> list[CohortDecision]:
    """One entry for every subject of a manifest, in its order; labels go before scans."""
    found, total = [], len(manifest.subjects)
    for done, subject in enumerate(manifest.subjects):
        on_progress(done, total, f"classifying {subject}")
        labels, scan = manifest.labels_path(subject), manifest.scan_path(subject)
        try:
            if labels is not None:
                said = _classify_label_file(labels, classifier, scan)
            elif scan is not None:
                said = classify(scan, classifier, segmenter=segmenter, device=device)
            else:
                raise CohortError("the manifest names neither labels nor a scan.")
            found.append(CohortDecision(subject, said))
        except CardioxaiError as error:
            found.append(CohortDecision(subject, None, str(error)))
    on_progress(total, total, "classifying")
    return found


def is_manifest(path: Path) -> bool:
    """Whether a path is a cohort's table by its name."""
    return path.suffix.lower() in SUFFIXES


def is_label_file(path: Path) -> bool:
    """Whether a NIfTI file holds labels: whole numbers, and only a few different ones."""
    if not (path.is_file() and is_nifti(path)):
        return False
    if description_of(path) == SCHEME_MARK:
        return True
    first = np.asarray(read_nifti(path).data[0])
    if first.dtype.kind not in _KINDS_OF_LABELS and not np.array_equal(first, np.rint(first)):
        return False
    return len(np.unique(first)) <= _MOST_LABELS


def _classify_label_file(
    path: Path, classifier: LatentClassifier, scan: Path | None = None
) -> Decision:
    labels = read_labels(path)
    seen = None
    if scan is not None and classifier.network.reads == "images":
        seen = load_scan(scan)
    return classify_labels(labels, classifier, scan=seen, notes=labels.notes)


def _unlikeness(
    classifier: LatentClassifier, latent: np.ndarray, sequence: np.ndarray
) -> Unlikeness | None:
    from napari_cardioxai.bundles.training_cloud import latent_summary

    cloud = classifier.cloud
    if cloud is None:
        return None
    placed = cloud.strangeness(latent_summary(latent))
    percentile = float(placed.percentile[0])
    dice = worse = None
    if classifier.network.has_decoder and classifier.network.reads == "labels":
        dice = _mean_dice(sequence, classifier.decode(latent)[0])
        known = classifier.extras.get("reconstruction_dice")
        if known is not None and len(known):
            worse = float(100 * np.searchsorted(np.sort(known), dice, side="left") / len(known))
    return Unlikeness(
        percentile=percentile,
        times_typical=float(placed.times_typical[0]),
        reconstruction_dice=dice,
        reconstruction_percentile=worse,
        is_strange=percentile >= STRANGE_PERCENTILE
        or (worse is not None and worse < POOR_PERCENTILE),
    )


def _mean_dice(given: np.ndarray, made: np.ndarray) -> float:
    from napari_cardioxai.training.evaluation.reconstruction import reconstruction_dice

    return float(np.nanmean(reconstruction_dice([(["study"], given[None], made[None])]).dice))


def _doubts(strange: Unlikeness | None) -> list[str]:
    if strange is None:
        return ["This model does not know where its training cohort lies; strangers go unnoticed."]
    doubts = []
    if strange.percentile >= STRANGE_PERCENTILE:
        doubts.append(
            f"This heart is unlike those the model was trained on: it lies {strange.times_typical:.1f} "
            f"times as far out as a typical one, farther than {strange.percentile:.0f} % of them. "
            "The decision is not to be trusted."
        )
    worse = strange.reconstruction_percentile
    if worse is not None and worse < POOR_PERCENTILE:
        doubts.append(
            f"The model cannot draw this heart again (Dice {strange.reconstruction_dice:.2f}, lower "
            f"than of {100 - worse:.0f} % of the hearts like its own); what it decides on is not "
            "what is seen."
        )
    return doubts


def _baseline(
    classifier: LatentClassifier, labels: Labels, measurements: Measurements | None
) -> tuple[float | None, list[str]]:
    """Probability by the biomarkers alone, and why there is none."""
    from napari_cardioxai.training.evaluation.baselines import BiomarkerLogistic
    from napari_cardioxai.training.latent.cohort import biomarkers_of

    stored = classifier.card.baseline
    if stored is None:
        return None, []
    model = BiomarkerLogistic.from_json(stored, where=Path(classifier.card.name))
    try:
        measured = biomarkers_of(measurements or measure(labels))
        return model.probability_of(measured), []
    except CardioxaiError as error:
        return None, [f"The biomarkers could not be measured for comparison: {error}"]
