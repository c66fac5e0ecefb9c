"""How the training stands, and the buttons that steer it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_cardioxai.app.training_jobs import TrainingStatus
from napari_cardioxai.app.widgets.train.form import WRONG
from napari_cardioxai.training.jobs.events import TrainingState

_STEPS = 1000


class TrainBar(QWidget):
    """State, progress, time left; Start, Pause, Cancel, Resume. Always in view."""

    start_pressed = Signal()
    pause_pressed = Signal()
    go_on_pressed = Signal()
    cancel_pressed = Signal()
    resume_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.state = QLabel()
        self.state.setObjectName("train_state")
        self.state.setWordWrap(True)
        self.progress = QProgressBar()
        self.progress.setObjectName("train_progress")
        self.progress.setRange(0, _STEPS)
        self._status = TrainingStatus()
        self._count = 1
        self._can_start, self._can_resume = False, False
        row = QHBoxLayout()
        self.buttons = {}
        for name, text, tip, slot in (
            ("start", "Start", "Train with the values above", self.start_pressed.emit),
            ("pause", "Pause", "Wait after the next step", self._on_pause),
            ("cancel", "Cancel", "Stop after the next step", self.cancel_pressed.emit),
            ("resume", "Resume", "Go on with the chosen runs", self.resume_pressed.emit),
        ):
            button = QPushButton(text)
            button.setObjectName(f"train_{name}")
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, slot=slot: slot())
            self.buttons[name] = button
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.progress)
        layout.addWidget(self.state)
        layout.addLayout(row)
        self.show_status(self._status)

    def show_status(self, status: TrainingStatus) -> None:
        """Show how the training stands."""
        self._status = status
        share = status.position / status.epochs if status.epochs else 0.0
        self.progress.setVisible(status.state.is_active)
        self.progress.setRange(0, _STEPS if status.epochs else 0)
        self.progress.setValue(round(_STEPS * share))
        self.state.setText(in_words(status))
        self.state.setStyleSheet(WRONG if status.state is TrainingState.FAILED else "")
        self.state.setVisible(bool(self.state.text()))
        self._enable()

    def set_ready(self, *, can_start: bool, can_resume: bool, count: int) -> None:
        """Say what could be done while nothing runs, and how many runs Start begins."""
        self._can_start, self._can_resume, self._count = can_start, can_resume, count
        self._enable()

    def _on_pause(self) -> None:
        is_paused = self._status.state is TrainingState.PAUSED
        (self.go_on_pressed if is_paused else self.pause_pressed).emit()

    def _enable(self) -> None:
        is_active = self._status.state.is_active
        self.buttons["start"].setEnabled(self._can_start and not is_active)
        self.buttons["start"].setText("Start" if self._count < 2 else f"Start {self._count} runs")
        self.buttons["pause"].setEnabled(is_active)
        is_paused = self._status.state is TrainingState.PAUSED
        self.buttons["pause"].setText("Continue" if is_paused else "Pause")
        self.buttons["cancel"].setEnabled(is_active)
        self.buttons["resume"].setEnabled(self._can_resume and not is_active)


def in_words(status: TrainingStatus) -> str:
    """A status as one line or two: which run, how far, how long still."""
    if not status.text:
        return ""
    parts = [status.text]
    if status.state.is_active:
        parts = [f"{status.run}: {status.text}"]
        if status.epochs and status.text == "Training.":
            epoch = min(int(status.position) + 1, status.epochs)
            stage = f" ({status.stage})" if status.stage else ""
            parts = [f"{status.run}: epoch {epoch} of {status.epochs}{stage}"]
        if status.seconds_left is not None and status.state is TrainingState.RUNNING:
            parts.append(f"{duration(status.seconds_left)} left")
        if status.waiting:
            parts.append(f"{status.waiting} more to follow")
    elif status.run and status.run not in status.text:
        parts = [f"{status.run}: {status.text[:1].lower()}{status.text[1:]}"]
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time to wait, as precise as such guesses are: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60 // 10 * 10} min"
