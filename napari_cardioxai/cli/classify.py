"""A model's decision about one study or a whole cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_cardioxai.cli.console import print_json, progress, say
from napari_cardioxai.cli.options import Device, Json

if TYPE_CHECKING:
    from napari_cardioxai.decisions import CohortDecision, Decision

app = typer.Typer()


@app.command()
def classify(
    path: Annotated[
        Path, typer.Argument(help="Label file, scan (labelled first), or manifest of a cohort.")
    ],
    model: Annotated[
        str, typer.Option(help="Name or folder of a latent classifier, such as clough or crt.")
    ],
    segmenter: Annotated[
        str | None,
        typer.Option(help="Model that labels scans [the first that knows all structures]."),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Decide with a latent classifier: probability, concepts, and how far to trust it."""
    from napari_cardioxai import decisions
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.cohorts.manifest import read_manifest

    with progress() as on_progress:
        on_progress(0, 0, "loading the model")
        classifier = LatentClassifier.load(model, device=device)
        how: dict[str, Any] = {
            "segmenter": segmenter,
            "device": device,
            "on_progress": on_progress,
        }
        cohort: list[CohortDecision] | None = None
        if decisions.is_manifest(path):
            cohort = decisions.classify_cohort(read_manifest(path), classifier, **how)
        else:
            decision = decisions.classify(path, classifier, **how)
    if as_json:
        print_json(decision.as_json() if cohort is None else [one.as_json() for one in cohort])
    elif cohort is None:
        _print(decision)
    for subject in cohort or ():
        if subject.decision is None:
            say(f"! {subject.subject}: {subject.refused}")
        elif not as_json:
            print(f"{subject.subject}:")
            _print(subject.decision)


def _print(decision: Decision) -> None:
    print(
        f"{decision.decision}: probability of {decision.classes[1]} "
        f"{100 * decision.probability:.0f} %, decided from {100 * decision.threshold:.0f} % on"
    )
    if decision.baseline_probability is not None:
        print(f"  by the biomarkers alone {100 * decision.baseline_probability:.0f} %")
    for concept, probability in decision.concepts.items():
        print(f"  {concept:<24} {100 * probability:.0f} %")
    strange = decision.out_of_distribution
    if strange is not None:
        print(f"  farther from the training cohort than {strange.percentile:.0f} % of it")
    for warning in decision.warnings:
        say(f"! {warning}")
