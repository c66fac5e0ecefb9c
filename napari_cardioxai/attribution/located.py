"""Maps of image classifiers against where the evidence is known to lie, over many cases.

What is known is a mask of each image: tissue that a phantom lost, or the box or
outline that a reader drew around a tumour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.attribution.explain import Depth, StudyMaps, explain_subject
from napari_cardioxai.attribution.known_places import Drawn, brain_truth
from napari_cardioxai.attribution.registry import METHODS
from napari_cardioxai.attribution.scores.localisation import (
    auprc,
    energy_inside,
    iou_at,
    pointing_game,
)
from napari_cardioxai.attribution.study import ExplainedModel
from napari_cardioxai.attribution.subjects import Question
from napari_cardioxai.attribution.summary_regions import Atlas
from napari_cardioxai.cohorts.manifest import CLASS, Manifest
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.catalogue import load_scan

SUMMARY = "summary"
"""Stands among the methods for what they say together."""
SCORES = ("pointing", "energy", "iou", "auprc", "faithfulness", "randomised")
"""Names of `scores.table.SCORES` that are collected."""


@dataclass(frozen=True)
class LocatedCase:
    """What the maps of one image say of a place that is known.

    Attributes
    ----------
    subject, target, decision
        Whose; the class that is explained, which is the true one; what the
        model says.
    scores
        By method, `SUMMARY` included, then by the names of `SCORES`; what is
        not defined is missing.
    top_region, true_regions
        Region in which the summary is strongest by its mean; regions that hold
        the truth. None and empty without regions.
    """

    subject: str
    target: str
    decision: str
    scores: Mapping[str, Mapping[str, float]]
    top_region: str | None
    true_regions: tuple[str, ...]

    @property
    def is_top_true(self) -> bool | None:
        """Whether the summary points at a region that holds the truth."""
        return None if self.top_region is None else self.top_region in self.true_regions

    def as_json(self) -> dict[str, Any]:
        """Plain types; inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LocatedCase:
        """Inverse of `as_json`."""
        return cls(**{**values, "true_regions": tuple(values["true_regions"])})


def locate(
    model: str | Path,
    manifest: Manifest,
    subjects: Sequence[str],
    output: Path,
    *,
    methods: Sequence[str],
    drawn: Drawn | None = None,
    depth: Depth = "quick",
    device: str = "auto",
    seed: int = 0,
    on_progress: Progress = silent,
) -> list[LocatedCase]:
    """Explain the true class of images, and measure the maps against what is known.

    Parameters
    ----------
    model
        An image classifier.
    manifest, subjects
        Which images; columns `scan` and `class`, and `truth` with masks of
        lost tissue and `regions` with label maps unless something was drawn.
    output
        Receives a file for each case; those that are there are not made again.
    methods
        Names in the registry.
    drawn
        Boxes or masks of what is to be found.
    depth, device, seed
        As for `explain_subject`.

    Raises
    ------
    CardioxaiError
        When an image, a mask or the model cannot be had.
    Cancelled
        From within `on_progress`; finished cases stay.
    """
    explained = ExplainedModel.load(model, device=device)
    cases = []
    for done, subject in enumerate(subjects):
        on_progress(done, len(subjects), f"explaining {subject}")
        file = Path(output) / f"{subject.replace('/', '-')}.json"
        if file.is_file():
            cases.append(LocatedCase.from_json(json.loads(file.read_text("utf-8"))))
            continue
        path = manifest.scan_path(subject)
        if path is None:
            raise AttributionError(f"{manifest.path.name} names no scan of {subject}.")
        scan = load_scan(path)
        truth, atlas = (
            brain_truth(manifest, subject, scan)
            if drawn is None
            else (drawn.mask(path, scan), None)
        )
        target = str(manifest.table.at[subject, CLASS])
        question = Question(scan=scan, target=target, truth=truth)
        said = explained.loaded.classify(scan).names[0]
        result = explain_subject(
            explained.subject(question), methods, depth=depth, atlas=atlas, seed=seed
        )
        case = _case(subject, target, said, result, truth, atlas, seed)
        with replacing(file) as beside:
            beside.write_text(json.dumps(case.as_json()), "utf-8")
        cases.append(case)
    on_progress(len(subjects), len(subjects), "explained")
    return cases


def _case(
    subject: str,
    target: str,
    said: str,
    result: StudyMaps,
    truth: NDArray[np.bool_],
    atlas: Atlas | None,
    seed: int,
) -> LocatedCase:
    scores = {
        name: {k: float(v) for k, v in one.scores.items() if k in SCORES and np.isfinite(v)}
        for name, one in result.maps.items()
    }
    summary = result.summary
    assert summary is not None, "there is a map"
    heat, inside = summary.heat[0], truth[0]
    spacing = result.subject.geometry.spacing_mm
    rng = np.random.default_rng(seed)
    scores[SUMMARY] = {
        "pointing": pointing_game(heat, inside, spacing_mm=spacing),
        "energy": energy_inside(heat, inside),
        "iou": iou_at(heat, inside, rng=rng),
        "auprc": auprc(heat, inside),
    }
    top = next((row.name for row in result.regions if row.rank == 1), None)
    true_regions: tuple[str, ...] = ()
    if atlas is not None:
        held = np.unique(atlas.data[0][inside])
        true_regions = tuple(atlas.names[v] for v in held.tolist() if v in atlas.names)
    return LocatedCase(subject, target, said, scores, top, true_regions)


def summary_of_cases(cases: Sequence[LocatedCase]) -> dict[str, Any]:
    """Mean of every score over the cases, with its 95 % bootstrap interval, and the regions.

    Returns
    -------
    `cases`, `right_percent` (of the model's decisions), `methods` (by name and
    score: mean, low, high, cases), and `top_region`: how often the summary is
    strongest in a true region (`hits`, `cases`, `percent`); None without regions.
    """
    rng = np.random.default_rng(0)
    order = [name for name in (*METHODS, SUMMARY) if any(name in c.scores for c in cases)]
    methods = {
        name: {
            score: _mean(
                [c.scores[name][score] for c in cases if score in c.scores.get(name, {})], rng
            )
            for score in SCORES
            if any(score in c.scores.get(name, {}) for c in cases)
        }
        for name in order
    }
    judged = [case.is_top_true for case in cases if case.is_top_true is not None]
    return {
        "cases": len(cases),
        "right_percent": 100 * float(np.mean([c.decision == c.target for c in cases])),
        "methods": methods,
        "top_region": {
            "hits": sum(judged),
            "cases": len(judged),
            "percent": 100 * float(np.mean(judged)),
        }
        if judged
        else None,
    }


def _mean(values: Sequence[float], rng: np.random.Generator) -> dict[str, float]:
    drawn = rng.choice(np.asarray(values), (2000, len(values))).mean(1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    mean = float(np.mean(values))
    return {"mean": mean, "low": float(low), "high": float(high), "cases": len(values)}


def unseen_cases(
    manifest: Manifest,
    split: str,
    count: int,
    *,
    negative: str | None = None,
    drawn: Drawn | None = None,
) -> list[str]:
    """Images of a test set, evenly over the classes and spread over their order.

    Parameters
    ----------
    manifest, split
        Column that says "test" of them.
    count
        How many; fewer where there are not so many.
    negative
        A class that is left out.
    drawn
        What was drawn into pictures; those without anything are left out.

    Raises
    ------
    AttributionError
        When there is no such column, or nothing is held out or drawn into.
    """
    table = manifest.table
    if split not in table or CLASS not in table:
        missing = split if split not in table else CLASS
        raise AttributionError(f"{manifest.path.name} has no column {missing!r}.")
    held_out = table[(table[split] == "test") & (table[CLASS] != negative)]
    if held_out.empty:
        raise AttributionError(f"{manifest.path.name} holds nothing out in {split!r}.")
    if drawn is not None:
        paths = {subject: manifest.scan_path(str(subject)) for subject in held_out.index}
        held_out = held_out[[p is not None and drawn.has(p) for p in paths.values()]]
        if held_out.empty:
            raise AttributionError(f"nothing is drawn into what {split!r} holds out.")
    kinds = sorted(set(held_out[CLASS]))
    chosen: list[str] = []
    for number, kind in enumerate(kinds):
        members = held_out.index[held_out[CLASS] == kind]
        wanted = min(len(members), count // len(kinds) + (number < count % len(kinds)))
        rows = np.linspace(0, len(members) - 1, wanted).round().astype(int)
        chosen += [str(members[row]) for row in rows]
    return chosen


def table_of_cases(result: Mapping[str, Any]) -> str:
    """What `summary_of_cases` gave, in Markdown."""
    lines = [f"| method | {' | '.join(SCORES)} |", f"|---|{'---|' * len(SCORES)}"]
    for name, scores in result["methods"].items():
        cells = [
            f"{scores[s]['mean']:.2f} ({scores[s]['low']:.2f} to {scores[s]['high']:.2f})"
            if s in scores
            else ""
            for s in SCORES
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append("")
    lines.append(
        f"{result['cases']} cases, {result['right_percent']:.0f} % of them decided rightly."
    )
    if result["top_region"] is not None:
        top = result["top_region"]
        lines.append(
            f"The summary is strongest in a region that holds the truth in {top['hits']} of "
            f"{top['cases']} cases ({top['percent']:.0f} %)."
        )
    return "\n".join(lines)
