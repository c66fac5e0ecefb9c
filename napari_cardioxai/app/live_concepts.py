"""Models with their concepts, and the heart of one viewer as they draw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal

from napari_cardioxai.app.concept_models import Loaded, ModelChoice, list_models, load_model
from napari_cardioxai.app.layers import labels_of
from napari_cardioxai.app.moving_heart import MovingHeart
from napari_cardioxai.app.torch_first import import_torch
from napari_cardioxai.app.workers import Work, leave_a_core_to_the_window, sentence

if TYPE_CHECKING:
    from napari_cardioxai.anatomy.labels import Labels
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.concepts.counterfactual import Counterfactual
    from napari_cardioxai.concepts.fidelity import Walked
    from napari_cardioxai.concepts.heart import ConceptHeart
    from napari_cardioxai.decisions import Decision
    from napari_cardioxai.maps.group import GroupConcept
    from napari_cardioxai.progress import Progress

FIRST_MS, AGAIN_MS = 10, 600


class HeartState(StrEnum):
    """How far the heart is."""

    NO_LABELS = "no labels"
    READY = "ready"
    WORKING = "working"
    SHOWN = "shown"
    REFUSED = "refused"


class LiveConcepts(MovingHeart):
    """A chosen model, its concepts, and the labelled heart, kept equal to the labels.

    Nothing is drawn before somebody asks for it, and nothing any more once
    other labels are opened.

    Attributes
    ----------
    models
        Latent classifiers by name; None until they are known.
    model, loaded, fault
        The name of the chosen one; the model with its concepts, None while it
        is read; why it could not be read.
    state, reason
        How far the heart is, and why it was refused, in a sentence.
    opinion
        What the model decides about the heart.
    walks
        Measured walks of this very heart by the name of the concept.
    counterfactual
        That of this heart, once it was asked for.
    """

    models_found = Signal(object)
    model_changed = Signal()
    heart_changed = Signal()
    walks_changed = Signal()

    def __init__(self, desk: Desk) -> None:
        self.models: Mapping[str, ModelChoice] | None = None
        self.model = ""
        self.loaded: Loaded | None = None
        self.fault = ""
        self.state, self.reason = HeartState.NO_LABELS, ""
        self._is_following = False
        self._taken_in: list[GroupConcept] = []
        super().__init__(desk)
        self._list = self._job(self._prepare_list, self._on_list, FIRST_MS)
        self._load = self._job(self._prepare_load, self._on_load, FIRST_MS)
        self._first = self._job(self._prepare_heart, self._on_heart, FIRST_MS)
        self._again = self._job(self._prepare_heart, self._on_heart, AGAIN_MS)
        self._list.failed.connect(lambda text: self.failed.emit(sentence(text)))
        self._load.failed.connect(self._on_fault)
        for job in (self._first, self._again):
            job.failed.connect(self._on_refusal)
        desk.actions.live.edited.connect(self._follow)
        desk.training.model_made.connect(lambda _: self.list_models())
        self.shown.connect(lambda: self._set_state(HeartState.SHOWN))
        self.layers.gone.connect(self.put_away)
        self._session.labels_changed.connect(self.put_away)
        self.put_away()

    def _blank(self) -> None:
        super()._blank()
        self.opinion: Decision | None = None
        self.walks: dict[str, Walked] = {}
        self.counterfactual: Counterfactual | None = None

    @property
    def is_old(self) -> bool:
        """Whether what is shown is of labels as they were before the last edit."""
        return self.state is HeartState.WORKING and self.readout is not None

    @property
    def is_busy(self) -> bool:
        """Whether something is still to come."""
        jobs = (self._list, self._load, self._first, self._again)
        return super().is_busy or any(job.is_busy for job in jobs)

    def close(self) -> bool:
        """Stop; True when nothing runs any more."""
        jobs = (self._list, self._load, self._first, self._again)
        return all([*(job.close() for job in jobs), super().close()])

    # Model ----------------------------------------------------------------------------

    def list_models(self) -> None:
        """Find out which models there are, and which of them carry concepts."""
        self._list.soon()

    def choose(self, model: str) -> None:
        """Read a model and its concepts; the heart of the last one goes."""
        if model == self.model and (self.loaded is not None or self._load.is_busy):
            return
        self.put_away()
        self.model, self.loaded, self.fault = model, None, ""
        self.model_changed.emit()
        self._load.after_rest()

    def _prepare_list(self) -> Work:
        return lambda on_progress: list_models()

    def _on_list(self, models: Mapping[str, ModelChoice]) -> None:
        before, self.models = self.models, models
        if before is not None and models.get(self.model) != before.get(self.model):
            self.loaded = None  # it is gone, or its concepts are others
        self.models_found.emit(models)

    def _prepare_load(self) -> Work | None:
        model = self.model
        return (lambda on_progress: load_model(model)) if model else None

    def _on_load(self, loaded: Loaded) -> None:
        self.loaded = loaded
        for made in self._taken_in:
            self._add(made)
        self.model_changed.emit()

    def take_in(self, made: GroupConcept) -> None:
        """Put a concept that was made by hand beside those of its model's book, until the window closes."""
        self._taken_in = [one for one in self._taken_in if one.name != made.name] + [made]
        if self.loaded is not None and self._add(made):
            self.model_changed.emit()
            if self._is_following:
                self.start()

    def _add(self, made: GroupConcept) -> bool:
        """Whether it belongs to the chosen model and its book."""
        loaded = self.loaded
        if loaded is None or loaded.book is None:
            return False
        if made.walk.classifier.card.name != self.model or made.walk.way != loaded.book.way:
            return False
        self.loaded = replace(loaded, book=loaded.book.with_concept(made.walk.direction, made.row))
        return True

    def _on_fault(self, text: str) -> None:
        self.fault = sentence(text)
        self.model_changed.emit()

    def find_concepts(self, manifest: Path) -> bool:
        """Find the concepts of the chosen model on a cohort and keep them, as a job."""
        model = self.model

        def work(on_progress: Progress) -> Path:
            import_torch()
            leave_a_core_to_the_window()
            from napari_cardioxai.concepts import keeping

            return keeping.make_and_keep_book(model, manifest, on_progress=on_progress)

        return self._desk.actions.jobs.start(
            "Finding concepts", work, on_done=lambda folder: self.list_models()
        )

    # Heart ----------------------------------------------------------------------------

    def start(self) -> None:
        """Show the labelled heart as the model draws it, and again after every edit."""
        if self._session.labels_layer is None or self.loaded is None or not self.loaded.book:
            return
        self._is_following = True
        self._again.drop()
        self._set_state(HeartState.WORKING)
        self._first.after_rest()

    def put_away(self) -> None:
        """Take the decoded heart off the screen; the model stays."""
        self._is_following = False
        self._first.drop()
        self._again.drop()
        self.take_away()
        has_labels = self._session.labels_layer is not None
        self._set_state(HeartState.READY if has_labels else HeartState.NO_LABELS)

    def _set_state(self, state: HeartState, reason: str = "") -> None:
        self.state, self.reason = state, reason
        self.heart_changed.emit()

    def _follow(self, *_: Any) -> None:
        if self._is_following:
            self._first.drop()
            self._set_state(HeartState.WORKING)
            self._again.after_rest()

    def _prepare_heart(self) -> Work | None:
        layer, loaded = self._session.labels_layer, self.loaded
        if layer is None or loaded is None:
            return None
        labels = labels_of(layer)
        labels = replace(labels, data=labels.data.copy())
        return lambda on_progress: _opened(labels, loaded, on_progress)

    def _on_heart(self, result: tuple[ConceptHeart, Decision]) -> None:
        layer = self._session.labels_layer
        if layer is not None:
            heart, opinion = result
            self.show_heart(heart, layer)
            self.opinion = opinion
            self.heart_changed.emit()

    def _on_refusal(self, text: str) -> None:
        self.take_away()
        self._set_state(HeartState.REFUSED, sentence(text))

    # Longer jobs ------------------------------------------------------------------------

    def walk_all(self) -> bool:
        """Walk this heart along every concept and measure it on the way, as a job."""
        heart = self.heart
        if heart is None:
            return False

        def work(on_progress: Progress) -> dict[str, Walked]:
            leave_a_core_to_the_window()
            found = {}
            for done, name in enumerate(heart.walks):
                on_progress(done, len(heart.walks), name)
                found[name] = heart.walked(name)
            return found

        def show(found: dict[str, Walked]) -> None:
            if heart is self.heart:
                self.walks = found
                self.walks_changed.emit()

        return self._desk.actions.jobs.start("Walking this heart", work, on_done=show)

    def find_counterfactual(self) -> bool:
        """Find the smallest change that is decided the other way, and show it, as a job."""
        heart = self.heart
        if heart is None:
            return False

        def work(on_progress: Progress) -> Counterfactual:
            leave_a_core_to_the_window()
            from napari_cardioxai.concepts.counterfactual import counterfactual

            book = heart.book
            return counterfactual(
                heart.classifier, book.cloud, book.scale, heart.latent, heart.ruler
            )

        def show(found: Counterfactual) -> None:
            if heart is self.heart:
                self.counterfactual = found
                self.move_to(found.latent)

        return self._desk.actions.jobs.start("Counterfactual", work, on_done=show)


def _opened(labels: Labels, loaded: Loaded, on_progress: Progress) -> tuple[ConceptHeart, Decision]:
    """A heart ready to be moved, and what the model decides about it; runs in a worker."""
    import_torch()
    leave_a_core_to_the_window()
    from napari_cardioxai.concepts.heart import ConceptHeart, check_draws_labels
    from napari_cardioxai.decisions import classify_labels

    check_draws_labels(loaded.classifier)
    opinion = classify_labels(labels, loaded.classifier)
    on_progress(1, 2, "reading the heart")
    assert loaded.book is not None
    heart = ConceptHeart.of(labels, loaded.classifier, loaded.book, on_progress=on_progress)
    return heart, opinion
