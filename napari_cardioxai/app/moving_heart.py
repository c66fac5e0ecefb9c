"""A decoded heart on the screen, kept where the sliders want it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_cardioxai.app.decoded_layers import DECODED, DecodedLayers
from napari_cardioxai.app.latest_job import LatestJob
from napari_cardioxai.app.prompt_job import PromptJob
from napari_cardioxai.app.workers import Work, sentence

if TYPE_CHECKING:
    from napari.layers import Labels as LabelsLayer

    from napari_cardioxai.anatomy.mmode import MMode
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.concepts.heart import ConceptHeart, Readout
    from napari_cardioxai.progress import Progress

CYCLE_MS, LINE_MS = 100, 20  # the first longer than a frame takes, drawn and all


@dataclass(frozen=True)
class Moved:
    """Where the heart is wanted.

    Attributes
    ----------
    alphas
        Standard deviations along each concept.
    latent
        Instead of them: that of a counterfactual.
    """

    alphas: Mapping[str, float]
    latent: np.ndarray | None = None

    @property
    def is_home(self) -> bool:
        """Whether nothing is changed."""
        return self.latent is None and not any(self.alphas.values())

    def of(self, heart: ConceptHeart) -> np.ndarray:
        """The latent (T, latent); call it in a worker."""
        return heart.at(self.alphas) if self.latent is None else self.latent


class MovingHeart(QObject):
    """Decodes what the sliders ask for, and measures it.

    The frame in view is decoded first, again and again while a slider moves;
    the cycle, its figures and its M-mode follow when the slider rests.

    Attributes
    ----------
    layers
        What is seen of it.
    heart
        The labelled heart; None while there is none.
    moved
        Where it is wanted.
    readout
        Of the newest whole cycle; `is_current` says whether that is where it is wanted.
    """

    shown = Signal()
    moved_changed = Signal()
    frame_shown = Signal()
    readout_changed = Signal()
    mmode_changed = Signal(object)
    failed = Signal(str)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._session = desk, desk.session
        self.layers = DecodedLayers(desk.viewer, self)
        self._blank()
        self._frame = PromptJob(self._prepare_frame, self._on_frame, parent=self)
        self._cycle = self._job(self._prepare_cycle, self._on_cycle, CYCLE_MS)
        self._line = self._job(self._prepare_line, self.mmode_changed.emit, LINE_MS)
        for job in (self._frame, self._cycle, self._line):
            job.failed.connect(lambda text: self.failed.emit(sentence(text)))
        desk.phase_changed.connect(self._on_phase)
        desk.mmode.changed.connect(lambda _: self._line.soon())
        self.layers.shown.connect(self._on_layers)

    def _job(
        self, prepare: Callable[[], Work | None], on_done: Callable[[Any], None], delay_ms: int
    ) -> LatestJob:
        return LatestJob(prepare, on_done, delay_ms=delay_ms, parent=self)

    def _blank(self) -> None:
        self.heart: ConceptHeart | None = None
        self.moved, self._shown_cycle = Moved({}), Moved({})
        self.readout: Readout | None = None
        self.is_sweeping = False
        self._fresh: set[int] = set()  # frames that are where the heart is wanted
        self._ahead: int | None = None  # frame that a sweep shows next

    @property
    def is_current(self) -> bool:
        """Whether cycle and readout are where the heart is wanted."""
        return self.moved is self._shown_cycle

    @property
    def is_busy(self) -> bool:
        """Whether something is still to come."""
        return any(job.is_busy for job in (self._frame, self._cycle, self._line))

    def show_heart(self, heart: ConceptHeart, labels: LabelsLayer) -> None:
        """Show a heart, then move it where the last one stood; ends in `shown`."""
        moved = self.moved
        self._blank()
        self.heart = heart
        self.moved = moved if moved.latent is None else Moved({})
        self.layers.show(heart.restored, labels)

    def take_away(self) -> None:
        """Take the heart off the screen and forget it."""
        for job in (self._frame, self._cycle, self._line):
            job.drop()
        self.layers.remove()
        self._blank()
        self.mmode_changed.emit(None)

    def close(self) -> bool:
        """Stop; True when nothing runs any more."""
        ended = [job.close() for job in (self._frame, self._cycle, self._line)]
        return all(ended)  # each of them, also after one that did not end

    def _on_layers(self) -> None:
        """The layers hold the reconstruction; go to where the sliders stand."""
        if self.heart is None:
            return
        self.readout = self.heart.redrawn
        self._fresh = set(range(len(self.heart.restored)))
        wanted, self.moved = self.moved, self._shown_cycle
        if self._desk.slice not in self.heart.slices:
            self._desk.go_to_slice(self.heart.slices[1])
        self.shown.emit()
        self.readout_changed.emit()
        self._line.soon()
        if not wanted.is_home:
            self._move(wanted)

    # Moving ---------------------------------------------------------------------------

    def move(self, alphas: Mapping[str, float]) -> None:
        """Move the heart along concepts."""
        self._stand_and_move(Moved(dict(alphas)))

    def move_to(self, latent: np.ndarray) -> None:
        """Move the heart to a latent that no slider leads to."""
        self._stand_and_move(Moved({}, latent))

    def reset(self) -> None:
        """Back to the reconstruction."""
        self._stand_and_move(Moved({}))

    def sweep(self, alphas: Mapping[str, float], phase: int | None = None) -> None:
        """As `move`, but only one frame follows: the one in view, or another, shown once it is drawn.

        `rest` ends the sweep.
        """
        self.is_sweeping, self._ahead = True, phase
        self._move(Moved(dict(alphas)))

    def rest(self) -> None:
        """A sweep has ended: the whole cycle follows."""
        self.is_sweeping, self._ahead = False, None
        if self.heart is not None and not self.is_current:
            self._cycle.after_rest()

    def _stand_and_move(self, moved: Moved) -> None:
        self.is_sweeping, self._ahead = False, None
        self._move(moved)

    def _move(self, moved: Moved) -> None:
        self.moved = moved
        self._fresh = set()
        self.moved_changed.emit()
        if self.heart is None or not self.layers.are_there:
            return
        self._cycle.drop()
        self._frame.now()
        if not self.is_sweeping:
            self._cycle.after_rest()

    def _on_phase(self, phase: int) -> None:
        is_there = self.heart is not None and self.layers.are_there
        if is_there and self._ahead is None and phase not in self._fresh:
            self._frame.now()

    # The work -------------------------------------------------------------------------

    def _prepare_frame(self) -> Callable[[], Any] | None:
        heart, moved = self.heart, self.moved
        phase = self._desk.phase if self._ahead is None else self._ahead
        if heart is None or not 0 <= phase < len(heart.restored):
            return None
        return lambda: (moved, phase, heart.frame(moved.of(heart), phase))

    def _on_frame(self, result: tuple[Moved, int, np.ndarray]) -> None:
        moved, phase, data = result
        if moved is not self.moved and self.is_current:
            return  # the whole cycle of what was asked for later is there already
        self.layers.set_frame(phase, data, is_in_view=phase == self._desk.phase)
        if moved is self.moved:
            self._fresh.add(phase)
        if self.is_sweeping and self._ahead is not None:
            self._desk.go_to_phase(phase)
        self.frame_shown.emit()

    def _prepare_cycle(self) -> Work | None:
        heart, moved = self.heart, self.moved
        if heart is None:
            return None

        def work(on_progress: Progress) -> tuple[Moved, np.ndarray, Readout]:
            latent = moved.of(heart)
            cycle = heart.cycle(latent, on_progress=on_progress)
            restored = heart.on_scan(cycle)
            on_progress(1, 2, "measuring")
            return moved, restored, heart.readout(cycle, latent)

        return work

    def _on_cycle(self, result: tuple[Moved, np.ndarray, Readout]) -> None:
        moved, restored, readout = result
        if moved is not self.moved:
            return
        self.layers.set_cycle(restored, draw=self._desk.phase not in self._fresh)
        self._shown_cycle, self.readout = moved, readout
        self._fresh = set(range(len(restored)))
        self.readout_changed.emit()
        self._line.soon()

    def _prepare_line(self) -> Work | None:
        line, view = self._desk.mmode.line, self._desk.mmode.view
        scan, heart = self._session.scan, self.heart
        is_seen = view is not None and heart is not None and view.slice_index in heart.slices
        if line is None or scan is None or not is_seen or not self.layers.are_there:
            return lambda on_progress: None
        data = self.layers[DECODED].data[:, view.slice_index : view.slice_index + 1].copy()

        def work(on_progress: Progress) -> MMode:
            from napari_cardioxai.anatomy.mmode import label_mmode

            return label_mmode(
                data,
                slice_index=0,
                start=tuple(line[0]),
                end=tuple(line[1]),
                geometry=scan.geometry,
                frame_times_ms=scan.frame_times_ms,
            )

        return work
