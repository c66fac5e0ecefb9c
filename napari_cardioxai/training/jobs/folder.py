"""A training on disk: what was asked for, what it is told, and whether it is alive.

A run folder holds `job.json` (what to do), `control` (go on, wait or stop),
`look.json` (what the preview shows), `alive` (touched while a process works on
it), `events.jsonl` (what happened), `previews/`, `output.txt` (what the process
printed), and the checkpoints of the training itself. Files are the only thing
that the window and the process share, so either may go without the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from napari_cardioxai.errors import TrainingError
from napari_cardioxai.files import replacing

JOB, CONTROL, LOOK, ALIVE = "job.json", "control", "look.json", "alive"
EVENTS, PREVIEWS, PRINTED, CHECKPOINT = "events.jsonl", "previews", "output.txt", "last.ckpt"
HEARTBEAT_S = 2.0
_DEAD_AFTER_S = 5 * HEARTBEAT_S
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


class Order(StrEnum):
    """What a training is told to do between two steps."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True)
class TrainingJob:
    """Everything that one training needs to know.

    Attributes
    ----------
    recipe
        A name of `job_recipes`.
    values
        Its fields, in plain types.
    output
        Model folder to write.
    data
        What to learn from; None where the recipe draws its own.
    device
        "auto", "cpu", "cuda" or "mps".
    start
        Model folder or safetensors file whose weights to begin with.
    search, varied
        Name of the parameter search that it belongs to, and which fields that varies.
    """

    recipe: str
    values: Mapping[str, Any]
    output: Path
    data: Path | None = None
    device: str = "auto"
    start: Path | None = None
    search: str = ""
    varied: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain types for `job.json`."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Any, *, where: Path) -> TrainingJob:
        """Inverse of `as_json`; relative paths start at the folder of the file.

        Raises
        ------
        TrainingError
            When fields are missing, unknown or of another type.
        """
        if not isinstance(values, dict):
            raise TrainingError(f"{where} is not a training job.")
        known = {f.name for f in fields(cls)}
        if odd := sorted(values.keys() - known):
            raise TrainingError(f"{where} has a field that no training job has: {odd[0]}.")
        if missing := sorted({"recipe", "values", "output"} - values.keys()):
            raise TrainingError(f"{where} lacks {', '.join(missing)}.")
        for name in ("recipe", "output", "data", "device", "start", "search"):
            given = values.get(name, "")
            if not isinstance(given, str | None):
                raise TrainingError(f"{where}: {name} must be text, not {given!r}.")
        if not isinstance(values["values"], dict):
            raise TrainingError(f"{where}: values must map fields to their values.")
        paths = {
            name: where.parent / values[name]
            for name in ("output", "data", "start")
            if values.get(name)
        }
        varied = tuple(values.get("varied", ()))
        return cls(**{**values, "data": None, "start": None, **paths, "varied": varied})


@dataclass(frozen=True)
class Look:
    """What the preview of a running training shows.

    Attributes
    ----------
    picture
        Which of its pictures or subjects, from 0.
    heat
        "activation", or "gradient": activation times gradient.
    """

    picture: int = 0
    heat: str = "activation"


@dataclass(frozen=True)
class RunFolder:
    """The files of one training.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """How people call it."""
        return self.path.name

    @property
    def events(self) -> Path:
        """What happened, a line of JSON each."""
        return self.path / EVENTS

    @property
    def previews(self) -> Path:
        """Pictures of the training at work."""
        return self.path / PREVIEWS

    @property
    def has_checkpoint(self) -> bool:
        """Whether a training could go on instead of beginning."""
        return (self.path / CHECKPOINT).is_file()

    def read_job(self) -> TrainingJob:
        """What was asked for.

        Raises
        ------
        TrainingError
            When `job.json` is missing or not a job.
        """
        file = self.path / JOB
        try:
            values = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(f"{file} cannot be read as a training job ({error}).") from error
        return TrainingJob.from_json(values, where=file)

    def write_job(self, job: TrainingJob) -> None:
        """Keep what is asked for."""
        with replacing(self.path / JOB) as beside:
            beside.write_text(json.dumps(job.as_json(), indent=2) + "\n", "utf-8")

    # What it is told --------------------------------------------------------------

    def tell(self, order: Order) -> None:
        """Have the training go on, wait or stop between two steps."""
        (self.path / CONTROL).write_text(order.value, "utf-8")

    def order(self) -> Order:
        """What was told last; a file that is just being written changes nothing."""
        with contextlib.suppress(OSError, ValueError):
            return Order((self.path / CONTROL).read_text("utf-8").strip())
        return Order.RUN

    def set_look(self, look: Look) -> None:
        """Choose what the preview shows from now on."""
        with replacing(self.path / LOOK) as beside:
            beside.write_text(json.dumps(asdict(look)), "utf-8")

    def look(self) -> Look:
        """What the preview shows."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Look(**json.loads((self.path / LOOK).read_text("utf-8")))
        return Look()

    # Whether it is alive ----------------------------------------------------------

    def beat(self) -> None:
        """Say that this process works on it; repeat every `HEARTBEAT_S`."""
        (self.path / ALIVE).write_text(str(os.getpid()), "utf-8")

    def fall_silent(self) -> None:
        """Say that no process works on it any more."""
        (self.path / ALIVE).unlink(missing_ok=True)

    @property
    def is_alive(self) -> bool:
        """Whether a process of this machine works on it."""
        try:
            age_s = time.time() - (self.path / ALIVE).stat().st_mtime
            process = int((self.path / ALIVE).read_text("utf-8") or 0)
        except (OSError, ValueError):
            return False
        return age_s < _DEAD_AFTER_S and _may_exist(process)


def _may_exist(process: int) -> bool:
    """False when this machine certainly has no such process."""
    if sys.platform == "win32" or process <= 0:  # there, asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def check_name(name: str) -> str:
    """A name that a model and its run folder can have on every system.

    Raises
    ------
    TrainingError
        When it is none.
    """
    if not name:
        raise TrainingError("the model needs a name.")
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise TrainingError(
            f"{name!r} cannot be a folder's name everywhere; use letters, digits, dots, - and _."
        )
    return name


def runs_folder() -> Path:
    """Where trainings lie: `CARDIOXAI_RUNS`, else a folder in the home directory."""
    return Path(os.environ.get("CARDIOXAI_RUNS", Path.home() / ".cardioxai" / "runs"))
