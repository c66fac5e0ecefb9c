"""What a model folder's `card.json` says: one class for each kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.cohorts.normalisation import NormalisationSpec
from napari_cardioxai.errors import BundleError, CohortError

C = TypeVar("C", bound="Card")

_TEXT, _OBJECT, _LIST = ("text", (str,)), ("an object", (dict,)), ("a list", (list, tuple))
_FORMS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    **dict.fromkeys(("name", "title", "network", "data", "licence", "split", "command"), _TEXT),
    **dict.fromkeys(("network_params", "results", "recipe", "versions"), _OBJECT),
    **dict.fromkeys(("limits", "classes", "concepts"), _LIST),
}
"""What JSON must hold in the fields that are taken as they are."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a reader must know before trusting a model, whatever its kind.

    Attributes
    ----------
    name, title
        Key in lists and on the command line; a line for people.
    kind
        What it does, a key of `CARDS`: "segmenter" labels slices,
        "latent-classifier" reads whole cycles of labels, "image-classifier"
        pictures or volumes.
    network, network_params
        Architecture (a key of the networks room) and its arguments.
    data, licence, split
        What it was trained on, under which licence, and what was kept apart.
    results
        Measured figures, each with its unit or scale in the name.
    command
        The command that made it.
    recipe
        Fields of the recipe.
    versions
        Versions of the libraries that it was made with.
    limits
        What it does not know, in sentences.
    """

    name: str
    title: str
    kind: str
    network: str
    network_params: dict[str, Any]
    data: str
    licence: str
    split: str
    results: dict[str, Any]
    command: str
    recipe: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain types for `card.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls: type[C], values: Mapping[str, Any], *, where: Path) -> C:
        """Check the fields of a `card.json`.

        Raises
        ------
        BundleError
            When fields are missing or unknown, or have values of the wrong form.
        """
        known = {f.name: f for f in fields(cls)}
        required = [
            name
            for name, f in known.items()
            if f.default is MISSING and f.default_factory is MISSING
        ]
        if missing := sorted({*required, "kind"} - values.keys()):
            raise BundleError(
                f"{where} lacks {', '.join(missing)}; it is not a complete model card."
            )
        if unknown := sorted(values.keys() - known.keys()):
            raise BundleError(
                f"{where} has fields that this version does not know: {', '.join(unknown)}."
            )
        for name in known.keys() & values.keys():
            form, types = _FORMS.get(name, ("anything", (object,)))
            if not isinstance(values[name], types):
                raise BundleError(f"{where}: {name} must be {form}, not {values[name]!r}.")
        limits = tuple(map(str, values.get("limits", ())))
        return cls(**cls._parsed({**values, "limits": limits}, where=where))

    @classmethod
    def _parsed(cls, values: dict[str, Any], *, where: Path) -> dict[str, Any]:
        """Give the fields of the kind the types that JSON has not."""
        return values


@dataclass(frozen=True, kw_only=True)
class SegmenterCard(Card):
    """The card of a model that labels slices.

    Attributes
    ----------
    structures
        Output channel to structure label (1 LV cavity, 2 myocardium, 3 RV
        cavity); channel 0 is background.
    pixel_mm, region
        In-plane spacing that the network works at, and the side in such
        pixels of the square around the heart that it is shown.
    views
        2: the mean of a picture as it is and turned by half decides, 1: as it
        is alone. A network that was taught every orientation gains by the second
        view (test-time augmentation, Wang et al. 2019), one that was not loses.
    """

    kind: str = "segmenter"
    structures: dict[int, int]
    pixel_mm: float
    region: int
    views: int = 1

    @classmethod
    def _parsed(cls, values: dict[str, Any], *, where: Path) -> dict[str, Any]:
        try:
            structures = {int(k): int(v) for k, v in values["structures"].items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise BundleError(f"{where}: structures must map channels to labels.") from error
        if values.get("views", 1) not in (1, 2):
            raise BundleError(f"{where}: views must be 1 or 2, not {values['views']!r}.")
        return {**values, "structures": structures}


@dataclass(frozen=True)
class ConceptSlice:
    """A concept and the units of every frame's latent that its classifier sees."""

    name: str
    start: int
    length: int


@dataclass(frozen=True, kw_only=True)
class LatentCard(Card):
    """The card of a model that encodes, decodes and classifies whole cycles.

    Attributes
    ----------
    normalisation
        What its sequences are like.
    classes
        Names of label 0 and of label 1.
    concepts
        In the order of the network's concept classifiers.
    temperature
        Logits of the primary class are divided by it (Guo et al. 2017).
    threshold
        Probability, after the temperature, from which on the decision is
        `classes[1]`, with `youden_index`, `sensitivity` and `specificity` on
        the subjects that it was chosen on; under `value`.
    concept_thresholds
        Probability from which on a concept is called present, by its name; 0.5
        where it is not named.
    baseline
        Logistic regression on measured biomarkers, to be shown beside; None
        when there is none.
    seed
        Of the training.
    """

    kind: str = "latent-classifier"
    normalisation: NormalisationSpec
    classes: tuple[str, str]
    concepts: tuple[ConceptSlice, ...] = ()
    temperature: float = 1.0
    threshold: dict[str, float]
    concept_thresholds: dict[str, float] = field(default_factory=dict)
    baseline: dict[str, Any] | None = None
    seed: int = 0

    def concept_threshold(self, name: str) -> float:
        """Probability from which on a concept is called present."""
        return self.concept_thresholds.get(name, 0.5)

    @classmethod
    def _parsed(cls, values: dict[str, Any], *, where: Path) -> dict[str, Any]:
        try:
            parsed = {
                **values,
                "normalisation": NormalisationSpec(**values["normalisation"]),
                "classes": tuple(map(str, values["classes"])),
                "concepts": tuple(ConceptSlice(**one) for one in values.get("concepts", ())),
                "temperature": float(values.get("temperature", 1.0)),
                "threshold": {k: float(v) for k, v in values["threshold"].items()},
                "concept_thresholds": {
                    str(k): float(v) for k, v in values.get("concept_thresholds", {}).items()
                },
            }
        except (AttributeError, TypeError, ValueError, CohortError) as error:
            raise BundleError(
                f"{where}: normalisation, classes, concepts, temperature or threshold are not "
                f"what they should be ({error})."
            ) from error
        if len(set(parsed["classes"])) != 2 or len(parsed["classes"]) != 2:
            raise BundleError(f"{where}: there must be the names of two classes.")
        names = [concept.name for concept in parsed["concepts"]]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise BundleError(f"{where}: the concept {twice[0]!r} comes twice.")
        if not isinstance(values.get("baseline"), dict | None):
            raise BundleError(f"{where}: the baseline must be an object or null.")
        if not parsed["temperature"] > 0 or not 0 <= parsed["threshold"].get("value", -1) <= 1:
            raise BundleError(
                f"{where}: the temperature must be positive and the threshold's value a probability."
            )
        slices = [[c.start, c.length] for c in parsed["concepts"]]
        if slices != [list(s) for s in values["network_params"].get("concepts", [])]:
            raise BundleError(
                f"{where}: the slices of the concepts are not those of the network's classifiers."
            )
        return parsed


@dataclass(frozen=True, kw_only=True)
class ImageClassifierCard(Card):
    """The card of a model that puts pictures or volumes into classes.

    Attributes
    ----------
    input
        What they are brought to.
    classes
        Names in the order of the logits.
    temperature
        Logits are divided by it (Guo et al. 2017).
    split_column
        Of the manifest, which says what it was not trained on; empty when unknown.
    seed
        Of the training.
    """

    kind: str = "image-classifier"
    input: InputSpec
    classes: tuple[str, ...]
    temperature: float = 1.0
    split_column: str = ""
    seed: int = 0

    @classmethod
    def _parsed(cls, values: dict[str, Any], *, where: Path) -> dict[str, Any]:
        try:
            parsed = {
                **values,
                "input": InputSpec.from_json(values["input"]),
                "classes": tuple(map(str, values["classes"])),
                "temperature": float(values.get("temperature", 1.0)),
            }
        except (AttributeError, KeyError, TypeError, ValueError, CohortError) as error:
            raise BundleError(
                f"{where}: input, classes or temperature are not what they should be ({error})."
            ) from error
        params = values["network_params"]
        if (params.get("classes"), params.get("spatial_dims")) != (
            len(parsed["classes"]),
            parsed["input"].dims,
        ):
            raise BundleError(
                f"{where}: the network's classes and dimensions are not those of the card."
            )
        if len(set(parsed["classes"])) != len(parsed["classes"]) or not parsed["temperature"] > 0:
            raise BundleError(
                f"{where}: every class needs a name of its own, and the temperature must be positive."
            )
        return parsed


CARDS: Mapping[str, type[Card]] = {
    "segmenter": SegmenterCard,
    "latent-classifier": LatentCard,
    "image-classifier": ImageClassifierCard,
}
"""Classes by the kind that a card names."""
