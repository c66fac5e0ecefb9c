"""Trainings of one viewer: a queue of processes, and the run that is looked at.

Widgets subscribe to the signals and call the verbs; nothing is computed here,
and no file is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_cardioxai.app.latest_job import LatestJob
from napari_cardioxai.app.training_choices import ChoicesFinder, TrainingChoices
from napari_cardioxai.app.training_process import TrainingProcess
from napari_cardioxai.app.training_view import ShownRun
from napari_cardioxai.app.workers import Work, sentence
from napari_cardioxai.errors import TrainingError
from napari_cardioxai.training.jobs.events import RunRecord, TrainingState, read_runs
from napari_cardioxai.training.jobs.folder import Order, RunFolder, TrainingJob, runs_folder
from napari_cardioxai.training.jobs.search import keep_model, write_runs

PATIENCE_AT_CLOSE_S = 20.0
_LIST_DELAY_MS = 300


@dataclass(frozen=True)
class TrainingStatus:
    """State of the running or last training and its sentence.

    Attributes
    ----------
    state, text
        What it is doing; one sentence.
    run
        Name of its folder.
    position, epochs
        Epochs done, with the share of the running one, and in all; 0 when unknown.
    seconds_left
        Until its end; None when unknown.
    stage
        Of a training that has several.
    waiting
        Trainings that follow it.
    """

    state: TrainingState = TrainingState.IDLE
    text: str = ""
    run: str = ""
    position: float = 0.0
    epochs: int = 0
    seconds_left: float | None = None
    stage: str = ""
    waiting: int = 0


class TrainingJobs(QObject):
    """Starts, pauses, cancels and resumes trainings, one at a time, and follows them.

    Attributes
    ----------
    choices
        What can be trained; None until that is known.
    status
        The running or last training.
    view
        The run whose curves and pictures are looked at.
    records
        All runs, the newest first.
    """

    choices_found = Signal(object)
    status_changed = Signal(object)
    runs_listed = Signal(object)
    model_made = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.choices: TrainingChoices | None = None
        self.status = TrainingStatus()
        self.records: list[RunRecord] = []
        self._process: TrainingProcess | None = None
        self._queue: list[RunFolder] = []
        self._then: Callable[[], None] | None = None
        self._finder = ChoicesFinder(self)
        self._finder.found.connect(self._on_choices)
        self._finder.failed.connect(self._say_failed)
        self.view = ShownRun(self)
        self._list = LatestJob(
            self._prepare_list, self._on_list, delay_ms=_LIST_DELAY_MS, parent=self
        )

    @property
    def is_active(self) -> bool:
        """Whether a training runs, waits, or is about to follow."""
        return self._process is not None

    @property
    def is_stopping(self) -> bool:
        """Whether the window waits for the training to stop."""
        return self._then is not None

    def look_around(self) -> None:
        """Find out what can be trained and what has been."""
        self._finder.find()
        self.list_runs()

    # Verbs ------------------------------------------------------------------------

    def start(self, jobs: Sequence[TrainingJob]) -> None:
        """Train one job, or several after each other.

        Raises
        ------
        CardioxaiError
            When a training is under way, or there is a run or model of that name.
        """
        self._check_free()
        self._enqueue(write_runs(jobs, runs_folder()))

    def resume(self, runs: Sequence[Path]) -> None:
        """Go on with runs that were cancelled, failed or never begun, one after the other.

        Raises
        ------
        TrainingError
            When a training is under way, here or in another window.
        """
        self._check_free()
        folders = [RunFolder(path) for path in runs]
        for run in folders:
            if run.is_alive:
                raise TrainingError(f"{run.name} is being trained by another window.")
        self._enqueue(folders)

    def _check_free(self) -> None:
        if self._process is not None:
            raise TrainingError(f"{self._process.run.name} is being trained; wait or cancel it.")

    def _enqueue(self, runs: Sequence[RunFolder]) -> None:
        self._queue = list(runs)
        self._next()

    def pause(self) -> None:
        """Have the training wait after its next step."""
        self._tell(Order.PAUSE, "Pausing after this step …")

    def go_on(self) -> None:
        """Have a paused training go on."""
        self._tell(Order.RUN, "Going on …")

    def cancel(self) -> None:
        """Stop the training after its next step, and what waits behind it."""
        self._queue = []
        self._tell(Order.CANCEL, "Stopping …")

    def _tell(self, order: Order, text: str) -> None:
        if self._process is not None:
            self._process.run.tell(order)
            self._set_status(text=text, waiting=len(self._queue))

    def keep(self, run: Path, name: str) -> None:
        """Take over the model of a search's run under a name of its own.

        Raises
        ------
        CardioxaiError
            When it cannot be had.
        """
        if self.choices is not None:
            keep_model(RunFolder(run), self.choices.models_folder / name)
            self._tell_of_model(name)

    def list_runs(self) -> None:
        """Read the table of runs anew, soon and beside the window."""
        self._list.soon()

    # The end ----------------------------------------------------------------------

    def close(self) -> None:
        """Stop cleanly, when the window closes; blocks for a while if something runs."""
        self._queue = []
        self.view.close()
        self._list.close()
        self._finder.close()
        if self._process is not None:
            self._process.stop(PATIENCE_AT_CLOSE_S)

    def stop_then(self, action: Callable[[], None]) -> None:
        """Stop cleanly beside the window, then do something; what does not stop in time is ended."""
        if self._then is None and self._process is not None:
            self._then = action
            self.cancel()
            process = self._process
            QTimer.singleShot(
                round(1000 * PATIENCE_AT_CLOSE_S),
                lambda: process.kill() if process is self._process else None,
            )

    # What comes back --------------------------------------------------------------

    def _next(self) -> None:
        run = self._queue.pop(0)
        self._process = TrainingProcess(run, self)
        self._process.told.connect(self._on_told)
        self._process.ended.connect(self._on_ended)
        self.status = TrainingStatus(
            TrainingState.RUNNING, "Starting …", run.name, waiting=len(self._queue)
        )
        self.status_changed.emit(self.status)
        self._process.start()
        self.view.show(run.path)
        self.list_runs()

    def _on_told(self, events: Sequence[dict[str, Any]]) -> None:
        self.view.wake()
        now: dict[str, Any] = {}
        for event in events:
            if event["event"] == "state":
                now |= {"state": TrainingState(event["state"]), "text": event["text"]}
            elif event["event"] == "begin":
                now |= {"position": event["position"], "epochs": event["epochs"]}
            elif event["event"] == "step":
                now |= {k: event[k] for k in ("position", "seconds_left", "stage")}
            elif event["event"] == "epoch":
                now |= {"position": event["position"]}
                self.list_runs()
        if now.get("state", TrainingState.RUNNING).is_active:  # the end comes with the process's
            self._set_status(**now)

    def _on_ended(self, state: TrainingState, text: str) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.setParent(None)
        process.deleteLater()
        self.list_runs()
        if state is TrainingState.DONE:
            self._tell_of_model(process.run.name)
        if self._queue and state is not TrainingState.CANCELLED:
            self._next()
            return
        self._set_status(state=state, text=text, seconds_left=None, waiting=0)
        then, self._then = self._then, None
        if then is not None:
            then()

    def _tell_of_model(self, name: str) -> None:
        self._finder.find()  # models to start from
        self.model_made.emit(name)

    def _set_status(self, **changes: Any) -> None:
        self.status = TrainingStatus(**{**vars(self.status), **changes})
        self.status_changed.emit(self.status)

    def _say_failed(self, text: str) -> None:
        self._set_status(state=TrainingState.FAILED, text=sentence(text))

    def _on_choices(self, choices: TrainingChoices) -> None:
        self.choices = choices
        self.choices_found.emit(choices)

    def _prepare_list(self) -> Work:
        return lambda on_progress: read_runs(runs_folder())

    def _on_list(self, records: list[RunRecord]) -> None:
        self.records = records
        self.runs_listed.emit(records)
