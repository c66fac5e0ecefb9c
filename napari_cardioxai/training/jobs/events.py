"""What a training tells: lines of JSON, written by the job and read by whoever watches.

`state` says what it is doing, in a sentence; `begin` where it starts or goes
on; `step` and `epoch` carry numbers; `preview` says that there is a new picture.
Positions are in epochs since the start of the training, so 2.5 is the middle
of the third one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from napari_cardioxai.errors import TrainingError
from napari_cardioxai.training.jobs.folder import RunFolder, TrainingJob

CRASHED = "The training stopped unexpectedly{}."
CAN_GO_ON = "; the last checkpoint is kept and Resume goes on from it"
CAN_BEGIN = " before its first epoch was complete; Resume begins again"
_TAIL_BYTES = 16_384
_MOST_AT_ONCE = 1 << 18  # bytes: a fraction of a frame's time


class TrainingState(StrEnum):
    """What a training is doing."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_active(self) -> bool:
        """Whether a process works on it."""
        return self in (TrainingState.RUNNING, TrainingState.PAUSED)


class EventLog:
    """Appends events to a run's file; each line is whole or not there."""

    def __init__(self, run: RunFolder) -> None:
        self._file = run.events

    def state(self, state: TrainingState, text: str) -> None:
        """Say what the training is doing."""
        self._write(event="state", state=state.value, text=text)

    def begin(self, position: float, epochs: int) -> None:
        """Say where it starts; what was told beyond that is done again."""
        self._write(event="begin", position=position, epochs=epochs)

    def step(
        self,
        position: float,
        values: Mapping[str, float],
        seconds_left: float | None,
        stage: str = "",
    ) -> None:
        """Tell the figures of one step, and the stage of a training that has several."""
        self._write(
            event="step",
            position=round(position, 4),
            values=values,
            seconds_left=seconds_left,
            stage=stage,
        )

    def epoch(self, position: float, values: Mapping[str, float]) -> None:
        """Tell the figures of a whole epoch."""
        self._write(event="epoch", position=position, values=values)

    def preview(self, file: Path) -> None:
        """Say that there is a new preview."""
        self._write(event="preview", file=file.name)

    def _write(self, **event: Any) -> None:
        line = json.dumps({"time": round(time.time(), 3), **event}) + "\n"
        with self._file.open("ab") as stream:
            stream.write(line.encode())


class EventTail:
    """Reads what has been appended since the last look, in small portions."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._place = 0

    def new(self) -> list[dict[str, Any]]:
        """Events since the last call, at most a quarter of a megabyte; none is fine."""
        try:
            with self._file.open("rb") as stream:
                stream.seek(self._place)
                data = stream.read(_MOST_AT_ONCE)
        except OSError:
            return []
        whole = data.rpartition(b"\n")[0]
        self._place += len(whole) + 1 if whole else 0
        return list(_events(whole))


def _events(data: bytes) -> Iterator[dict[str, Any]]:
    """Events of whole lines; a line that was cut off by a crash is left out."""
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event:
            yield event


@dataclass
class Curves:
    """Figures over the course of one training.

    Attributes
    ----------
    steps, epochs
        Name to positions and values, of single steps and of whole epochs.
    stages
        Position at which each stage began, and its name; empty for a training that has none.
    """

    steps: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    epochs: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    stages: list[tuple[float, str]] = field(default_factory=list)

    def add(self, event: Mapping[str, Any]) -> bool:
        """Take in an event; True when it changed something."""
        if event["event"] == "begin":
            self._forget_beyond(event["position"])
            return True
        if event["event"] not in ("step", "epoch"):
            return False
        curves = self.steps if event["event"] == "step" else self.epochs
        for name, value in event["values"].items():
            positions, values = curves.setdefault(name, ([], []))
            positions.append(event["position"])
            values.append(value)
        stage = event.get("stage", "")
        if stage and (not self.stages or self.stages[-1][1] != stage):
            self.stages.append((math.floor(event["position"]), stage))
        return True

    def _forget_beyond(self, position: float) -> None:
        """Drop what a resumed training does again."""
        for positions, values in (*self.steps.values(), *self.epochs.values()):
            while positions and positions[-1] > position:
                positions.pop()
                values.pop()
        self.stages = [told for told in self.stages if told[0] < position or told[0] == 0]


@dataclass(frozen=True)
class RunRecord:
    """One training as a row of a table.

    Attributes
    ----------
    folder, job
        Where and what.
    state, text
        What it is doing, or how it ended, in a sentence.
    epoch
        Epochs done.
    values
        Figures of the last epoch.
    """

    folder: Path
    job: TrainingJob
    state: TrainingState
    text: str
    epoch: int
    values: Mapping[str, float]

    @property
    def can_start(self) -> bool:
        """Whether it could begin or go on."""
        return not self.state.is_active and self.state is not TrainingState.DONE


def read_run(folder: Path) -> RunRecord:
    """How a training stands, from the end of its events.

    One whose process has gone without a word is `FAILED`, with a sentence.

    Raises
    ------
    TrainingError
        When the folder holds no job.
    """
    run = RunFolder(folder)
    job = run.read_job()
    state, text, epoch, values = TrainingState.IDLE, "Waiting to be started.", 0, {}
    for event in _last_events(run.events):
        if event["event"] == "state":
            state, text = TrainingState(event["state"]), event["text"]
        elif event["event"] == "epoch":
            state, text = TrainingState.RUNNING, "Training."
            epoch, values = round(event["position"]), event["values"]
    if state.is_active and not run.is_alive:
        state, text = TrainingState.FAILED, crash_sentence(run)
    return RunRecord(folder, job, state, text, epoch, values)


def read_runs(root: Path) -> list[RunRecord]:
    """All trainings below a folder, the newest first; folders that hold none are passed over."""
    found = []
    for job in root.glob("*/job.json"):
        try:
            found.append((job.stat().st_mtime, read_run(job.parent)))
        except (OSError, TrainingError):
            continue
    return [record for _, record in sorted(found, key=lambda pair: pair[0], reverse=True)]


def crash_sentence(run: RunFolder) -> str:
    """What to say of a training whose process died."""
    return CRASHED.format(CAN_GO_ON if run.has_checkpoint else CAN_BEGIN)


def _last_events(file: Path) -> list[dict[str, Any]]:
    """Events at the end of a file, from the last `epoch` on at least, where there is one."""
    size = _TAIL_BYTES
    while True:
        try:
            with file.open("rb") as stream:
                length = stream.seek(0, 2)
                stream.seek(max(0, length - size))
                found = list(_events(stream.read()))
        except OSError:
            return []
        if size >= length or any(event["event"] == "epoch" for event in found):
            return found
        size *= 8
