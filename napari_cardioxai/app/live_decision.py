"""What a latent classifier says about the labels, kept equal to them while they are edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_cardioxai.app.latest_job import LatestJob
from napari_cardioxai.app.layers import labels_of
from napari_cardioxai.app.torch_first import import_torch
from napari_cardioxai.app.workers import Work, leave_a_core_to_the_window, sentence

if TYPE_CHECKING:
    from napari_cardioxai.anatomy.labels import Labels
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.bundles.card import LatentCard
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.decisions import Decision
    from napari_cardioxai.progress import Progress
    from napari_cardioxai.scans.scan import Scan

REST_MS = 600
_FIRST_MS = 10


class VerdictState(StrEnum):
    """How far a decision is."""

    NO_LABELS = "no labels"
    READY = "ready"
    WORKING = "working"
    DECIDED = "decided"
    REFUSED = "refused"


@dataclass(frozen=True)
class Verdict:
    """A decision, or why there is none.

    Attributes
    ----------
    state
        While `WORKING`, `decision` is that of the labels before.
    decision
        What the model says.
    reason
        Why it was refused, in a sentence.
    """

    state: VerdictState = VerdictState.NO_LABELS
    decision: Decision | None = None
    reason: str = ""


class LiveDecision(QObject):
    """Asks a model about the labels of one viewer, and again whenever they have changed.

    Nothing is asked before somebody presses the button, and nothing any more
    once other labels are opened.

    Attributes
    ----------
    cards
        Of every latent classifier by its name; None until they are known.
    verdict
        What is known now.
    """

    cards_found = Signal(object)
    changed = Signal(object)
    listing_failed = Signal(str)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._session = desk.session
        self.cards: Mapping[str, LatentCard] | None = None
        self.verdict = Verdict()
        self._model = ""
        self._classifier: tuple[str, LatentClassifier] | None = None
        self._is_following = False
        self._list = LatestJob(self._prepare_list, self._on_list, delay_ms=_FIRST_MS, parent=self)
        self._list.failed.connect(lambda text: self.listing_failed.emit(sentence(text)))
        self._first = LatestJob(self._prepare, self._on_decision, delay_ms=_FIRST_MS, parent=self)
        self._again = LatestJob(self._prepare, self._on_decision, delay_ms=REST_MS, parent=self)
        for job in (self._first, self._again):
            job.failed.connect(self._on_refusal)
        desk.actions.live.edited.connect(self._follow)
        desk.training.model_made.connect(lambda _: self.list_models())
        self._session.labels_changed.connect(self._on_labels)
        self._on_labels()

    def list_models(self) -> None:
        """Find out which latent classifiers there are."""
        self._list.soon()

    def decide(self, model: str) -> None:
        """Ask a model about the labels, and again after every edit."""
        if self._session.labels_layer is None:
            return
        if model != self._model:
            self._set(Verdict(VerdictState.WORKING))
        self._model, self._is_following = model, True
        self._again.drop()
        self._set(replace(self.verdict, state=VerdictState.WORKING))
        self._first.after_rest()

    def forget(self) -> None:
        """Another model is looked at: what the last one said no longer stands."""
        self._on_labels()

    def close(self) -> bool:
        """Stop; True when nothing runs any more."""
        ended = [job.close() for job in (self._list, self._first, self._again)]
        return all(ended)  # each of them, also after one that did not end

    # The work ---------------------------------------------------------------------

    def _prepare_list(self) -> Work:
        return lambda on_progress: _cards()

    def _on_list(self, cards: Mapping[str, LatentCard]) -> None:
        self.cards = cards
        if self._classifier is not None and self._classifier[0] not in cards:
            self._classifier = None
        self.cards_found.emit(cards)

    def _prepare(self) -> Work | None:
        layer, model, known = self._session.labels_layer, self._model, self._classifier
        if layer is None:
            return None
        labels = labels_of(layer)
        labels = replace(labels, data=labels.data.copy(), notes=self._session.notes)
        scan = self._session.scan

        def work(on_progress: Progress) -> tuple[LatentClassifier, Decision]:
            return _decide(labels, scan, model, known, on_progress)

        return work

    def _on_decision(self, result: tuple[LatentClassifier, Decision]) -> None:
        classifier, decision = result
        self._classifier = self._model, classifier
        self._set(Verdict(VerdictState.DECIDED, decision))

    def _on_refusal(self, text: str) -> None:
        self._set(Verdict(VerdictState.REFUSED, reason=sentence(text)))

    # What changes -----------------------------------------------------------------

    def _on_labels(self) -> None:
        self._is_following = False
        self._first.drop()
        self._again.drop()
        has_labels = self._session.labels_layer is not None
        self._set(Verdict(VerdictState.READY if has_labels else VerdictState.NO_LABELS))

    def _follow(self, *_: Any) -> None:
        if self._is_following:
            self._first.drop()
            self._set(replace(self.verdict, state=VerdictState.WORKING, reason=""))
            self._again.after_rest()

    def _set(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.changed.emit(verdict)


def _cards() -> dict[str, LatentCard]:
    """Cards of the latent classifiers; runs in a worker."""
    import_torch()
    from napari_cardioxai.bundles.bundle import find_bundle, load_card
    from napari_cardioxai.decisions import available_classifiers

    return {name: load_card(find_bundle(name)) for name in available_classifiers()}


def _decide(
    labels: Labels,
    scan: Scan | None,
    model: str,
    known: tuple[str, LatentClassifier] | None,
    on_progress: Progress,
) -> tuple[LatentClassifier, Decision]:
    """A model, loaded if it is not there yet, and what it says; runs in a worker."""
    import_torch()
    leave_a_core_to_the_window()
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.decisions import classify_labels

    is_there = known is not None and known[0] == model
    classifier = known[1] if is_there else LatentClassifier.load(model)
    on_progress(0, 0, "classifying")
    return classifier, classify_labels(labels, classifier, scan=scan, notes=labels.notes)
