"""The job's ears and mouth inside Lightning's loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightning

from napari_cardioxai.progress import Cancelled
from napari_cardioxai.training.jobs.control import JobControl
from napari_cardioxai.training.jobs.events import EventLog, TrainingState
from napari_cardioxai.training.jobs.folder import Look, Order, RunFolder
from napari_cardioxai.training.jobs.previews import LATEST, Preview, write_preview

PreviewMaker = Callable[[lightning.LightningModule, Look], Preview | None]

_STEP_EVENTS_AT_FULL_RATE = 1000
_STEP_EVERY_S = 0.25
_PREVIEW_EVERY_S = 10.0  # within an epoch; a preview takes about as long as a step
_PREVIEW_AT_MOST_EVERY_S = 1.0
_PREVIEWS_KEPT = 60


class JobCallback(lightning.Callback):
    """Tells what a training does, and lets it wait or stop between two steps.

    Stopping raises `Cancelled`: the checkpoint of the last whole epoch stays.

    Parameters
    ----------
    run, log, control
        Where to tell, and what to obey.
    preview
        Makes a picture of the network at work; None: there is none.
    """

    def __init__(
        self,
        run: RunFolder,
        log: EventLog,
        control: JobControl,
        *,
        preview: PreviewMaker | None = None,
    ) -> None:
        self._run, self._log, self._control, self._make = run, log, control, preview
        self._began = self._last_step = self._last_preview = time.monotonic()
        self._stage = ""
        self._waited_s = 0.0
        self._began_at = 0.0
        self._position = 0.0
        self._look = run.look()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Say where it starts."""
        self._position = self._began_at = float(trainer.current_epoch)
        self._began = self._last_step = time.monotonic()
        self._control.is_in_loop = True
        self._log.state(TrainingState.RUNNING, "Training.")
        self._log.begin(self._position, int(trainer.max_epochs or 0))
        self._show(pl_module)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell the loss now and then, and do as told."""
        batches = int(trainer.num_training_batches)
        self._position = trainer.current_epoch + (batch_idx + 1) / batches
        now = time.monotonic()
        rest = max(_STEP_EVERY_S, (now - self._began) / _STEP_EVENTS_AT_FULL_RATE)
        stage = getattr(pl_module, "stage", "")
        if stage != self._stage or now - self._last_step >= rest:
            self._last_step, self._stage = now, stage
            loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
            values = {} if loss is None else {"loss": float(loss)}
            self._log.step(self._position, values, self._seconds_left(trainer, now), stage)
        self._obey(trainer)
        look = self._control.look()
        age_s = time.monotonic() - self._last_preview
        if look != self._look or age_s > _PREVIEW_EVERY_S:
            self._look = look
            self._show(pl_module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Tell the figures of the epoch and show what the network has learnt."""
        done = trainer.current_epoch + 1
        self._position = float(done)
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._log.epoch(done, {k: v for k, v in figures.items() if math.isfinite(v)})
        every = max(1, math.ceil(int(trainer.max_epochs or 1) / _PREVIEWS_KEPT))
        is_kept = done % every == 0 or done == trainer.max_epochs
        if is_kept or time.monotonic() - self._last_preview > _PREVIEW_AT_MOST_EVERY_S:
            self._show(pl_module, keep_as=f"epoch-{done:05}.npz" if is_kept else None)

    def teardown(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        """No steps are taken any more, however it ended."""
        self._control.is_in_loop = False

    def _seconds_left(self, trainer: lightning.Trainer, now: float) -> float | None:
        done = self._position - self._began_at
        if not trainer.max_epochs or done <= 0:
            return None
        left = trainer.max_epochs - self._position
        return round((now - self._began - self._waited_s) * left / done, 1)

    def _obey(self, trainer: lightning.Trainer) -> None:
        order = self._control.order()
        if order is Order.PAUSE:
            began = time.monotonic()
            self._log.state(TrainingState.PAUSED, f"Paused in {self._epoch(trainer)}.")
            while (order := self._control.order()) is Order.PAUSE:
                self._control.wait()
            self._waited_s += time.monotonic() - began
            if order is Order.RUN:
                self._log.state(TrainingState.RUNNING, "Training.")
        if order is Order.CANCEL:
            self._control.has_stopped = True
            raise Cancelled

    def _epoch(self, trainer: lightning.Trainer) -> str:
        return f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"

    def _show(self, module: lightning.LightningModule, *, keep_as: str | None = None) -> None:
        if self._make is None:
            return
        made = self._make(module, self._look)
        if made is None:
            return
        preview = replace(made, position=self._position)
        file = self._run.previews / LATEST
        write_preview(file, preview)
        if keep_as is not None:
            write_preview(self._run.previews / keep_as, preview)
        self._log.preview(file)
        self._last_preview = time.monotonic()
