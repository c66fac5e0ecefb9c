"""Recipes of the latent hearts: everything that decides what a training does."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from napari_cardioxai.bundles.card import ConceptSlice
from napari_cardioxai.cohorts.normalisation import NormalisationSpec
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.latent import LatentHeart, check_concept_slices

STAGES = ("vae", "primary", "concepts")
CLOUGH_CONCEPTS = ("low EF", "low PER", "low PFR", "low APFR", "high LVT")
CRT_CONCEPTS = (
    "septal flash",
    "late lateral wall",
    "posterolateral scar",
    "weak right ventricle",
)
_RISING = 0.05  # of a stage: the learning rate grows
_LOWEST = 0.01  # of the learning rate at the end of a stage
_WIDEST = 4096  # of a layer
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")

R = TypeVar("R", bound="LatentRecipe")


def side_by_side(names: Iterable[str], *, length: int, start: int = 0) -> tuple[ConceptSlice, ...]:
    """Concepts of equal length one after the other, from unit `start` on."""
    return tuple(ConceptSlice(name, start + k * length, length) for k, name in enumerate(names))


def _number(
    default: float, label: str, low: float, high: float, *, unit: str = "", group: str = "training"
) -> Any:
    """A field with what a form needs: a name, a unit, limits and where to show it."""
    return field(
        default=default,
        metadata={"label": label, "unit": unit, "min": low, "max": high, "group": group},
    )


def _choice(default: Any, label: str, choices: tuple, *, group: str = "training") -> Any:
    return field(default=default, metadata={"label": label, "choices": choices, "group": group})


def _switch(default: bool, label: str, *, group: str = "training") -> Any:
    return field(default=default, metadata={"label": label, "group": group})


def _list(default: tuple, label: str, *, group: str) -> Any:
    return field(default=default, metadata={"label": label, "group": group})


def _widths(default: tuple[int, ...], label: str, *, at_least: int) -> Any:
    """Units or channels of layers, `at_least` so many of them."""
    return field(default=default, metadata={"label": label, "group": "network", "layers": at_least})


@dataclass(frozen=True)
class LatentRecipe:
    """What the recipes of Clough and of Puyol-Antón have in common.

    A training goes through three stages, each with its own number of epochs:
    the autoencoder; with the primary classifier; with the concept classifiers.
    The metadata of every field holds its label, unit and limits or choices; a
    form, the command line and the model card are made from the same fields.

    The loss, in nats per pixel of a frame, is::

        (cross-entropy + beta KL) / pixels + gamma BCE + alpha sum of BCE over concepts
            + perceptual distance, weighted, of images

    with the cross-entropy summed over the pixels of a frame (all slices), the
    KL over its latent units, and both averaged over frames and sequences: the
    first term is the negative evidence bound of a frame, spread over its pixels,
    so that beta has its usual meaning (Higgins et al. 2017) and gamma and alpha
    weigh numbers of one order against each other. Concepts count as the mean
    over the subjects of whom they are known.

    Attributes
    ----------
    frames, slices, rotate
        Of the `NormalisationSpec`.
    reads
        "labels" (cross-entropy), or "images": intensities, whose distance is
        half the squared error over `image_sd` squared, as a Gaussian likelihood has it.
    image_sd
        Standard deviation of that likelihood; intensities have a standard deviation near 1.
    perceptual
        Weight of the `PerceptualDistance` of decoded pictures, as the default
        segmenter sees them; images only. The squared error alone averages what
        it is not sure of, and such pictures are too blurred to read.
    latent, channels, decoder, time, frame_units, hidden, dropout
        Of the network, see `LatentHeart`. Without a decoder it is a plain
        classifier, with neither reconstruction nor KL.
    concepts
        Names of columns with the part of the latent that each classifier sees.
    beta, gamma, alpha
        Weights of KL, primary and concept terms.
    wall
        Weight of a term that asks the 64-unit layer, and the hidden layers of new
        concept classifiers, for the motion of the wall (see
        `latent_heads.WallMotion`), labels only. A few hundred positives
        alone do not teach a network to measure walls.
    kl_warmup_epochs
        Epochs over which beta grows from nothing.
    vae_epochs, primary_epochs, concept_epochs
        Of the three stages; without a decoder or without concepts their stage is left out.
    head_epochs
        Epochs for which classifiers that are new in a stage first learn alone,
        on the latents of the finished autoencoder; part of the stage's first epoch.
    refit
        Whether classifiers are taught anew, for `head_epochs`, on the latents of
        the autoencoder as the stages left it; those that went along with it are
        left behind.
    patience
        Epochs without a better validation loss after which a stage ends; 0: never.
    batch_size
        Subjects per step.
    frames_per_subject
        Frames of each subject that a step of the first stage looks at, and
        that later stages decode; drawn anew every time. 0: all.
    learning_rate, head_learning_rate, later_rate, schedule, weight_decay
        Of Adam (decoupled decay); `learning_rate` is multiplied by `later_rate`
        after the first stage of an autoencoder. With a `later_rate` of 0 the
        autoencoder stays as it is and the `head_epochs` are all that a later stage
        does. "one-cycle" rises over the first twentieth of
        each stage and falls as a cosine to a hundredth.
    balance
        Weigh positives in the BCE of label and concepts by negatives over
        positives; that shift of the odds is taken back from the finished classifiers.
    shift_px, turn_deg
        Largest random shift and rotation of a sequence.
    precision, seed
        As Lightning names it; of weights, order, augmentation and noise.
    """

    frames: int = _choice(25, "Frames per cycle", (25, 50), group="input")
    slices: Literal["central", "basal"] = _choice(
        "central", "Slices", ("central", "basal"), group="input"
    )
    rotate: bool = _switch(False, "Turn septum to the left", group="input")
    reads: Literal["labels", "images"] = _choice(
        "labels", "Input", ("labels", "images"), group="input"
    )
    image_sd: float = _number(0.1, "Noise of images", 0.01, 10, group="loss")
    perceptual: float = _number(0.0, "Weight of the perceptual distance", 0, 1000, group="loss")
    latent: int = _number(128, "Latent units per frame", 2, 1024, group="network")
    channels: tuple[int, ...] = _widths((32, 64, 96), "Widths of the levels", at_least=1)
    decoder: bool = _switch(True, "Decoder", group="network")
    time: str = _choice("concat", "Frames together by", ("concat", "lstm", "conv"), group="network")
    frame_units: int = _number(16, "Shared units per frame", 1, 512, group="network")
    hidden: tuple[int, ...] = _widths((128,), "Layers before the concept layer", at_least=0)
    dropout: float = _number(0.0, "Dropout of the classifiers", 0, 0.9, group="network")
    concepts: tuple[ConceptSlice, ...] = _list((), "Concepts", group="concepts")
    beta: float = _number(0.2, "Weight of KL, beta", 0, 100, group="loss")
    gamma: float = _number(1.0, "Weight of the primary class, gamma", 0, 1000, group="loss")
    alpha: float = _number(0.9, "Weight of each concept, alpha", 0, 1000, group="loss")
    wall: float = _number(0.0, "Weight of wall motion", 0, 1000, group="loss")
    kl_warmup_epochs: int = _number(0, "Warm-up of KL", 0, 1000, unit="epochs", group="loss")
    vae_epochs: int = _number(100, "Autoencoder alone", 0, 10_000, unit="epochs", group="epochs")
    primary_epochs: int = _number(
        50, "With primary class", 0, 10_000, unit="epochs", group="epochs"
    )
    concept_epochs: int = _number(50, "With concepts", 0, 10_000, unit="epochs", group="epochs")
    head_epochs: int = _number(
        0, "New classifiers on fixed latents", 0, 10_000, unit="epochs", group="epochs"
    )
    patience: int = _number(0, "Patience", 0, 1000, unit="epochs", group="epochs")
    batch_size: int = _number(8, "Subjects per step", 1, 4096)
    frames_per_subject: int = _number(0, "Decoded frames per subject", 0, 50)
    learning_rate: float = _number(1e-4, "Learning rate", 1e-7, 1)
    schedule: Literal["constant", "one-cycle"] = _choice(
        "constant", "Learning rate over a stage", ("constant", "one-cycle")
    )
    refit: bool = _switch(False, "New classifiers at the end")
    head_learning_rate: float = _number(1e-3, "Learning rate on fixed latents", 1e-7, 1)
    later_rate: float = _number(1.0, "Share of the learning rate in later stages", 0, 1)
    weight_decay: float = _number(0.0, "Weight decay", 0, 10)
    balance: bool = _switch(False, "Balance classes")
    shift_px: float = _number(5.0, "Largest shift", 0, 20, unit="pixels", group="augmentation")
    turn_deg: float = _number(0.0, "Largest rotation", 0, 180, unit="degrees", group="augmentation")
    precision: str = _choice("32-true", "Precision", PRECISIONS)
    seed: int = _number(0, "Seed", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        concepts = tuple(
            c if isinstance(c, ConceptSlice) else ConceptSlice(**c) for c in self.concepts
        )
        object.__setattr__(self, "concepts", concepts)
        object.__setattr__(self, "channels", tuple(self.channels))
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for f in fields(self):
            _check_field(f.name, getattr(self, f.name), f.metadata)
        names = [concept.name for concept in self.concepts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise BundleError(f"the concept {twice[0]!r} comes twice.")
        check_concept_slices([(c.start, c.length) for c in self.concepts], self.latent)
        if self.perceptual and self.reads != "images":
            raise BundleError("the perceptual distance is one of pictures; set reads to images.")
        if not self.epochs:
            raise BundleError("every stage has 0 epochs; give at least one stage some.")

    @property
    def stages(self) -> tuple[tuple[str, int], ...]:
        """Stages that there are, in their order, with their epochs."""
        asked = {
            "vae": self.vae_epochs if self.decoder else 0,
            "primary": self.primary_epochs,
            "concepts": self.concept_epochs if self.concepts else 0,
        }
        return tuple((name, asked[name]) for name in STAGES if asked[name])

    @property
    def epochs(self) -> int:
        """Of all stages together."""
        return sum(count for _, count in self.stages)

    @property
    def spec(self) -> NormalisationSpec:
        """What the sequences must be like."""
        return NormalisationSpec(frames=self.frames, slices=self.slices, rotate=self.rotate)

    @property
    def network_params(self) -> dict[str, Any]:
        """Arguments of `LatentHeart`, as a model card carries them."""
        return {
            "frames": self.frames,
            "slices": self.spec.shape[1],
            "size": self.spec.size,
            "reads": self.reads,
            "classes": 4,
            "latent": self.latent,
            "channels": list(self.channels),
            "patch": 4,
            "decoder": self.decoder,
            "time": self.time,
            "frame_units": self.frame_units,
            "hidden": list(self.hidden),
            "concepts": [[c.start, c.length] for c in self.concepts],
            "concept_hidden": 32,
            "dropout": self.dropout,
        }

    @classmethod
    def tuned(cls: type[R], **changes: Any) -> R:
        """What trains well in an hour or so of one core."""
        return cls(**{**_TUNED, **changes})

    def build(self) -> LatentHeart:
        """The untrained network, with weights from torch's global generator."""
        return LatentHeart(**self.network_params)

    def with_epochs(self: R, epochs: int) -> R:
        """The recipe with `epochs` in all, the stages in their proportions, one or more each."""
        present = dict(self.stages)
        if epochs < len(present):
            raise BundleError(
                f"{epochs} epochs cannot be spread over the {len(present)} stages "
                f"{', '.join(present)}; ask for {len(present)} or more."
            )
        shares = {name: max(1, epochs * count // self.epochs) for name, count in present.items()}
        last = max(shares, key=lambda name: shares[name])
        shares[last] += epochs - sum(shares.values())
        changes: dict[str, Any] = {_EPOCHS[name]: shares[name] for name in present}
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        """Plain types, for the card and for checkpoints."""
        values = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_json(cls: type[R], values: Mapping[str, Any]) -> R:
        """Inverse of `as_json`.

        Raises
        ------
        BundleError
            When a field is unknown or its value out of range.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise BundleError(f"a latent recipe has no field {unknown[0]!r}.")
        return cls(**values)


_EPOCHS = {"vae": "vae_epochs", "primary": "primary_epochs", "concepts": "concept_epochs"}

_TUNED: dict[str, Any] = {
    # Scanners and files lay pictures down in any way; the decision must not follow them.
    "rotate": True,
    "batch_size": 16,
    "frames_per_subject": 5,
    "frame_units": 64,
    "hidden": (),
    "wall": 1.0,
    "head_epochs": 30,
    "later_rate": 0.0,
    "learning_rate": 3e-3,
    "schedule": "one-cycle",
    "weight_decay": 1e-2,
    "dropout": 0.2,
    "precision": "bf16-mixed",
}


@dataclass(frozen=True)
class CloughRecipe(LatentRecipe):
    """Clough et al. 2019: disease from the cycle, concepts read afterwards.

    The defaults are the paper's where it states them (latent 128, beta 0.2,
    gamma 1, Adam 1e-4, batches of 8, shifts up to 5 pixels); numbers of epochs
    and the widths of the network are ours. Concepts are read from the 64-unit
    layer after the training; here they take no part in it.
    """

    @classmethod
    def tuned(cls, **changes: Any) -> CloughRecipe:
        """What trains well in half an hour of one core, with the paper's five concepts.

        They overlap: what each is read from is three quarters of the latent.
        """
        settings = _TUNED | {
            "concepts": tuple(ConceptSlice(name, 0, 96) for name in CLOUGH_CONCEPTS),
            "vae_epochs": 14,
            "primary_epochs": 3,
            "concept_epochs": 0,
            "later_rate": 0.1,
            "refit": True,
        }
        return cls(**{**settings, **changes})


@dataclass(frozen=True)
class CrtRecipe(LatentRecipe):
    """Puyol-Antón et al. 2020: response to resynchronisation, with concept classifiers.

    The defaults are the papers' where they state them (latent 128, beta 0.2,
    gamma 1, alpha 0.9, Adam 1e-4, batches of 8, basal slices, rotation and
    translation). Septal flash is the paper's concept; it sees a quarter of the latent.
    """

    slices: Literal["central", "basal"] = _choice(
        "basal", "Slices", ("central", "basal"), group="input"
    )
    concepts: tuple[ConceptSlice, ...] = _list(
        side_by_side(CRT_CONCEPTS[:1], length=32), "Concepts", group="concepts"
    )
    turn_deg: float = _number(
        10.0, "Largest rotation", 0, 180, unit="degrees", group="augmentation"
    )

    @classmethod
    def tuned(cls, **changes: Any) -> CrtRecipe:
        """What trains well in an hour or so of one core, with the four concepts of the phantoms."""
        settings = _TUNED | {
            "concepts": side_by_side(CRT_CONCEPTS, length=24),
            "vae_epochs": 16,
            "primary_epochs": 1,
            "concept_epochs": 1,
        }
        return cls(**{**settings, **changes})


RECIPES: Mapping[str, type[LatentRecipe]] = {"clough": CloughRecipe, "crt": CrtRecipe}
"""Recipes by their name on the command line."""


def one_cycle(progress: float) -> float:
    """Share of the largest learning rate: a short rise, then a cosine down to a hundredth."""
    if progress < _RISING:
        return max(_LOWEST, progress / _RISING)
    falling = (progress - _RISING) / (1 - _RISING)
    return _LOWEST + (1 - _LOWEST) * 0.5 * (1 + math.cos(math.pi * min(1.0, falling)))


def _check_field(name: str, value: Any, metadata: Mapping[str, Any]) -> None:
    label = metadata["label"]
    if "choices" in metadata and value not in metadata["choices"]:
        raise BundleError(
            f"{name} ({label}) cannot be {value!r}; choose {', '.join(map(str, metadata['choices']))}."
        )
    if "layers" in metadata and (
        len(value) < metadata["layers"]
        or any(not isinstance(width, int) or not 1 <= width <= _WIDEST for width in value)
    ):
        raise BundleError(
            f"{name} ({label}) cannot be {','.join(map(str, value)) or 'nothing'}; give whole "
            f"numbers separated by commas, 1 to {_WIDEST}."
        )
    if "min" in metadata:
        low, high = metadata["min"], metadata["max"]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BundleError(f"{name} ({label}) must be a number, not {value!r}.")
        if not low <= value <= high:
            unit = f" {metadata['unit']}" if metadata["unit"] else ""
            raise BundleError(
                f"{name} ({label}) must lie between {low:g} and {high:g}{unit}, not at {value:g}."
            )


def recipe_for(
    name: str,
    *,
    paper: bool = False,
    columns: Collection[str] = (),
    concepts: Sequence[str] | None = None,
    epochs: int | None = None,
    settings: Sequence[str] = (),
) -> LatentRecipe:
    """A recipe by name, with the concepts of a cohort and with what was asked for.

    Parameters
    ----------
    name
        A key of `RECIPES`.
    paper
        The papers' settings instead of the tuned ones.
    columns
        Of the manifest; concepts of the recipe that it does not have are left out.
    concepts
        Names of the concepts to learn instead, side by side over half of the latent.
    epochs
        In all, the stages in their proportions.
    settings
        FIELD=VALUE for any other field.

    Raises
    ------
    BundleError
        When there is no such recipe or field, or a value does not fit.
    """
    if name not in RECIPES:
        raise BundleError(f"there is no recipe {name!r}; known are {', '.join(RECIPES)}.")
    recipe = RECIPES[name]() if paper else RECIPES[name].tuned()
    changes = _changes(recipe, settings)
    if concepts is not None:
        latent = int(changes.get("latent", recipe.latent))
        length = latent // 2 // max(1, len(concepts))
        if concepts and not length:
            raise BundleError(
                f"{len(concepts)} concepts do not find room in half of {latent} units."
            )
        chosen = side_by_side(concepts, length=length)
    else:
        chosen = tuple(concept for concept in recipe.concepts if concept.name in columns)
    recipe = replace(recipe, **{**changes, "concepts": chosen})
    return recipe if epochs is None else recipe.with_epochs(epochs)


def with_settings(recipe: R, settings: Sequence[str]) -> R:
    """The recipe with other values for some fields.

    Parameters
    ----------
    settings
        FIELD=VALUE each, for any field but the concepts.

    Raises
    ------
    BundleError
        When there is no such field, or a value does not fit.
    """
    return replace(recipe, **_changes(recipe, settings))


def _changes(recipe: LatentRecipe, settings: Sequence[str]) -> dict[str, Any]:
    return dict(_setting(recipe, text) for text in settings)


def _setting(recipe: LatentRecipe, text: str) -> tuple[str, Any]:
    """FIELD=VALUE with the value in the field's own type."""
    name, _, value = text.partition("=")
    known = {f.name for f in fields(recipe)} - {"concepts"}
    if name not in known or not value:
        raise BundleError(
            f"{text!r} is no setting; give FIELD=VALUE with one of {', '.join(sorted(known))}."
        )
    now = getattr(recipe, name)
    try:
        if isinstance(now, bool):
            return name, {"true": True, "false": False}[value.lower()]
        if isinstance(now, tuple):
            return name, tuple(int(part) for part in value.split(","))
        return name, type(now)(value)
    except (ValueError, KeyError) as error:
        raise BundleError(f"{name} cannot be {value!r}; it is {now!r} by default.") from error
