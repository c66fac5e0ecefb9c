"""What a classifier says about what is open: of labels anew whenever they are edited."""

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
    from napari_cardioxai.bundles.card import ImageClassifierCard, LatentCard
    from napari_cardioxai.bundles.image_classifier import ImageClassifier
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.decisions import Decision
    from napari_cardioxai.image_decisions import ImageDecision
    from napari_cardioxai.progress import Progress
    from napari_cardioxai.scans.scan import Scan

    ClassifierCard = LatentCard | ImageClassifierCard
    Known = tuple[str, LatentClassifier | ImageClassifier]
    Said = tuple[LatentClassifier | ImageClassifier, Decision | ImageDecision]

REST_MS = 600
_FIRST_MS = 10
OF_LABELS, OF_IMAGES = "latent-classifier", "image-classifier"


class VerdictState(StrEnum):
    """How far a decision is."""

    NO_LABELS = "no labels"
    NO_SCAN = "no scan"
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
        `NO_LABELS` and `NO_SCAN` say what the model that is looked at lacks.
        While `WORKING`, `decision` is that of the labels before.
    decision
        What the model says.
    reason
        Why it was refused, in a sentence.
    """

    state: VerdictState = VerdictState.NO_LABELS
    decision: Decision | ImageDecision | None = None
    reason: str = ""


class LiveDecision(QObject):
    """Asks a model about the labels or the scan of one viewer.

    Nothing is asked before somebody presses the button, and nothing any more
    once something else is opened. A model that reads labels is asked again
    whenever they have changed.

    Attributes
    ----------
    cards
        Of every classifier by its name; None until they are known.
    verdict
        What is known now.
    """

    cards_found = Signal(object)
    changed = Signal(object)
    listing_failed = Signal(str)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._session = desk.session
        self.cards: Mapping[str, ClassifierCard] | None = None
        self.verdict = Verdict()
        self._model = ""
        self._classifier: Known | None = None
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
        self._session.scan_changed.connect(self._start_over)
        self._start_over()

    def list_models(self) -> None:
        """Find out which classifiers there are."""
        self._list.soon()

    def decide(self, model: str) -> None:
        """Ask a model about what is open, and about labels again after every edit."""
        if model != self._model:
            self.look_at(model)
        if self._lacks is not None:
            return
        self._is_following = not self._reads_images
        self._again.drop()
        self._set(replace(self.verdict, state=VerdictState.WORKING))
        self._first.after_rest()

    def look_at(self, model: str) -> None:
        """Another model is looked at: what the last one said no longer stands."""
        self._model = model
        self._start_over()

    @property
    def _reads_images(self) -> bool:
        card = (self.cards or {}).get(self._model)
        return card is not None and card.kind == OF_IMAGES

    @property
    def _lacks(self) -> VerdictState | None:
        """What must be opened before the model can be asked."""
        if self._reads_images:
            return VerdictState.NO_SCAN if self._session.scan is None else None
        return VerdictState.NO_LABELS if self._session.labels_layer is None else None

    def close(self) -> bool:
        """Stop; True when nothing runs any more."""
        ended = [job.close() for job in (self._list, self._first, self._again)]
        return all(ended)  # each of them, also after one that did not end

    # The work ---------------------------------------------------------------------

    def _prepare_list(self) -> Work:
        return lambda on_progress: _cards()

    def _on_list(self, cards: Mapping[str, ClassifierCard]) -> None:
        self.cards = cards
        if self._classifier is not None and self._classifier[0] not in cards:
            self._classifier = None
        self.cards_found.emit(cards)

    def _prepare(self) -> Work | None:
        session, model, known = self._session, self._model, self._classifier
        if self._lacks is not None:
            return None
        scan = session.scan
        if self._reads_images:
            return lambda on_progress: _decide_image(scan, model, known, on_progress)
        labels = labels_of(session.labels_layer)
        labels = replace(labels, data=labels.data.copy(), notes=session.notes)
        return lambda on_progress: _decide(labels, scan, model, known, on_progress)

    def _on_decision(self, result: Said) -> None:
        classifier, decision = result
        self._classifier = self._model, classifier
        self._set(Verdict(VerdictState.DECIDED, decision))

    def _on_refusal(self, text: str) -> None:
        self._set(Verdict(VerdictState.REFUSED, reason=sentence(text)))

    # What changes -----------------------------------------------------------------

    def _on_labels(self) -> None:
        if not self._reads_images:
            self._start_over()

    def _start_over(self) -> None:
        self._is_following = False
        self._first.drop()
        self._again.drop()
        self._set(Verdict(self._lacks or VerdictState.READY))

    def _follow(self, *_: Any) -> None:
        if self._is_following:
            self._first.drop()
            self._set(replace(self.verdict, state=VerdictState.WORKING, reason=""))
            self._again.after_rest()

    def _set(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.changed.emit(verdict)


def _cards() -> dict[str, ClassifierCard]:
    """Cards of the classifiers; runs in a worker."""
    import_torch()
    from napari_cardioxai.bundles.bundle import available_cards

    cards, _ = available_cards()
    return {name: card for name, card in cards.items() if card.kind in (OF_LABELS, OF_IMAGES)}


def _decide(
    labels: Labels, scan: Scan | None, model: str, known: Known | None, on_progress: Progress
) -> Said:
    """A model, loaded if it is not there yet, and what it says; runs in a worker."""
    import_torch()
    leave_a_core_to_the_window()
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.decisions import classify_labels

    classifier = _loaded(LatentClassifier, model, known)
    on_progress(0, 0, "classifying")
    return classifier, classify_labels(labels, classifier, scan=scan, notes=labels.notes)


def _decide_image(scan: Scan, model: str, known: Known | None, on_progress: Progress) -> Said:
    """The same of a picture or volume."""
    import_torch()
    leave_a_core_to_the_window()
    from napari_cardioxai.bundles.image_classifier import ImageClassifier
    from napari_cardioxai.image_decisions import classify_scan

    classifier = _loaded(ImageClassifier, model, known)
    on_progress(0, 0, "classifying")
    return classifier, classify_scan(scan, classifier)


def _loaded(kind: Any, model: str, known: Known | None) -> Any:
    return known[1] if known is not None and known[0] == model else kind.load(model)
