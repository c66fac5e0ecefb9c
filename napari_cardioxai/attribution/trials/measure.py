"""Every method's maps of some images, and what each map is worth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.attribution.base import Method
from napari_cardioxai.attribution.baselines import resolve_baselines
from napari_cardioxai.attribution.checks import check_methods
from napari_cardioxai.attribution.oversegmentation import oversegmentations
from napari_cardioxai.attribution.registry import METHODS, make_method
from napari_cardioxai.attribution.scores.evidence import evidence_of, kind_of
from napari_cardioxai.attribution.scores.randomisation import randomise_parameters
from napari_cardioxai.attribution.scores.sensitivity import max_sensitivity
from napari_cardioxai.attribution.scores.table import Case, score_controls, score_map
from napari_cardioxai.attribution.targets import ClassLogit
from napari_cardioxai.attribution.trials.tasks import Task, TrialImage
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent

TARGET = 1
"""The class with the planted reason."""

SCORES = (
    "pointing",
    "energy",
    "iou",
    "auprc",
    "insertion",
    "deletion",
    "faithfulness",
    "infidelity",
    "max_sensitivity",
    "completeness_percent",
    "randomised",
)
"""Columns of the table, names of `scores.table.SCORES`."""

_ALSO_THE_METHOD = 10
"""Every so many images the method itself is tried, which takes three more maps."""

_CURVE_STEPS = 8
_BOXES = 12
_NEIGHBOURS = 2
_REGIONS = (
    40,
    160,
)  # supervoxels (of each slice of a cine of several), coarse and fine; the coarse ones are also occluded


@dataclass(frozen=True)
class Measured:
    """One map of one image, or a control.

    Attributes
    ----------
    network, seed, case
        Which network and image.
    method
        Name in the registry or of a control.
    control
        Whether it knows nothing of the network.
    seconds
        Of the processor per map, its share of passes over several images; None
        for controls.
    scores
        By the names of `SCORES`; what was not measured is absent.
    """

    network: str
    seed: int
    case: int
    method: str
    control: bool
    seconds: float | None
    scores: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain types, four figures."""
        plain = asdict(self)
        plain["scores"] = {k: float(f"{v:.4g}") for k, v in self.scores.items()}
        plain["seconds"] = None if self.seconds is None else float(f"{self.seconds:.4g}")
        return plain


@dataclass(frozen=True, eq=False)
class GroupMaps:
    """Maps of images that shared passes of the network.

    Attributes
    ----------
    heats
        By method, shape (b, c or 1, *spatial).
    seconds
        By method, per image.
    complete_percent
        By method that claims to add up: what the worst image misses.
    invalid
        Methods that do not fit the network, with the reason.
    """

    heats: dict[str, Tensor]
    seconds: dict[str, float]
    complete_percent: dict[str, float]
    invalid: dict[str, str]


def maps_of_group(
    task: Task,
    network: nn.Module,
    images: Sequence[TrialImage],
    *,
    methods: Sequence[str] | None = None,
    on_progress: Progress = silent,
) -> GroupMaps:
    """Maps of several images at once by every method that fits the network.

    The XRAI methods rank the map of integrated gradients that was made anyway;
    its seconds count as theirs.

    Parameters
    ----------
    task, network
        What is explained, and how much is spent on each method.
    images
        Explained for `TARGET`.
    methods
        Names in the registry; None: all.
    """
    inputs = torch.stack([one.image for one in images])
    verdicts = check_methods(network, inputs[:1])
    wanted = [name for name in METHODS if methods is None or name in methods]
    if {"xrai", "fast-xrai"} & set(wanted) and "ig" not in wanted:
        raise AttributionError("the XRAI methods rank integrated gradients; ask for ig as well.")
    found = GroupMaps({}, {}, {}, {})
    cut: list[list[NDArray]] = []
    cut_seconds = 0.0
    for done, name in enumerate(wanted):
        on_progress(done, len(wanted), METHODS[name].title)
        if not verdicts[name].valid:
            found.invalid[name] = verdicts[name].reason
            continue
        regional = name in ("xrai", "fast-xrai", "supervoxel-occlusion")
        if regional and not cut:
            cut, cut_seconds = _regions_of(task, images)
        started = time.process_time()
        try:
            if regional:
                found.heats[name] = _by_regions(task, network, name, inputs, cut, found.heats)
            else:
                said = _method(task, name, network).explain(
                    inputs, TARGET, baselines=task.baseline, spacing_mm=task.spacing_mm
                )
                found.heats[name] = said.heat
                if said.completeness_percent is not None:
                    found.complete_percent[name] = said.completeness_percent
        except AttributionError as error:
            found.invalid[name] = str(error)
            continue
        seconds = time.process_time() - started + (cut_seconds if regional else 0)
        found.seconds[name] = seconds / len(images)
        if name in ("xrai", "fast-xrai"):
            found.seconds[name] += found.seconds["ig"]
    return found


def measure_group(
    task: Task,
    network: nn.Module,
    images: Sequence[TrialImage],
    maps: GroupMaps,
    *,
    name: str,
    seed: int,
    first: int,
    on_progress: Progress = silent,
) -> list[Measured]:
    """Score every map of a group and the three controls.

    Max-sensitivity and the network of random weights ask for more maps: they
    are measured on every tenth image alone.

    Parameters
    ----------
    task, network, images, maps
        As for `maps_of_group`, and its result.
    name, seed, first
        Of the network, and number of the group's first image.
    """
    inputs = torch.stack([one.image for one in images])
    against = resolve_baselines(
        task.baseline,
        inputs,
        spacing_mm=task.spacing_mm,
        generator=torch.Generator().manual_seed(0),
    )
    target = ClassLogit(TARGET)

    def forward(x: Tensor) -> Tensor:
        return target(network(x), torch.zeros(len(x), dtype=torch.long))

    rows: list[Measured] = []
    for k, one in enumerate(images):
        on_progress(k, len(images), "scores")
        case = Case(
            image=one.image,
            forward=forward,
            baseline=against.values[0][k],
            baseline_text=against.text,
            spacing_mm=task.spacing_mm,
            truth=one.truth,
            rows=_CURVE_STEPS + 1,
            tolerance_mm=task.tolerance_mm,
        )
        for method, heats in maps.heats.items():
            found = score_map(
                case,
                heats[k],
                kind=kind_of(method),
                seed=first + k,
                steps=_CURVE_STEPS,
                samples=_BOXES,
            )
            scores = dict(found.values)
            if k == 0 and method in maps.complete_percent:
                scores["completeness_percent"] = maps.complete_percent[method]
            if (first + k) % _ALSO_THE_METHOD == 0:
                scores |= _of_the_method(task, network, method, one, heats[k : k + 1])
            rows.append(
                Measured(name, seed, first + k, method, False, maps.seconds[method], _known(scores))
            )
        controls = score_controls(case, seed=first + k, steps=_CURVE_STEPS, samples=_BOXES)
        rows += [
            Measured(name, seed, first + k, control, True, None, _known(found.values))
            for control, found in controls.items()
        ]
    return rows


def _method(task: Task, name: str, network: nn.Module, **given: Any) -> Method:
    return make_method(name, network, **{**task.settings.get(name, {}), **given})


def _regions_of(task: Task, images: Sequence[TrialImage]) -> tuple[list[list[NDArray]], float]:
    """Label images of each image, coarse and fine, and the seconds that they took."""
    started = time.process_time()
    cut = [
        oversegmentations(one.image.numpy(), spacing_mm=task.spacing_mm, counts=_REGIONS)
        for one in images
    ]
    return cut, time.process_time() - started


def _by_regions(
    task: Task,
    network: nn.Module,
    name: str,
    inputs: Tensor,
    cut: Sequence[Sequence[NDArray]],
    heats: Mapping[str, Tensor],
) -> Tensor:
    """Maps of a method whose regions differ from image to image."""
    found = []
    for k, labels in enumerate(cut):
        given: dict[str, Any] = (
            {"labels": labels[0]}
            if name == "supervoxel-occlusion"
            else {"segments": labels, "attribution": heats["ig"][k : k + 1], "smallest": 10}
        )
        found.append(
            _method(task, name, network, **given).attribute(
                inputs[k : k + 1], TARGET, baselines=task.baseline, spacing_mm=task.spacing_mm
            )
        )
    return torch.cat(found)


def _of_the_method(
    task: Task, network: nn.Module, name: str, one: TrialImage, heat: Tensor
) -> dict[str, float]:
    """What needs more maps by the method: with noise on the image, and of a network that knows nothing."""
    if name in ("xrai", "fast-xrai", "supervoxel-occlusion"):
        return {}

    def explain(x: Tensor, of: nn.Module) -> Tensor:
        if of is network and torch.equal(x[0], one.image):
            return heat
        return _method(task, name, of).attribute(
            x, TARGET, baselines=task.baseline, spacing_mm=task.spacing_mm
        )

    kind = kind_of(name)
    scores: dict[str, float] = {}
    try:
        scores["randomised"] = randomise_parameters(
            lambda of: evidence_of(explain(one.image[None], of)[0], kind),
            network,
            generator=torch.Generator().manual_seed(0),
            stages=1,
        ).final
        scores["max_sensitivity"] = max_sensitivity(
            lambda x: explain(x, network),
            one.image,
            generator=torch.Generator().manual_seed(0),
            samples=_NEIGHBOURS,
        )
    except AttributionError:
        # A flat map of a random network has no likeness to anything.
        pass
    return scores


def _known(scores: Mapping[str, float]) -> dict[str, float]:
    return {k: float(v) for k, v in scores.items() if k in SCORES and np.isfinite(v)}
