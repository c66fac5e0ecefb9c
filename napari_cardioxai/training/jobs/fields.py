"""Fields of a recipe as a form shows them, and their values as a person types them."""

from __future__ import annotations

import inspect
import json
import math
import re
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from napari_cardioxai.errors import BundleError, TrainingError

Kind = Literal["whole", "number", "switch", "choice", "wholes", "text", "structure"]

_ENTRY = re.compile(r"^(?P<names>\w[\w, ]*)\n(?P<text>(?:    .*\n|\n)+)", re.MULTILINE)
_ENDLESS = 1e6  # limits beyond it are there for the computer only


@dataclass(frozen=True)
class FieldSpec:
    """One field of a recipe.

    Attributes
    ----------
    name, label, unit
        As the dataclass, a person and a ruler call it.
    kind
        "whole" and "number" are numbers, "wholes" several whole ones, "switch"
        is on or off, "choice" one of `choices`, "text" any, "structure" anything in JSON.
    default
        Its value when nobody says otherwise, in plain types.
    low, high
        Limits, both allowed.
    choices
        What a "choice" may be.
    optional
        Whether it may be left blank, which means None.
    advanced
        Whether most people leave it alone.
    about
        What it does, for a tooltip.
    """

    name: str
    label: str
    kind: Kind
    default: Any
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    optional: bool = False
    advanced: bool = False
    about: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FieldSpec:
        """Inverse of `as_json`."""
        return cls(**{**values, "choices": tuple(values["choices"])})

    def text(self, value: Any) -> str:
        """A value as it stands in the form; inverse of `parse`."""
        if value is None:
            return ""
        if self.kind == "switch":
            return "on" if value else "off"
        if self.kind == "wholes":
            return ", ".join(map(str, value))
        return json.dumps(value) if self.kind == "structure" else str(value)

    def parse(self, text: str) -> Any:
        """What somebody typed, as the recipe takes it.

        Raises
        ------
        TrainingError
            When it is no such value, or outside of the limits.
        """
        text = text.strip()
        if not text:
            if self.optional:
                return None
            if self.kind == "wholes" and not self.default:
                return []
            raise TrainingError(f"{self.label} is missing; {self._expected}.")
        if self.kind == "switch":
            return self._one_of(text, {"on": True, "off": False, "true": True, "false": False})
        if self.kind == "choice":
            return self._one_of(text, {str(choice): choice for choice in self.choices})
        if self.kind == "text":
            return text
        if self.kind == "structure":
            return self._structure(text)
        if self.kind == "wholes":
            return [self._number(part.strip(), whole=True) for part in text.split(",")]
        return self._number(text, whole=self.kind == "whole")

    def parse_several(self, text: str) -> list[Any]:
        """Values to try, separated by commas, each once.

        Raises
        ------
        TrainingError
            When one of them is no value of this field, or the field holds commas itself.
        """
        if self.kind in ("wholes", "text", "structure"):
            raise TrainingError(
                f"{self.label} cannot be searched: it holds several values already."
            )
        values = [self.parse(part) for part in text.split(",") if part.strip()]
        if not values:
            raise TrainingError(f"{self.label} has no values to try; separate them by commas.")
        return [v for k, v in enumerate(values) if v not in values[:k]]

    def _one_of(self, text: str, known: Mapping[str, Any]) -> Any:
        if text.lower() not in {name.lower() for name in known}:
            raise TrainingError(f"{self.label} cannot be {text!r}; {self._expected}.")
        return next(value for name, value in known.items() if name.lower() == text.lower())

    def _structure(self, text: str) -> Any:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise TrainingError(f"{self.label} is not JSON ({error}).") from error
        if type(value) is not type(self.default):
            raise TrainingError(f"{self.label} must be written like {json.dumps(self.default)}.")
        return value

    def _number(self, text: str, *, whole: bool) -> int | float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise TrainingError(f"{self.label} cannot be {text!r}; {self._expected}.") from None
        low, high = self.low, self.high
        outside = (low is not None and value < low) or (high is not None and value > high)
        if outside or not math.isfinite(value):
            raise TrainingError(f"{self.label} cannot be {text}; {self._expected}.")
        return value

    @property
    def limits(self) -> str:
        """The limits in words, such as "1 to 4096"; empty without any."""
        low, high = (None if v is None else f"{v:g}" for v in (self.low, self.high))
        unit = f" {self.unit}" if self.unit else ""
        if low is not None and high is not None:
            return f"{low} to {high}{unit}"
        if low is not None:
            return f"{low}{unit} or more"
        return f"{high}{unit} or less" if high is not None else ""

    @property
    def range_text(self) -> str:
        """Limits and unit as short as they can be read: "0–50 %", "≥ 1 epochs", "mm"."""
        low, high = (None if v is None or v > _ENDLESS else f"{v:g}" for v in (self.low, self.high))
        if low is not None and high is not None:
            span = f"{low}–{high}"
        elif low is not None:
            span = f"≥ {low}"
        else:
            span = "" if high is None else f"≤ {high}"
        return f"{span} {self.unit}".strip()

    @property
    def _expected(self) -> str:
        if self.kind == "switch":
            return "choose on or off"
        if self.kind == "choice":
            return f"choose {', '.join(map(str, self.choices))}"
        if self.kind == "structure":
            return f"write it like {json.dumps(self.default)}"
        what = {
            "whole": "a whole number",
            "number": "a number",
            "wholes": "whole numbers separated by commas",
            "text": "text",
        }[self.kind]
        return f"give {what}{f', {self.limits}' if self.limits else ''}"


def fields_of(
    recipe: Any,
    *,
    notes: Mapping[str, Mapping[str, Any]] | None = None,
    basic: Collection[str] = (),
    fixed: Collection[str] = (),
) -> tuple[FieldSpec, ...]:
    """The fields of a recipe, those that most people change first.

    Parameters
    ----------
    recipe
        A dataclass whose values are the defaults. Metadata of its fields may
        carry `label`, `unit`, `min`, `max`, `choices`; its docstring says what they do.
    notes
        The same metadata by name, for fields that carry none.
    basic
        Names in the order of the form; all others are advanced.
    fixed
        Names that the recipe decides.
    """
    hints = typing.get_type_hints(type(recipe))
    said = _described(type(recipe))
    found = {}
    for one in fields(recipe):
        if one.name in fixed:
            continue
        metadata = {**(notes or {}).get(one.name, {}), **one.metadata}
        kind, choices, optional = _kind(hints[one.name], metadata.get("choices", ()))
        found[one.name] = FieldSpec(
            one.name,
            metadata.get("label", one.name.replace("_", " ").capitalize()),
            kind,
            plain(getattr(recipe, one.name)),
            unit=metadata.get("unit", ""),
            low=metadata.get("min"),
            high=metadata.get("max"),
            choices=choices,
            optional=optional,
            advanced=one.name not in basic,
            about=said.get(one.name, ""),
        )
    first = [found[name] for name in basic if name in found]
    return (*first, *(spec for spec in found.values() if spec.advanced))


def read_settings(form: Sequence[FieldSpec], settings: Sequence[str]) -> dict[str, Any]:
    """Values of fields as typed on the command line.

    Parameters
    ----------
    form
        The fields that there are.
    settings
        FIELD=VALUE each; several whole numbers are separated by commas, a
        structure is JSON.

    Raises
    ------
    BundleError
        When there is no such field.
    TrainingError
        When a value is none that the field can have.
    """
    known = {spec.name: spec for spec in form}
    values = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if name not in known or not equals:
            raise BundleError(
                f"{text!r} is no setting; give FIELD=VALUE with one of {', '.join(sorted(known))}."
            )
        values[name] = known[name].parse(value)
    return values


def plain(value: Any) -> Any:
    """A field's value in the types that JSON has."""
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return asdict(value)
    raise TypeError(f"{value!r} has no JSON form")


def _kind(hint: Any, choices: tuple) -> tuple[Kind, tuple, bool]:
    """Kind, choices and whether None is allowed, from a type and what the metadata names."""
    parts = typing.get_args(hint)
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if is_union and type(None) in parts and len(parts) == 2:
        kind, found, _ = _kind(next(p for p in parts if p is not type(None)), choices)
        return kind, found, True
    if typing.get_origin(hint) is Literal and not choices:
        choices = parts
    if choices:
        return "choice", tuple(choices), False
    if hint is bool:
        return "switch", (), False
    if hint is int:
        return "whole", (), False
    if hint is float:
        return "number", (), False
    return ("wholes" if hint == tuple[int, ...] else "structure"), (), False


def _described(recipe: type) -> dict[str, str]:
    """What the docstrings of a class and its bases say about each attribute."""
    found: dict[str, str] = {}
    for one in reversed(recipe.__mro__):
        text = f"{inspect.cleandoc(one.__doc__ or '')}\n".partition("Attributes\n")[2]
        for entry in _ENTRY.finditer(text):
            for name in entry["names"].split(","):
                found[name.strip()] = " ".join(entry["text"].split())
    return found
