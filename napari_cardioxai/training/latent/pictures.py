"""Whether the hearts that a model of images decodes can be read: sharpness and segmentation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.volumes import LV
from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.reconstruction import reconstruction_dice
from napari_cardioxai.training.evaluation.sharpness import sharpness

MOST_SUBJECTS = 40  # a segmenter reads every frame twice


def judge_pictures(
    classifier: LatentClassifier,
    pictures: NDArray,
    labels: NDArray[np.uint8],
    *,
    segmenter: str = DEFAULT_SEGMENTER,
    on_progress: Progress = silent,
) -> dict[str, Any]:
    """Figures of decoded pictures, beside those of the pictures that they stand for.

    Parameters
    ----------
    classifier
        A model of images with a decoder.
    pictures
        Sequences of intensities, shape (n, T, 3, y, x).
    labels
        What is known of them, the same shape.
    segmenter
        Reads the real and the decoded pictures alike.

    Returns
    -------
    `sharpness` as `Sharpness.as_json`; `dice` of the structures, `decoded` and
    `real`, against the labels; `ef_points`, mean absolute error of the ejection
    fraction over the slices of a sequence, `decoded` and `real`, None where no
    cavity was read; `subjects`.
    """
    made = classifier.decode(classifier.encode(pictures, on_progress=on_progress))
    reader = Segmenter.load(segmenter, device=classifier.device)
    names = [str(k) for k in range(len(pictures))]
    dice: dict[str, dict[str, float]] = {}
    wrong: dict[str, float | None] = {}
    truth = [_ejection_fraction(sequence) for sequence in labels]
    for what, shown in (("decoded", made), ("real", np.asarray(pictures, np.float32))):
        read = np.stack(
            [
                _read(reader, cine, classifier, _told(on_progress, k, len(shown), what))
                for k, cine in enumerate(shown)
            ]
        )
        summary = reconstruction_dice([(names, labels, read)]).summary()
        dice[what] = {
            name: round(float(spread["mean"]), 4)
            for name, spread in summary.items()
            if spread["mean"] is not None
        }
        errors = np.abs([_ejection_fraction(s) - t for s, t in zip(read, truth, strict=True)])
        errors = errors[np.isfinite(errors)]
        wrong[what] = round(float(errors.mean()), 2) if len(errors) else None
    return {
        "subjects": len(pictures),
        "segmenter": reader.card.name,
        "sharpness": sharpness(made, np.asarray(pictures, np.float32)).as_json(),
        "dice": dice,
        "ef_points": wrong,
    }


def _read(
    reader: Segmenter, cine: NDArray, classifier: LatentClassifier, progress: Progress
) -> NDArray[np.uint8]:
    spec = classifier.spec
    middle = (spec.size - 1) / 2
    # The distance of slices is of no account where each is read on its own.
    spacing = (spec.pixel_mm, spec.pixel_mm, spec.pixel_mm)
    return reader.label(cine, spacing_mm=spacing, centre=(middle, middle), on_progress=progress)


def _ejection_fraction(sequence: NDArray[np.uint8]) -> float:
    """In per cent, of the cavity in the slices of a sequence, from end-diastole, frame 0."""
    areas = np.count_nonzero(sequence == LV, axis=(1, 2, 3))
    return float(100 * (areas.max() - areas.min()) / areas.max()) if areas.max() else float("nan")


def _told(on_progress: Progress, index: int, count: int, which: str) -> Progress:
    def tell(done: int, total: int, what: str) -> None:
        on_progress(index, count, f"reading the {which} pictures")

    return tell
