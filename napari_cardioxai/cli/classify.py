"""A model's decision about one study, one image, or many of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_cardioxai.cli.console import fail, print_json, progress, say
from napari_cardioxai.cli.options import Device, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_cardioxai.decisions import CohortDecision, Decision
    from napari_cardioxai.image_decisions import ImageCohortDecision, ImageDecision
    from napari_cardioxai.progress import Progress

app = typer.Typer()


@app.command()
def classify(
    path: Annotated[
        Path,
        typer.Argument(
            help="Label file, scan (labelled first), picture, volume, folder of pictures, or manifest."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Name or folder of a latent classifier, such as clough or crt, or of an image "
            "classifier."
        ),
    ],
    segmenter: Annotated[
        str | None,
        typer.Option(
            help="Model that labels scans for a latent classifier [the first that knows all "
            "structures]."
        ),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Decide with a classifier: probabilities, concepts if it has any, and how far to trust it."""
    from napari_cardioxai.bundles.bundle import find_bundle, load_card

    is_of_images = load_card(find_bundle(model)).kind == "image-classifier"
    if is_of_images and segmenter is not None:
        fail(f"{model} reads images as they are; leave out --segmenter.")
    with progress() as on_progress:
        on_progress(0, 0, "loading the model")
        said: Any
        if is_of_images:
            said = _of_images(path, model, device, on_progress)
        else:
            said = _of_hearts(path, model, segmenter, device, on_progress)
    many = said if isinstance(said, list) else None
    if as_json:
        print_json(said.as_json() if many is None else [one.as_json() for one in many])
    elif many is None:
        _print(said)
    for subject in many or ():
        if subject.decision is None:
            say(f"! {subject.subject}: {subject.refused}")
        elif not as_json:
            print(f"{subject.subject}:")
            _print(subject.decision)


def _of_hearts(
    path: Path, model: str, segmenter: str | None, device: str, on_progress: Progress
) -> Decision | Sequence[CohortDecision]:
    from napari_cardioxai import decisions
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.cohorts.manifest import read_manifest

    classifier = LatentClassifier.load(model, device=device)
    how: dict[str, Any] = {"segmenter": segmenter, "device": device, "on_progress": on_progress}
    if decisions.is_manifest(path):
        return decisions.classify_cohort(read_manifest(path), classifier, **how)
    return decisions.classify(path, classifier, **how)


def _of_images(
    path: Path, model: str, device: str, on_progress: Progress
) -> ImageDecision | Sequence[ImageCohortDecision]:
    from napari_cardioxai import image_decisions
    from napari_cardioxai.bundles.image_classifier import ImageClassifier

    classifier = ImageClassifier.load(model, device=device)
    many = image_decisions.many_images(path, volumes=classifier.spec.dims == 3)
    if many is not None:
        return image_decisions.classify_images(many, classifier, on_progress=on_progress)
    return image_decisions.classify_image(path, classifier, on_progress=on_progress)


def _print(decision: Any) -> None:
    """What is known of one heart or image, the doubts on standard error."""
    if hasattr(decision, "probabilities"):
        print(f"{decision.decision}: probability {100 * decision.probability:.0f} %")
        for name, share in decision.probabilities.items():
            print(f"  {name:<24} {100 * share:.0f} %")
        who = "known images"
    else:
        _print_heart(decision)
        who = "the training cohort"
    strange = decision.out_of_distribution
    if strange is not None:
        print(f"  farther out than {strange.percentile:.0f} % of {who}")
    for warning in decision.warnings:
        say(f"! {warning}")


def _print_heart(decision: Decision) -> None:
    print(
        f"{decision.decision}: probability of {decision.classes[1]} "
        f"{100 * decision.probability:.0f} %, decided from {100 * decision.threshold:.0f} % on"
    )
    if decision.baseline_probability is not None:
        print(f"  by the biomarkers alone {100 * decision.baseline_probability:.0f} %")
    for concept, probability in decision.concepts.items():
        print(f"  {concept:<24} {100 * probability:.0f} %")
