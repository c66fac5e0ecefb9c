"""A cohort as concepts need it: latents, biomarkers as measured on the scans, rulers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.label_files import read_labels
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.cohorts.normalisation import NormalisationSpec, normalise_labels
from napari_cardioxai.cohorts.parallel import each_in_order
from napari_cardioxai.cohorts.sequences import why_unfit
from napari_cardioxai.concepts.biomarkers import BIOMARKERS, Ruler, measure_segments
from napari_cardioxai.concepts.named import Concept
from napari_cardioxai.concepts.samples import ConceptSets, extremes, tagged
from napari_cardioxai.errors import BundleError, CardioxaiError, CohortError
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.geometry import Geometry

CACHE_VERSION = 2  # goes up when the same files give other numbers
_AT_ONCE = 8
_POOL = ("concept", "train")
_TEST = ("test", "val")


@dataclass(frozen=True)
class ConceptCohort:
    """Subjects that concepts are found on or tested on.

    Attributes
    ----------
    manifest
        Where they come from.
    subjects
        Names, n of them.
    latent
        Means of the encoder, shape (n, T, latent).
    biomarkers
        Each of `BIOMARKERS` as measured on the subject's own labels, shape (n,
        b), NaN where not measurable.
    thickening
        Of the AHA segments 1 to 12 in %, likewise, shape (n, 12).
    rulers
        What pixels and frames of their sequences stand for.
    left_out
        Every subject without a sequence, and the reason.
    """

    manifest: Manifest
    subjects: tuple[str, ...]
    latent: NDArray[np.float32]
    biomarkers: NDArray[np.float64]
    thickening: NDArray[np.float64]
    rulers: tuple[Ruler, ...]
    left_out: dict[str, str]

    def __len__(self) -> int:
        return len(self.subjects)

    def sets(self, concept: Concept, *, per_side: int | None = None) -> ConceptSets:
        """Both ends of the concept's biomarker, or of its column in the manifest.

        Parameters
        ----------
        concept
            Of a biomarker, or a column of 0 and 1.
        per_side
            Subjects at each end; by default a fifth, at most 1,000.

        Raises
        ------
        CohortError
            When there are too few.
        """
        if concept.biomarker is None:
            return tagged(concept, self.manifest.binary(concept.name, self.subjects))
        return extremes(concept, self.values(concept), per_side=per_side)

    def values(self, concept: Concept) -> NDArray[np.float64]:
        """Its biomarker of every subject, shape (n,)."""
        assert concept.biomarker is not None
        return self.biomarkers[:, list(BIOMARKERS).index(concept.biomarker)]

    def others(self, concept: Concept, concepts: Sequence[Concept]) -> NDArray[np.float64]:
        """Biomarkers of the other concepts, to hold fixed, shape (n, b)."""
        columns = [
            self.values(other)
            for other in concepts
            if other.biomarker not in (None, concept.biomarker)
        ]
        return np.column_stack(columns) if columns else np.empty((len(self), 0))


def pool_and_test(manifest: Manifest) -> tuple[list[str], list[str]]:
    """Who concepts are found on (split concept, else train) and tested on (test, else val).

    Raises
    ------
    CohortError
        When nobody is left to be tested on.
    """
    pool = next((manifest.split(name) for name in _POOL if manifest.split(name)), [])
    test = next((manifest.split(name) for name in _TEST if manifest.split(name)), [])
    if not pool or not test:
        raise CohortError(
            f"{manifest.path.name} needs subjects of the split concept (or train) to find concepts "
            "on and of the split test (or val) to test them on."
        )
    return pool, test


def load_concept_cohort(
    classifier: LatentClassifier,
    manifest: Manifest,
    subjects: Sequence[str],
    *,
    cache: Path | None = None,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> ConceptCohort:
    """Read, measure, normalise and encode subjects.

    Parameters
    ----------
    classifier
        Encodes them.
    manifest, subjects
        Whose labels.
    cache
        Folder for the result; it is read from there as long as model, way of
        normalising and label files are the same.
    workers
        Processes; by default one per core.
    on_progress
        Called per subject; may raise `Cancelled`.

    Raises
    ------
    BundleError
        When the model reads images.
    CohortError
        When no subject can be used.
    """
    if classifier.network.reads != "labels":
        raise BundleError(
            f"{classifier.card.name} reads images; concepts are found with models of labels."
        )
    paths = [manifest.labels_path(name) for name in subjects]
    file = None if cache is None else _cache_file(Path(cache), classifier, paths)
    if file is not None and (kept := _read(file, manifest, subjects)) is not None:
        on_progress(len(subjects), len(subjects), "encoding")
        return kept
    results = each_in_order(
        _measured,
        [(path, classifier.spec) for path in paths],
        what="reading the cohort",
        workers=workers,
        on_progress=on_progress,
    )
    cohort = _encoded(classifier, manifest, zip(subjects, results, strict=True))
    if file is not None:
        _write(file, cohort)
    return cohort


_Read = tuple[NDArray[np.uint8], list[float], NDArray[np.float64], Ruler]


def _measured(task: tuple[Path | None, NormalisationSpec]) -> _Read | str:
    """Sequence, biomarkers and ruler of one label file, or why there is none."""
    path, spec = task
    if path is None:
        return "the manifest names no labels; segment the scan first."
    try:
        labels = read_labels(path)
        if reason := why_unfit(labels):
            return reason
        cine = normalise_labels(labels, spec)
        found, segments = measure_segments(labels)
        return cine.data, list(found.values()), segments, Ruler.of(labels, cine.transform)
    except CardioxaiError as error:
        return str(error)


def _encoded(
    classifier: LatentClassifier,
    manifest: Manifest,
    results: Iterator[tuple[str, _Read | str]],
) -> ConceptCohort:
    """Encode sequences as they come: a cohort of them would not fit into memory."""
    kept: list[str] = []
    left_out: dict[str, str] = {}
    latents: list[NDArray[np.float32]] = []
    numbers: list[list[float]] = []
    segments: list[NDArray[np.float64]] = []
    rulers: list[Ruler] = []
    waiting: list[NDArray[np.uint8]] = []
    for subject, result in results:
        if isinstance(result, str):
            left_out[subject] = result
            continue
        sequence, found, thickening, ruler = result
        waiting.append(sequence)
        kept.append(subject)
        numbers.append(found)
        segments.append(thickening)
        rulers.append(ruler)
        if len(waiting) == _AT_ONCE:
            latents.append(classifier.encode(np.stack(waiting)))
            waiting = []
    if waiting:
        latents.append(classifier.encode(np.stack(waiting)))
    if not kept:
        name, reason = next(iter(left_out.items()), ("nobody", "there are no subjects."))
        raise CohortError(f"{manifest.path.name}: no subject can be used; {name}: {reason}")
    return ConceptCohort(
        manifest,
        tuple(kept),
        np.concatenate(latents),
        np.array(numbers),
        np.array(segments),
        tuple(rulers),
        left_out,
    )


# The cache -------------------------------------------------------------------


def _cache_file(folder: Path, classifier: LatentClassifier, paths: Sequence[Path | None]) -> Path:
    """Named by all that the result depends on."""
    weights = sorted(
        (name, float(tensor.double().sum()), float(tensor.double().abs().sum()))
        for name, tensor in classifier.network.state_dict().items()
    )
    files = []
    for path in paths:
        state = None if path is None or not path.is_file() else path.stat()
        files.append([str(path), None if state is None else [state.st_size, state.st_mtime_ns]])
    told = json.dumps([CACHE_VERSION, list(BIOMARKERS), weights, asdict(classifier.spec), files])
    return folder / f"latents-{hashlib.sha256(told.encode()).hexdigest()[:24]}.npz"


def _write(file: Path, cohort: ConceptCohort) -> None:
    about = {"subjects": list(cohort.subjects), "left_out": cohort.left_out}
    with replacing(file) as beside:
        arrays: dict[str, Any] = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "latent": cohort.latent,
            "biomarkers": cohort.biomarkers,
            "thickening": cohort.thickening,
            **_ruler_arrays(cohort.rulers),
        }
        np.savez(beside, **arrays)


def _read(file: Path, manifest: Manifest, subjects: Sequence[str]) -> ConceptCohort | None:
    """What is kept, or None where it is missing, broken or of other subjects."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if {*about["subjects"], *about["left_out"]} != set(subjects):
                return None
            return ConceptCohort(
                manifest,
                tuple(about["subjects"]),
                arrays["latent"],
                arrays["biomarkers"],
                arrays["thickening"],
                _rulers_from(dict(arrays)),
                dict(about["left_out"]),
            )
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _ruler_arrays(rulers: Sequence[Ruler]) -> dict[str, NDArray[np.float64]]:
    """Rulers as arrays, NaN for what is not known; `_rulers_from` is the inverse."""
    geometry = [ruler.geometry for ruler in rulers]
    slices, frames = (
        3,
        max((len(r.frame_times_ms) for r in rulers if r.frame_times_ms is not None), default=1),
    )
    return {
        "spacing": np.array([_or_nan(g.spacing_mm, (3,)) for g in geometry]),
        "affine": np.array([_or_nan(g.affine, (4, 4)) for g in geometry]),
        "positions": np.array([_or_nan(g.slice_positions_mm, (slices,)) for g in geometry]),
        "times": np.array([_or_nan(r.frame_times_ms, (frames,)) for r in rulers]),
        "cycle": np.array([_or_nan(r.cycle_ms, ()) for r in rulers]),
    }


def _rulers_from(arrays: dict[str, NDArray]) -> tuple[Ruler, ...]:
    rulers = []
    for spacing, affine, positions, times, cycle in zip(
        *(arrays[name] for name in ("spacing", "affine", "positions", "times", "cycle")),
        strict=True,
    ):
        geometry = Geometry(
            (float(spacing[0]), float(spacing[1]), float(spacing[2])),
            None if np.isnan(affine).any() else affine,
            None if np.isnan(positions).any() else tuple(map(float, positions)),
        )
        known = None if np.isnan(times).any() else times
        rulers.append(Ruler(geometry, known, None if np.isnan(cycle) else float(cycle)))
    return tuple(rulers)


def _or_nan(value: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.full(shape, np.nan) if value is None else np.asarray(value, float).reshape(shape)
