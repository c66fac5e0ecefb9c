"""Recipes of the image classifiers: everything that decides what a training does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from torch import nn

from napari_cardioxai.cohorts.image_input import INTENSITIES, InputSpec
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.classifiers import CLASSIFIERS, SMALLEST_SIDE, classifier
from napari_cardioxai.training.jobs.fields import FieldSpec, fields_of, read_settings

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("constant", "one-cycle")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def _number(default: float, label: str, low: float, high: float, *, unit: str = "") -> Any:
    return field(
        default=default,
        metadata={"label": label, "unit": unit, "min": low, "max": high, "group": "training"},
    )


def _choice(default: str, label: str, choices: tuple[str, ...]) -> Any:
    return field(
        default=default, metadata={"label": label, "choices": choices, "group": "training"}
    )


def _check(name: str, value: Any, metadata: Mapping[str, Any]) -> None:
    if "choices" in metadata and value not in metadata["choices"]:
        known = ", ".join(map(str, metadata["choices"]))
        raise BundleError(f"{name} cannot be {value!r}; choose {known}.")
    if "min" in metadata and not metadata["min"] <= value <= metadata["max"]:
        raise BundleError(
            f"{name} must lie between {metadata['min']:g} and {metadata['max']:g}, not at {value:g}."
        )


@dataclass(frozen=True)
class ImageRecipe:
    """Everything that decides what the training of an image classifier does.

    The defaults are the setting of Brima and Atemkeng 2024 for brain tumours,
    as far as they state it: pictures of 225 x 225, SGD with momentum 0.939,
    learning rate and weight decay as below, batches of 32, 20 epochs, nothing
    drawn anew.

    Attributes
    ----------
    network, network_params
        A key of `networks.classifiers.CLASSIFIERS`, and what it takes besides
        dimensions, channels and classes.
    size, spacing_mm, intensities
        Of the `InputSpec`; 0 mm fits whole pictures.
    channels
        Of the input; more than one repeats the picture, as weights for colours want.
    optimizer, learning_rate, momentum, weight_decay, schedule
        "sgd", or "adamw", which has no use for the momentum;
        "one-cycle" rises over 10 % of the steps and falls to nearly nothing.
    epochs, batch_size
        Visits of each image; images per step.
    class_weights
        Every class counts alike in the loss, however rare.
    label_smoothing
        Part of the certainty that is spread over all classes.
    flip_lr
        Whether left and right are exchanged by chance.
    turn_deg, shift, stretch
        Largest rotation about each axis, and largest shift and change of size as
        parts of the side, drawn anew at every visit.
    gain, noise
        Largest change of brightness as a part of it, and largest standard
        deviation of added noise.
    region_weight, region_structures
        Weight of a second task while it trains: to say where structures lie
        whose labels are given, by a map over the last features that is thrown
        away afterwards. For signs too small to be found from the class alone;
        needs the column `regions`. 0: no such task.
    keep_best
        Give back the epoch of the best balanced accuracy on the validation
        images, not the last one.
    precision
        As Lightning names it.
    seed
        Of weights, order and augmentation.
    """

    network: str = "densenet121"
    network_params: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, ...] = (225, 225)
    spacing_mm: float = _number(0.0, "Pixel size; 0 fits the picture", 0, 20, unit="mm")
    intensities: Literal["percentiles", "range"] = _choice("range", "Intensities", INTENSITIES)
    channels: int = _number(1, "Channels", 1, 16)
    optimizer: Literal["sgd", "adamw"] = _choice("sgd", "Optimiser", OPTIMIZERS)
    learning_rate: float = _number(1e-3, "Learning rate", 1e-7, 1)
    momentum: float = _number(0.939, "Momentum", 0, 0.999)
    weight_decay: float = _number(3e-4, "Weight decay", 0, 10)
    schedule: Literal["constant", "one-cycle"] = _choice(
        "constant", "Learning rate over time", SCHEDULES
    )
    epochs: int = _number(20, "Epochs", 1, 10000)
    batch_size: int = _number(32, "Images per step", 1, 4096)
    class_weights: bool = field(
        default=True, metadata={"label": "Balance classes", "group": "training"}
    )
    label_smoothing: float = _number(0.0, "Label smoothing", 0, 0.5)
    flip_lr: bool = field(
        default=False, metadata={"label": "Exchange sides", "group": "augmentation"}
    )
    turn_deg: float = _number(0.0, "Largest rotation", 0, 180, unit="degrees")
    shift: float = _number(0.0, "Largest shift", 0, 0.5, unit="of the side")
    stretch: float = _number(0.0, "Largest change of size", 0, 0.5)
    gain: float = _number(0.0, "Largest change of brightness", 0, 0.9)
    noise: float = _number(0.0, "Largest noise", 0, 1)
    region_weight: float = _number(0.0, "Weight of seeing a region", 0, 100)
    region_structures: tuple[int, ...] = ()
    keep_best: bool = field(
        default=False, metadata={"label": "Keep the best epoch", "group": "training"}
    )
    precision: str = _choice("32-true", "Precision", PRECISIONS)
    seed: int = _number(0, "Seed", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(int(side) for side in self.size))
        object.__setattr__(self, "network_params", dict(self.network_params))
        object.__setattr__(self, "region_structures", tuple(map(int, self.region_structures)))
        if self.network not in CLASSIFIERS:
            raise BundleError(
                f"there is no network {self.network!r}; known are {', '.join(CLASSIFIERS)}."
            )
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f.metadata)
        if self.region_weight and not self.region_structures:
            raise BundleError("a region to see has labels; name them in region_structures.")
        smallest = SMALLEST_SIDE.get(self.network, 1)
        if min(self.spec.size) < smallest:
            raise BundleError(
                f"{self.network} needs {smallest} pixels each way or more, not {min(self.size)}."
            )

    @property
    def spec(self) -> InputSpec:
        """What the images must be like."""
        return InputSpec(self.size, self.spacing_mm or None, self.intensities)

    def params_for(self, classes: int) -> dict[str, Any]:
        """Arguments of the network, as a model card carries them."""
        return {
            "spatial_dims": len(self.size),
            "in_channels": self.channels,
            "classes": classes,
            **self.network_params,
        }

    def build(self, classes: int) -> nn.Module:
        """The untrained network, with weights from torch's global generator."""
        return classifier(self.network, **self.params_for(classes))

    def as_json(self) -> dict[str, Any]:
        """Plain types, for the card and for checkpoints."""
        lists = {"size": list(self.size), "region_structures": list(self.region_structures)}
        return {**asdict(self), **lists}


_TUMOUR = ImageRecipe()
_BRAIN = ImageRecipe(
    network="brain3d",
    network_params={"channels": (16, 32, 64, 128), "dropout": 0.2},
    size=(112, 136, 112),
    spacing_mm=1.5,
    intensities="percentiles",
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=1e-2,
    schedule="one-cycle",
    epochs=40,
    batch_size=4,
    flip_lr=True,
    turn_deg=5.0,
    shift=0.03,
    stretch=0.03,
    gain=0.1,
    noise=0.03,
    keep_best=True,
)
RECIPES: Mapping[str, ImageRecipe] = {
    "tumour": _TUMOUR,
    # Ours: pictures are moved about and the rate falls, so that fewer are learnt by heart.
    "tumour-tuned": replace(
        _TUMOUR,
        optimizer="adamw",
        schedule="one-cycle",
        weight_decay=2e-2,
        epochs=40,
        label_smoothing=0.05,
        flip_lr=True,
        turn_deg=15.0,
        shift=0.06,
        stretch=0.12,
        gain=0.15,
        noise=0.03,
    ),
    "brain3d": _BRAIN,
    # The middle 78 x 66 x 96 mm of the brain, where the temporal lobes are; sizes are not
    # stretched, because the size of the hippocampus is the sign.
    "brain3d-hippocampus": replace(
        _BRAIN,
        network_params={"channels": (16, 32, 64), "dropout": 0.0},
        size=(52, 44, 64),
        learning_rate=2e-3,
        batch_size=8,
        epochs=30,
        turn_deg=3.0,
        stretch=0.0,
        noise=0.02,
        region_weight=1.0,
        region_structures=(17, 53),
        keep_best=False,
    ),
}
"""Recipes by their name on the command line."""


def recipe_for(name: str, **changes: Any) -> ImageRecipe:
    """A recipe by its name in `RECIPES`, with fields changed.

    Raises
    ------
    BundleError
        When there is no such recipe or field, or a value does not fit.
    """
    if name not in RECIPES:
        raise BundleError(f"there is no recipe {name!r}; known are {', '.join(RECIPES)}.")
    if unknown := changes.keys() - {f.name for f in fields(ImageRecipe)}:
        raise BundleError(f"an image recipe has no field {sorted(unknown)[0]!r}.")
    return replace(RECIPES[name], **changes)


_BASIC = ("network", "size", "epochs", "batch_size", "learning_rate")


def form_of(recipe: ImageRecipe) -> tuple[FieldSpec, ...]:
    """The fields of a recipe as a form shows them and a command line reads them."""
    notes: dict[str, dict[str, Any]] = {
        "network": {"label": "Network", "choices": tuple(CLASSIFIERS)},
        "network_params": {"label": "Network options"},
        "size": {"label": "Input size, slowest axis first", "unit": "pixels", "min": 7},
        "region_structures": {"label": "Labels of the region to see"},
    }
    return fields_of(recipe, notes=notes, basic=_BASIC)


def with_settings(recipe: ImageRecipe, settings: Sequence[str]) -> ImageRecipe:
    """The recipe with other values for some fields.

    Parameters
    ----------
    recipe
        Gives all other values.
    settings
        As for `read_settings`.

    Raises
    ------
    BundleError
        When there is no such field, or values do not fit each other.
    TrainingError
        When a value is none that the field can have.
    """
    return with_changes(recipe, read_settings(form_of(recipe), settings))


def with_changes(recipe: ImageRecipe, changes: Mapping[str, Any]) -> ImageRecipe:
    """The recipe with other values; another network does not take over the options of the first.

    Raises
    ------
    BundleError
        When values do not fit each other.
    """
    changes = dict(changes)
    other = changes.get("network", recipe.network) != recipe.network
    if other and changes.get("network_params", recipe.network_params) == recipe.network_params:
        changes["network_params"] = {}
    return replace(recipe, **changes)
