"""What can be trained as a job: recipes by name, with their forms and how they run.

A module joins by its name in `_MODULES` and a function `job_recipes()`; it is
imported when somebody asks for recipes, since most of them bring torch along.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from napari_cardioxai.errors import TrainingError
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.training.jobs.control import JobControl
from napari_cardioxai.training.jobs.events import EventLog, TrainingState
from napari_cardioxai.training.jobs.fields import FieldSpec
from napari_cardioxai.training.jobs.folder import Order, RunFolder, TrainingJob

if TYPE_CHECKING:
    from napari_cardioxai.training.jobs.callback import JobCallback, PreviewMaker

_MODULES = ("segmenter", "latent", "image")
_NOTE_EVERY_S = 0.5


@dataclass
class JobContext:
    """What a recipe's `run` has to work with.

    Attributes
    ----------
    job, run
        What was asked for, and the folder of the run.
    log, control
        Where to tell, and what to obey.
    """

    job: TrainingJob
    run: RunFolder
    log: EventLog
    control: JobControl
    _noted_at: float = -math.inf

    def callback(self, *, preview: PreviewMaker | None = None) -> JobCallback:
        """The callback that Lightning's trainer must be given, last of all."""
        from napari_cardioxai.training.jobs.callback import JobCallback

        return JobCallback(self.run, self.log, self.control, preview=preview)

    def on_progress(self, done: int, total: int, what: str) -> None:
        """Progress of what comes before and after the training itself; heeds a cancel."""
        if self.control.is_in_loop:
            return  # the callback tells more, and also heeds
        if self.control.order() is Order.CANCEL:
            raise Cancelled
        if time.monotonic() - self._noted_at > _NOTE_EVERY_S:
            self._noted_at = time.monotonic()
            count = f", {done} of {total}" if total > 1 else ""
            self.log.state(TrainingState.RUNNING, f"{what[:1].upper()}{what[1:]}{count} …")


@dataclass(frozen=True)
class JobRecipe:
    """One thing that can be trained.

    Attributes
    ----------
    name, title
        On the command line, and for people.
    fields
        Its form.
    data
        "pictures": a folder with images and masks; "manifest": the table of a cohort;
        "images": the table of images with their class, or a folder for each class.
    needs_data
        Whether it can do without.
    starts_from
        What the card of a model must say for its weights to be begun with:
        network and number of structures; empty when it never does.
    start_if
        Fields that, unless off or 0, need weights to begin with.
    run
        Called as `run(context, values)` with values that its form has checked.
    """

    name: str
    title: str
    fields: tuple[FieldSpec, ...]
    data: Literal["pictures", "manifest", "images"]
    needs_data: bool
    run: Callable[[JobContext, Mapping[str, Any]], None] = field(repr=False)
    starts_from: Mapping[str, Any] = field(default_factory=dict)
    start_if: tuple[str, ...] = ()

    def checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values by field, defaults filled in.

        Raises
        ------
        TrainingError
            When a field is unknown or has a value that it cannot have.
        """
        known = {spec.name: spec for spec in self.fields}
        if odd := sorted(values.keys() - known.keys()):
            raise TrainingError(f"the recipe {self.name} has no field {odd[0]!r}.")
        given = {name: values.get(name, spec.default) for name, spec in known.items()}
        return {name: known[name].parse(known[name].text(v)) for name, v in given.items()}

    def as_json(self) -> dict[str, Any]:
        """What a window needs to know of it."""
        return {
            "name": self.name,
            "title": self.title,
            "fields": [spec.as_json() for spec in self.fields],
            "data": self.data,
            "needs_data": self.needs_data,
            "starts_from": dict(self.starts_from),
            "start_if": list(self.start_if),
        }


def known_recipes() -> Iterator[JobRecipe]:
    """Every recipe, one module after the other."""
    for name in _MODULES:
        yield from importlib.import_module(f"{__package__}.{name}").job_recipes()


def find_recipe(name: str) -> JobRecipe:
    """A recipe by its name.

    Raises
    ------
    TrainingError
        When there is none.
    """
    names = []
    for recipe in known_recipes():
        if recipe.name == name:
            return recipe
        names.append(recipe.name)
    raise TrainingError(f"there is no recipe {name!r}; known are {', '.join(names)}.")


def describe() -> dict[str, Any]:
    """All that a window offers for a training, in plain types.

    Returns
    -------
    `recipes` (as `JobRecipe.as_json`), `devices`, `models` (name, folder, kind,
    network and number of structures of each), `models_folder`.
    """
    from napari_cardioxai.bundles.bundle import available_bundles, available_cards, own_folder
    from napari_cardioxai.bundles.devices import available_devices

    folders = available_bundles()
    models = [
        {
            "name": name,
            "folder": str(folders[name]),
            "kind": card.kind,
            "network": card.network,
            "structures": len(getattr(card, "structures", ())),
        }
        for name, card in available_cards()[0].items()
    ]
    return {
        "recipes": [recipe.as_json() for recipe in known_recipes()],
        "devices": ["auto", *available_devices()],
        "models": models,
        "models_folder": str(own_folder()),
    }
