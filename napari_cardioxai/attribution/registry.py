"""All methods by name, with what a form, a table or a report has to say about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from napari_cardioxai.attribution.base import Method, Sign
from napari_cardioxai.attribution.cam import (
    GradCam,
    GradCamPlusPlus,
    GuidedGradCam,
    GuidedGradCamPlusPlus,
    RelevanceGradCamPlusPlus,
    ScoreCam,
)
from napari_cardioxai.attribution.gradients import (
    Gradient,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    SmoothGrad,
    SquaredSmoothGrad,
)
from napari_cardioxai.attribution.layers import LayerActivation
from napari_cardioxai.attribution.paths import (
    BlurIntegratedGradients,
    GuidedIntegratedGradients,
    IntegratedGradients,
)
from napari_cardioxai.attribution.regions import FastXrai, OcclusionMap, SupervoxelOcclusion, Xrai
from napari_cardioxai.attribution.relevance import RelevancePropagation
from napari_cardioxai.attribution.smooth import (
    SmoothBlurGuided,
    SmoothBlurIntegratedGradients,
    SmoothGuidedIntegratedGradients,
    SmoothIntegratedGradients,
)
from napari_cardioxai.errors import AttributionError


@dataclass(frozen=True)
class Entry:
    """A method as a list shows it.

    Attributes
    ----------
    name
        On the command line and in files.
    title
        For people.
    method
        The class.
    family
        "gradients", "paths", "activation maps", "relevance", "regions" or "layers".
    """

    name: str
    title: str
    method: type[Method]
    family: str

    @property
    def sign(self) -> Sign:
        """Whether the map has two signs or is nowhere below zero."""
        return self.method.sign

    @property
    def meaning(self) -> str:
        """What a high value says."""
        return self.method.meaning

    @property
    def valid_for(self) -> str:
        """Networks that it can explain, in words; `checks.check_methods` looks at a network."""
        return self.method.valid_for

    @property
    def source(self) -> str:
        """Who published it."""
        return self.method.source

    @property
    def uses_baseline(self) -> bool:
        """Whether the choice of a baseline matters."""
        return self.method.uses_baseline

    @property
    def shares_out(self) -> bool:
        """Whether the map claims to sum to the number that it explains."""
        return self.method.shares_out

    @property
    def uses_layer(self) -> bool:
        """Whether a layer can be chosen."""
        return any(one.name == "layer" for one in fields(self.method))


_FAMILIES: Mapping[str, tuple[type[Method], ...]] = {
    "gradients": (
        Gradient,
        InputXGradient,
        SmoothGrad,
        SquaredSmoothGrad,
        GuidedBackprop,
        GradientShap,
    ),
    "paths": (
        IntegratedGradients,
        SmoothIntegratedGradients,
        GuidedIntegratedGradients,
        SmoothGuidedIntegratedGradients,
        BlurIntegratedGradients,
        SmoothBlurIntegratedGradients,
        SmoothBlurGuided,
    ),
    "activation maps": (GradCam, GradCamPlusPlus, GuidedGradCam, GuidedGradCamPlusPlus, ScoreCam),
    "relevance": (RelevancePropagation, RelevanceGradCamPlusPlus),
    "regions": (OcclusionMap, SupervoxelOcclusion, Xrai, FastXrai),
    "layers": (LayerActivation,),
}

METHODS: Mapping[str, Entry] = {
    method.name: Entry(method.name, method.title, method, family)
    for family, methods in _FAMILIES.items()
    for method in methods
}
"""Every method by its name, in the order in which they are listed."""


def make_method(name: str, model: nn.Module, **settings: Any) -> Method:
    """A method by its name.

    Parameters
    ----------
    name
        A key of `METHODS`.
    model
        What it explains.
    settings
        Fields of the method's class.

    Raises
    ------
    AttributionError
        When there is no such method or setting, or a value is out of its limits.
    """
    if name not in METHODS:
        raise AttributionError(f"there is no method {name!r}; known are {', '.join(METHODS)}.")
    known = [one.name for one in fields(METHODS[name].method) if one.name != "model"]
    if unknown := sorted(settings.keys() - set(known)):
        raise AttributionError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(known)}.")
    return METHODS[name].method(model, **settings)
