"""What the Attribution dock has done in a worker: models listed, looked at, explained."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cardioxai.app.torch_first import import_torch
from napari_cardioxai.app.workers import leave_a_core_to_the_window
from napari_cardioxai.progress import Progress

if TYPE_CHECKING:
    from napari_cardioxai.attribution.checks import Verdict
    from napari_cardioxai.attribution.explain import Prospect
    from napari_cardioxai.attribution.registry import Entry
    from napari_cardioxai.attribution.shown import ShownMaps
    from napari_cardioxai.attribution.study import ExplainedModel
    from napari_cardioxai.attribution.subjects import Question
    from napari_cardioxai.scans.scan import Scan

QUICK = ("gradient", "ig", "lrp", "grad-cam", "xrai")
"""A method of each family that takes seconds, for a first look."""

_MOST_STEPS = 128  # of methods that double theirs until they add up, but for full evidence
BASELINES = ("zero", "mean", "blur", "black and white", "noise", "background")


@dataclass(frozen=True)
class Explainer:
    """A model that can be explained, as a list shows it.

    Attributes
    ----------
    name, title, kind
        From its card.
    reads
        "scan" or "labels".
    decides
        Whether it has an answer of its own that is explained without a target.
    dims
        2 for pictures, 3 for volumes, None for cines of hearts.
    targets
        Names by what they are: volume, logit, class, concept.
    """

    name: str
    title: str
    kind: str
    reads: str
    decides: bool
    dims: int | None
    targets: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Explainers:
    """All models that can be explained and all methods, by name."""

    models: Mapping[str, Explainer]
    methods: Mapping[str, Entry]


@dataclass(frozen=True)
class Wish:
    """What a person asks to be explained.

    Attributes
    ----------
    model, target
        Names; a target of None is the model's own answer.
    methods
        Names in the registry.
    layer, baseline, steps
        None: what each method takes by itself.
    depth
        How much evidence: "none", "quick" or "full".
    whole_cycle
        All phases of the slice in view, where pictures are explained one by one.
    """

    model: str
    target: str | None
    methods: tuple[str, ...]
    layer: str | None = None
    baseline: str | None = None
    steps: int | None = None
    depth: str = "quick"
    whole_cycle: bool = False


@dataclass(frozen=True, eq=False)
class Looked:
    """A model that is loaded and was looked at on the open study."""

    model: ExplainedModel
    prospect: Prospect

    def verdicts(self, layer: str | None) -> Mapping[str, Verdict]:
        """Which methods can be used, and why not."""
        return self.prospect.verdicts(layer)


@dataclass(frozen=True, eq=False)
class Made:
    """Maps, the model that they are of, and what it took."""

    model: ExplainedModel
    shown: ShownMaps
    seconds: float


def list_explainers(on_progress: Progress) -> Explainers:
    """Models that can be explained, and the methods; imports torch and captum."""
    import_torch()
    from napari_cardioxai.attribution.registry import METHODS
    from napari_cardioxai.attribution.study import KINDS
    from napari_cardioxai.bundles.bundle import available_cards

    models = {}
    for name, card in available_cards()[0].items():
        if card.kind in KINDS:
            kind = KINDS[card.kind]
            spec = getattr(card, "input", None)
            models[name] = Explainer(
                name=name,
                title=card.title,
                kind=card.kind,
                reads=kind.reads,
                decides=kind.decides,
                dims=None if spec is None else spec.dims,
                targets={group: names for group, names in kind.targets(card).items() if names},
            )
    return Explainers(models, METHODS)


def look(
    name: str, question: Question, known: ExplainedModel | None, on_progress: Progress
) -> Looked:
    """Load a model if it is not there yet, and find out how it can be explained."""
    model = _loaded(name, known)
    from napari_cardioxai.attribution.explain import look_at

    return Looked(model, look_at(model.subject(question)))


def explain(
    wish: Wish,
    question: Question,
    known: ExplainedModel | None,
    atlas: tuple[Path, Path] | None,
    on_progress: Progress,
) -> Made:
    """Make maps and all that is drawn of them."""
    started = time.perf_counter()
    on_progress(0, 0, "loading the model")
    model = _loaded(wish.model, known)
    from napari_cardioxai.attribution.explain import explain_subject
    from napari_cardioxai.attribution.shown import ShownMaps
    from napari_cardioxai.attribution.study import atlas_of

    on_progress(0, 0, "looking at the study")
    subject = model.subject(question)
    assert question.scan is not None
    regions: Any = None if atlas is None else _read_atlas(atlas, question.scan)
    result = explain_subject(
        subject,
        wish.methods,
        baseline=wish.baseline,
        layer=wish.layer,
        depth=wish.depth,
        atlas=atlas_of(regions, subject.labels),
        settings=_settings(wish),
        on_progress=on_progress,
    )
    return Made(model, ShownMaps.of(result), time.perf_counter() - started)


def tabulate(shown: ShownMaps, atlas: tuple[Path, Path], scan: Scan) -> ShownMaps:
    """The same maps over another atlas."""
    return shown.with_atlas(_read_atlas(atlas, scan))


def _settings(wish: Wish) -> dict[str, dict[str, int]]:
    """The wished number of steps, and an end to their doubling before people lose patience."""
    from napari_cardioxai.attribution.registry import METHODS

    found: dict[str, dict[str, int]] = {}
    for name in wish.methods:
        known = METHODS[name].method.__dataclass_fields__
        if wish.steps is not None and "steps" in known:
            found[name] = {"steps": wish.steps}
        elif "most_steps" in known and wish.depth != "full":
            found[name] = {"most_steps": _MOST_STEPS}
    return found


def takes_steps(entry: Entry) -> bool:
    """Whether the number of steps of a method matters."""
    return "steps" in entry.method.__dataclass_fields__


def _loaded(name: str, known: ExplainedModel | None) -> ExplainedModel:
    import_torch()
    leave_a_core_to_the_window()
    from napari_cardioxai.attribution.study import ExplainedModel

    return known if known is not None and known.name == name else ExplainedModel.load(name)


def _read_atlas(atlas: tuple[Path, Path], scan: Scan) -> Any:
    from napari_cardioxai.attribution.summary_regions import read_atlas

    return read_atlas(*atlas, geometry=scan.geometry, shape=scan.data.shape)
