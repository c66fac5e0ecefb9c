"""Methods, scores, verdicts and a summary for one study; the command line and the window call this, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.attribution.base import Explanation, Method
from napari_cardioxai.attribution.baselines import KINDS, Baselines
from napari_cardioxai.attribution.checks import NetworkFacts, Verdict, inspect_network, judge
from napari_cardioxai.attribution.peak_memory import peak_memory
from napari_cardioxai.attribution.registry import METHODS, make_method
from napari_cardioxai.attribution.scores.bench import STAGES, Bench
from napari_cardioxai.attribution.scores.controls import CONTROLS
from napari_cardioxai.attribution.scores.evidence import Kind, evidence_of, kind_of
from napari_cardioxai.attribution.scores.randomisation import Randomisation
from napari_cardioxai.attribution.scores.table import MapScores, score_controls, score_map
from napari_cardioxai.attribution.scores.verdict import Judgement, judge_map
from napari_cardioxai.attribution.stages import Stages
from napari_cardioxai.attribution.subjects import Places, Subject
from napari_cardioxai.attribution.summary import (
    Summary,
    kendalls_w,
    method_weights,
    normalised,
    summarise,
)
from napari_cardioxai.attribution.summary_regions import (
    Atlas,
    RegionRow,
    region_means,
    region_table,
)
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent

Depth = Literal["none", "quick", "full"]
"""How much is measured: nothing; everything but max-sensitivity, and the weights randomised all at
once; or everything, and the weights layer after layer."""

ALL = "all"


@dataclass(frozen=True, eq=False)
class StudyMap:
    """A method's map of a study and what is known of it.

    Attributes
    ----------
    method, title, kind
        From the registry; what its values are.
    heat
        Signed where the method is, at `StudyMaps.places`, shape (frames,
        slices, y, x).
    explanation
        With target, baseline, settings and seconds; its `heat` is on the
        network's input.
    peak_mib
        Memory at its highest, above what was taken before; None where it cannot be told.
    scores
        By the names of `scores.table.SCORES`.
    curves
        Insertion and deletion; None when nothing was measured.
    randomisation
        How the map changed with the weights; None when not measured.
    judgement
        The line for people; None when nothing was measured.
    notes
        Sentences for the reader.
    """

    method: str
    title: str
    kind: Kind
    heat: NDArray[np.float32]
    explanation: Explanation
    peak_mib: float | None
    scores: Mapping[str, float]
    curves: MapScores | None
    randomisation: Randomisation | None
    judgement: Judgement | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain types."""
        said, peak = self.explanation, self.peak_mib
        return {
            "method": self.method,
            "title": self.title,
            "values": self.kind,
            "target": said.target,
            "baseline": said.baseline,
            "seconds": round(said.seconds, 3),
            "peak_mib": None if peak is None else round(peak, 1),
            "scores": dict(self.scores),
            "curves": None if self.curves is None else _curves(self.curves),
            "verdict": None if self.judgement is None else self.judgement.sentence,
            "passes": None if self.judgement is None else self.judgement.passes,
            "settings": {k: v for k, v in said.settings.items() if _is_plain(v)},
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class StudyMaps:
    """All maps of a study.

    Attributes
    ----------
    subject
        What was explained.
    maps
        By method, in the order of the registry.
    invalid
        Methods that were asked for and do not fit, with the reason.
    controls
        Scores of the maps that know nothing of the network, by name.
    scored_against
        What insertion, deletion and infidelity exchange voxels with, in words;
        "" when nothing was measured.
    summary
        Of the maps, on `places`; None without any.
    notes
        Sentences for the reader.
    atlas, regions
        Whose regions, and what the summary says of them; None and empty
        without an atlas.
    regions_agreement
        Kendall's W of the methods over the regions; None for one method or region.
    """

    subject: Subject
    maps: Mapping[str, StudyMap]
    invalid: Mapping[str, str]
    controls: Mapping[str, Mapping[str, float]]
    scored_against: str
    summary: Summary | None
    notes: tuple[str, ...]
    atlas: Atlas | None = None
    regions: tuple[RegionRow, ...] = ()
    regions_agreement: float | None = None

    @property
    def places(self) -> Places:
        """Where the maps lie in the scan."""
        return self.subject.places

    def as_json(self) -> dict[str, Any]:
        """Plain types, keys as on the command line; frames and slices count from 1."""
        places, summary = self.places, self.summary
        return {
            "target": self.subject.target.text,
            "frames": [t + 1 for t in places.frames],
            "slices": [z + 1 for z in places.slices],
            "truth": self.subject.truth_text if self.subject.truth is not None else None,
            "scored_against": self.scored_against or None,
            "maps": [one.as_json() for one in self.maps.values()],
            "controls": {name: dict(scores) for name, scores in self.controls.items()},
            "invalid": dict(self.invalid),
            "summary": None
            if summary is None
            else {
                "weights": dict(summary.weights),
                "agreement": summary.agreement,
                "regions_agreement": self.regions_agreement,
                "notes": list(summary.notes),
            },
            "regions": [row.as_json() for row in self.regions],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class Prospect:
    """A subject whose network was looked at, before anything is explained.

    Attributes
    ----------
    subject
        What is to be explained.
    facts
        What one pass of its network told.
    """

    subject: Subject
    facts: NetworkFacts

    def verdicts(self, layer: str | None = None) -> dict[str, Verdict]:
        """Which methods may be used, and why not; `layer` is that of class activation maps."""
        shape = tuple(self.subject.inputs.shape[2:])
        return judge(self.facts, shape, layer=layer, target=self.subject.target)


def look_at(subject: Subject) -> Prospect:
    """Find out what methods and layers there are for a subject; takes a pass or two."""
    return Prospect(subject, inspect_network(subject.model, subject.inputs[:1]))


def explain_subject(
    subject: Subject,
    methods: Sequence[str] = (ALL,),
    *,
    baseline: Baselines = None,
    layer: str | None = None,
    depth: Depth = "quick",
    atlas: Atlas | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    memory_mib: float = 512.0,
    seed: int = 0,
    on_progress: Progress = silent,
) -> StudyMaps:
    """Map a study by several methods, and measure what each map is worth.

    Parameters
    ----------
    subject
        From `study.subject_of`.
    methods
        Names in the registry, or "all".
    baseline
        For methods that use one; None: the subject's own.
    layer
        For activation maps; None: the default one.
    depth
        How much is measured, and on which example see `Subject.scored`.
    atlas
        On the grid of the scan; None: no table of regions.
    settings
        Of single methods, by method and name.
    memory_mib
        For the passes of the network.
    seed
        Of everything random.
    on_progress
        Called between passes; may raise `Cancelled`.

    Raises
    ------
    AttributionError
        When a method is unknown, or none of those asked for can be used.
    """
    names = _names(methods)
    if isinstance(baseline, str) and baseline not in KINDS:
        raise AttributionError(
            f"there is no baseline {baseline!r}; choose {', '.join(KINDS)}, or a number."
        )
    on_progress(0, 0, "looking at the network")
    verdicts = look_at(subject).verdicts(layer)
    invalid = {name: verdicts[name].reason for name in names if not verdicts[name].valid}
    chosen = [name for name in names if name not in invalid]
    notes = {name: verdicts[name].reason for name in chosen if verdicts[name].reason}
    bench = Bench.of(subject, seed=seed, memory_mib=memory_mib) if depth != "none" else None
    stages = Stages(on_progress, len(chosen) + (bench is not None))
    rounds = 1 if bench is None else 2 + bench.rounds
    maps: dict[str, StudyMap] = {}
    for done, name in enumerate(chosen):
        given = dict((settings or {}).get(name, {}), memory_mib=memory_mib, seed=seed)
        if layer is not None and METHODS[name].uses_layer:
            given["layer"] = layer
        method = make_method(name, subject.model, **given)
        title = f"{done + 1} of {len(chosen)}, {METHODS[name].title}"
        step = stages.begin(title, rounds=rounds)
        try:
            maps[name] = _one_map(
                subject,
                method,
                baseline=subject.baseline if baseline is None else baseline,
                bench=bench,
                depth=depth,
                notes=(notes[name],) if name in notes else (),
                on_progress=step,
            )
        except AttributionError as error:
            invalid[name] = str(error)
    if not maps:
        first = next(iter(invalid.values()), "")
        raise AttributionError(f"none of the methods can explain this: {first}")
    controls = {}
    if bench is not None:
        step = stages.begin("controls", rounds=len(CONTROLS) * bench.rounds)
        scored = score_controls(bench.case, seed=seed, on_progress=step)
        controls = {name: one.values for name, one in scored.items()}
        maps = {name: _judged(one, controls) for name, one in maps.items()}
    on_progress(0, 0, "summary")
    result = StudyMaps(
        subject=subject,
        maps=maps,
        invalid=invalid,
        controls=controls,
        scored_against="" if bench is None else bench.case.baseline_text,
        summary=_summary(subject, maps),
        notes=subject.notes,
    )
    return result if atlas is None else with_regions(result, atlas, seed=seed)


def with_regions(result: StudyMaps, atlas: Atlas, *, seed: int = 0) -> StudyMaps:
    """The same maps with the table of these regions.

    Parameters
    ----------
    result
        From `explain_subject`.
    atlas
        On the grid of the scan.
    seed
        Of the intervals.
    """
    subject, summary = result.subject, result.summary
    assert summary is not None, "there is a map"
    used = {name: one for name, one in result.maps.items() if summary.weights[name] > 0}
    stacked = np.stack(list(_scaled(subject, used).values()))
    regions = subject.places.cut(atlas.data)
    rows = region_table(
        stacked,
        regions,
        atlas.names,
        weights=np.array([summary.weights[name] for name in used]),
        rng=np.random.default_rng(seed),
    )
    agreement = None
    means = region_means(stacked, regions, atlas.names)
    if len(used) > 1 and means.shape[1] > 1:
        found = kendalls_w(means)
        agreement = found if np.isfinite(found) else None
    return replace(
        result,
        atlas=atlas,
        regions=rows,
        regions_agreement=agreement,
        notes=(*subject.notes, *atlas.notes),
    )


def _one_map(
    subject: Subject,
    method: Method,
    *,
    baseline: Baselines,
    bench: Bench | None,
    depth: Depth,
    notes: tuple[str, ...],
    on_progress: Progress,
) -> StudyMap:
    kind = kind_of(method.name)
    with peak_memory(subject.inputs.device.type) as memory:
        said = method.explain(
            subject.inputs,
            subject.target,
            baselines=baseline,
            spacing_mm=subject.spacing_mm,
            on_progress=on_progress,
        )
    scores: dict[str, float] = {}
    remarks = [*notes, *(note for note in said.notes if note not in notes)]
    measured = randomisation = None
    if said.completeness_percent is not None:
        scores["completeness_percent"] = said.completeness_percent
    if bench is not None:
        measured = score_map(
            bench.case,
            said.heat[subject.scored],
            kind=kind,
            seed=bench.seed,
            on_progress=on_progress,
        )
        scores.update(measured.values)
        remarks.extend(measured.notes)
        try:
            randomisation = bench.randomised(
                method,
                baseline,
                stages=STAGES if depth == "full" else 1,
                on_progress=on_progress,
            )
            scores["randomised"] = randomisation.final
        except AttributionError as error:
            remarks.append(f"Not tested against random weights: {error}")
        if depth == "full":
            try:
                scores["max_sensitivity"] = bench.sensitivity(
                    method, baseline, on_progress=on_progress
                )
            except AttributionError as error:
                remarks.append(f"No max-sensitivity: {error}")
    if not bool(said.heat.any()):
        remarks.append("The map is zero everywhere: nothing that it reads speaks for the target.")
    return StudyMap(
        method=method.name,
        title=METHODS[method.name].title,
        kind=kind,
        heat=np.asarray(subject.to_scan(_shown(said.heat, kind)), np.float32),
        explanation=said,
        peak_mib=memory.mib,
        scores=scores,
        curves=measured,
        randomisation=randomisation,
        judgement=None,
        notes=tuple(remarks),
    )


def _shown(heat: Tensor, kind: Kind) -> NDArray[np.float32]:
    """One number a voxel for the eye: (b, c, *spatial) to (b, *spatial), signed where that has a sense."""
    values = heat.detach().float().cpu().numpy()
    if kind == "shares" or values.shape[1] == 1:
        return values.sum(1)
    return np.stack([evidence_of(one, kind) for one in values]).astype(np.float32)


def _judged(one: StudyMap, controls: Mapping[str, Mapping[str, float]]) -> StudyMap:
    return replace(one, judgement=judge_map(one.scores, controls))


def _scaled(subject: Subject, maps: Mapping[str, StudyMap]) -> dict[str, NDArray]:
    """What speaks for the target, on one scale for all methods, at the subject's places."""
    return {
        name: subject.to_scan(
            np.stack(
                [
                    normalised(evidence_of(heat, one.kind), spacing_mm=subject.spacing_mm)
                    for heat in one.explanation.heat
                ]
            )
        )
        for name, one in maps.items()
    }


def _summary(subject: Subject, maps: Mapping[str, StudyMap]) -> Summary:
    failed = [
        n for n, one in maps.items() if one.judgement is not None and not one.judgement.passes
    ]
    weights = dict.fromkeys(maps, 1.0)
    if any(one.curves is not None for one in maps.values()):
        faithful = {name: one.scores.get("faithfulness", 0.0) for name, one in maps.items()}
        weights = method_weights(faithful, failed=failed)
    return summarise(_scaled(subject, maps), weights)


def _names(methods: Sequence[str]) -> list[str]:
    """In the order of the registry, each once."""
    unknown = [name for name in methods if name != ALL and name not in METHODS]
    if unknown or not methods:
        what = f"there is no method {unknown[0]!r}" if unknown else "no method was named"
        raise AttributionError(f"{what}; choose {ALL}, or some of {', '.join(METHODS)}.")
    return [name for name in METHODS if ALL in methods or name in methods]


def _curves(measured: MapScores) -> dict[str, Any]:
    return {
        name: {
            "fraction": curve.fraction.tolist(),
            "value": curve.value.tolist(),
            "area": curve.area,
        }
        for name, curve in (("insertion", measured.insertion), ("deletion", measured.deletion))
    }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
