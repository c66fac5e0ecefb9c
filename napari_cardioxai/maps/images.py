"""Subjects as an image classifier sees them: the embedding that its last layer takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.image_classifier import ImageClassifier
from napari_cardioxai.cohorts.manifest import CLASS, LABEL, SITE, SPLIT, Manifest
from napari_cardioxai.cohorts.pictures import load_images
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.files import replacing
from napari_cardioxai.maps.columns import (
    OF_MODEL,
    Column,
    class_column,
    in_order,
    manifest_columns,
)
from napari_cardioxai.maps.subjects import DECISION, FeatureDirection, MapSubjects
from napari_cardioxai.networks.classifiers import last_linear
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.scan import Scan

CACHE_VERSION = 1  # goes up when the same files give other numbers
PREDICTION = "prediction"
_AT_ONCE = 64  # images in memory


@dataclass(frozen=True)
class ImageReader:
    """Reads pictures or volumes.

    Attributes
    ----------
    classifier
        The model.
    """

    classifier: ImageClassifier

    @classmethod
    def load(cls, model: str | Path, *, device: str = "auto") -> ImageReader:
        """Load a model; BundleError when it cannot be had."""
        return cls(ImageClassifier.load(model, device=device))

    @property
    def name(self) -> str:
        """Of the model."""
        return self.classifier.card.name

    @property
    def reads(self) -> str:
        """What a study must have."""
        return "scan"

    def read(
        self,
        manifest: Manifest,
        subjects: Sequence[str],
        *,
        cache: Path | None = None,
        on_progress: Progress = silent,
    ) -> MapSubjects:
        """Embed subjects and ask the model about them.

        Raises
        ------
        CohortError
            When no image can be read.
        BundleError
            When the network has no embedding.
        """
        file = None if cache is None else self._cache_file(Path(cache), manifest, subjects)
        kept = None if file is None else _read(file)
        if kept is None:
            kept = self._embedded(manifest, subjects, on_progress)
            if file is not None:
                _write(file, kept)
        names = kept.subjects
        card = self.classifier.card
        columns = manifest_columns(manifest, names, classes=card.classes)
        columns[PREDICTION] = class_column(
            PREDICTION, kept.probability.argmax(1), origin=OF_MODEL, names=card.classes
        )
        for name, values in zip(card.classes, kept.probability.T, strict=True):
            columns[f"{name} (model)"] = Column(f"probability of {name}", values, False, OF_MODEL)
        return MapSubjects(
            manifest,
            names,
            kept.embedding,
            in_order(columns, (CLASS, LABEL, PREDICTION, SPLIT, SITE)),
            self._directions(),
            kept.failed,
            "Bold arrows lead to the classes: what their logits listen to.",
        )

    def features_of(self, labels: Labels | None, scan: Scan | None) -> NDArray[np.float32]:
        """Embedding of one scan, shape (p,).

        Raises
        ------
        CohortError
            When there is no scan, or it is of another kind than the model's.
        """
        if scan is None:
            raise CohortError("a study needs a scan to find its place on this map.")
        return self.classifier.classify(scan).embedding[0]

    def _embedded(
        self, manifest: Manifest, subjects: Sequence[str], on_progress: Progress
    ) -> _Embedded:
        embeddings, shares, names = [], [], []
        failed: dict[str, str] = {}
        for first in range(0, len(subjects), _AT_ONCE):
            on_progress(first, len(subjects), "reading images")
            part = load_images(
                manifest, subjects[first : first + _AT_ONCE], self.classifier.spec, workers=1
            )
            failed |= part.failed
            if part.subjects:
                said = self.classifier.decide(part.data)
                embeddings.append(said.embedding)
                shares.append(said.probability)
                names += part.subjects
        on_progress(len(subjects), len(subjects), "reading images")
        if not names:
            name, reason = next(iter(failed.items()), ("nobody", "there are no subjects."))
            raise CohortError(f"{manifest.path.name}: no subject can be used; {name}: {reason}")
        embedding = np.concatenate(embeddings)
        if not embedding.shape[1]:
            raise BundleError(f"{self.name} has no linear layer, so it has no embedding to map.")
        return _Embedded(tuple(names), embedding, np.concatenate(shares), failed)

    def _directions(self) -> tuple[FeatureDirection, ...]:
        """The logits' gradients at the embedding: the rows of the last layer, against their mean."""
        weight = last_linear(self.classifier.network).weight.detach().double().cpu().numpy()
        classes = self.classifier.card.classes
        if len(weight) != len(classes):
            return ()
        apart = weight - weight.mean(0)
        if len(classes) == 2:
            return (FeatureDirection(classes[1], DECISION, apart[1]),)
        return tuple(
            FeatureDirection(name, DECISION, vector)
            for name, vector in zip(classes, apart, strict=True)
        )

    def _cache_file(self, folder: Path, manifest: Manifest, subjects: Sequence[str]) -> Path:
        """Named by all that the result depends on."""
        weights = sorted(
            (name, float(tensor.double().sum()), float(tensor.double().abs().sum()))
            for name, tensor in self.classifier.network.state_dict().items()
        )
        files = []
        for subject in subjects:
            path = manifest.scan_path(subject)
            state = None if path is None or not path.exists() else path.stat()
            about = None if state is None else [state.st_size, state.st_mtime_ns]
            files.append([subject, str(path), about])
        card = self.classifier.card
        told = json.dumps([CACHE_VERSION, weights, card.input.as_json(), card.temperature, files])
        return folder / f"embeddings-{hashlib.sha256(told.encode()).hexdigest()[:24]}.npz"


@dataclass(frozen=True)
class _Embedded:
    """What is kept: names, embeddings (n, p), probabilities (n, classes), and who failed."""

    subjects: tuple[str, ...]
    embedding: NDArray[np.float32]
    probability: NDArray[np.float64]
    failed: dict[str, str]


def _write(file: Path, found: _Embedded) -> None:
    about = json.dumps({"subjects": list(found.subjects), "failed": found.failed})
    with replacing(file) as beside:
        np.savez(
            beside,
            about=np.frombuffer(about.encode(), np.uint8),
            embedding=found.embedding,
            probability=found.probability,
        )


def _read(file: Path) -> _Embedded | None:
    """What is kept, or None where it is missing or broken."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            return _Embedded(
                tuple(about["subjects"]),
                arrays["embedding"],
                arrays["probability"],
                dict(about["failed"]),
            )
    except (OSError, ValueError, KeyError, EOFError):
        return None
