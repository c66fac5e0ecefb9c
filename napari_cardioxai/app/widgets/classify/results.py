"""A decision with all that a reader needs to doubt it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.classify.gauge import ROW_GAP, Bars, Gauge, capital, percent
from napari_cardioxai.app.widgets.train.form import SMALL, WRONG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_cardioxai.bundles.card import ImageClassifierCard, LatentCard
    from napari_cardioxai.decisions import Decision, Unlikeness
    from napari_cardioxai.image_decisions import ImageDecision, ImageUnlikeness

BASELINE = "By measured biomarkers alone"
_HEADLINE = "font-size: 17px; font-weight: bold;"
_STRANGE = "farther out than 99 % of what it knows: do not trust the decision"
_USUAL = "within what the model has seen"
_ABBREVIATIONS = {
    "EF": "ejection fraction",
    "PER": "peak ejection rate",
    "PFR": "peak filling rate",
    "APFR": "atrial peak filling rate",
    "LVT": "variance of the thickening of the LV wall",
}


class DecisionSection(QWidget):
    """The class, its probability, and what a plain baseline says.

    Of a model of two classes and a threshold the probability of the positive
    one against it; of others the probability of every class.
    """

    def __init__(self) -> None:
        super().__init__()
        self.headline, self.disagreement = (
            _text("classify_headline"),
            _text("classify_disagreement"),
        )
        self.headline.setStyleSheet(_HEADLINE)
        self.disagreement.setStyleSheet(WRONG)
        self.probability, self.baseline = Gauge("classify_probability"), Gauge("classify_baseline")
        self.classes = Bars("classify_class", one_of_all=True)
        self.about = _text("classify_calibration")
        _column(
            self,
            self.headline,
            self.probability,
            self.baseline,
            self.classes,
            self.disagreement,
            self.about,
        )

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self.classes.set_theme(name)
        for gauge in (self.probability, self.baseline):
            gauge.set_theme(name)

    @property
    def gauges(self) -> list[Gauge]:
        """Bars that fade while a decision is made anew."""
        return [self.probability, self.baseline, *self.classes.bars.values()]

    def show_decision(
        self, said: Decision | ImageDecision, card: LatentCard | ImageClassifierCard | None
    ) -> None:
        """Fill in."""
        found = said.out_of_distribution
        is_strange = found is not None and found.is_strange
        doubt = ", but not to be trusted" if is_strange else ""
        self.headline.setText(f"{capital(said.decision)}{doubt}")
        self.headline.setStyleSheet(_HEADLINE + (WRONG if is_strange else ""))
        shares: Mapping[str, float] = getattr(said, "probabilities", {})
        self.classes.show_shares(shares)
        self.classes.setVisible(bool(shares))
        for gauge in (self.probability, self.baseline):
            gauge.setVisible(not shares)
        if shares:
            self.disagreement.hide()
            self.headline.setToolTip(f"Probability {_one_decimal(said.probability)}")
        else:
            self._show_against_threshold(said)
        self.about.setText("" if card is None else about_calibration(card))

    def _show_against_threshold(self, said: Decision) -> None:
        positive = said.classes[1]
        at_least = said.probability >= said.threshold
        self.headline.setToolTip(
            f"Probability of {positive} {_one_decimal(said.probability)}, "
            f"{'not below' if at_least else 'below'} the threshold of "
            f"{_one_decimal(said.threshold)}"
        )
        title = f"Probability of {positive}"
        self.probability.show_value(title, said.probability, mark=said.threshold)
        self.baseline.show_value(BASELINE, said.baseline_probability)
        differs = (
            said.baseline_probability is not None
            and abs(said.baseline_probability - said.probability) >= 0.5
        )
        self.disagreement.setVisible(differs)
        self.disagreement.setText(
            "The biomarkers alone say nearly the opposite: find out why before trusting either."
        )


class ConceptsSection(QWidget):
    """One bar a concept."""

    def __init__(self) -> None:
        super().__init__()
        self._none = _text("classify_no_concepts")
        self._none.setText("This model knows no concepts.")
        self.spelt_out = _text("classify_abbreviations")
        self.spelt_out.setStyleSheet(SMALL)
        self._bars = Bars("classify_concept")
        _column(self, self._bars, self._none, self.spelt_out)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self._bars.set_theme(name)

    @property
    def bars(self) -> dict[str, Gauge]:
        """By the name of the concept."""
        return self._bars.bars

    @property
    def gauges(self) -> list[Gauge]:
        """Bars that fade while a decision is made anew."""
        return list(self.bars.values())

    def show_concepts(self, concepts: Mapping[str, float]) -> None:
        """Fill in."""
        self._bars.show_shares(concepts)
        words = {word for name in concepts for word in name.split()}
        found = [f"{short}: {long}" for short, long in _ABBREVIATIONS.items() if short in words]
        self.spelt_out.setText("; ".join(found))
        self.spelt_out.setVisible(bool(found))
        self._none.setVisible(not concepts)


class UnlikenessSection(QWidget):
    """How unlike what the model has learnt from this is, and what that means."""

    def __init__(self) -> None:
        super().__init__()
        self.distance = Gauge("classify_distance", mark_name="limit")
        self.meaning = _text("classify_meaning")
        _column(self, self.distance, self.meaning)

    @property
    def gauges(self) -> list[Gauge]:
        """Bars that take colours."""
        return [self.distance]

    def show_unlikeness(
        self, found: Unlikeness | ImageUnlikeness | None, limit_percent: float, *, what: str
    ) -> None:
        """Fill in; `what` it learnt from, such as "hearts"."""
        self.distance.setVisible(found is not None)
        if found is None:
            self.meaning.setText(
                f"This model does not know where its training {what} lie; a stranger to them "
                "goes unnoticed."
            )
            return
        self.distance.show_value(
            f"Known {what} that lie nearer", found.percentile / 100, mark=limit_percent / 100
        )
        is_far = found.percentile >= limit_percent
        meaning = _STRANGE if is_far else _USUAL
        far = f"{found.times_typical:.1f} times as far from their middle as a typical one"
        parts = [f"{far}: {meaning}."]
        dice = getattr(found, "reconstruction_dice", None)
        if dice is not None:
            worse = found.reconstruction_percentile
            known = "" if worse is None else f"; {worse:.0f} % of known {what} come out worse"
            parts.append(f"Drawn again from what the model keeps of it: Dice {dice:.2f}{known}.")
        self.meaning.setText(" ".join(parts))
        self.meaning.setStyleSheet(WRONG if found.is_strange else "")


def about_calibration(card: LatentCard | ImageClassifierCard) -> str:
    """How a model's probability was calibrated and its threshold chosen, and how good it is."""
    parts = [f"Calibrated with a temperature of {card.temperature:.2f}."]
    chosen = getattr(card, "threshold", {})
    if {"sensitivity", "specificity"} <= chosen.keys():
        parts.append(
            f"The threshold has the largest Youden index where it was chosen: sensitivity "
            f"{percent(chosen['sensitivity'])}, specificity {percent(chosen['specificity'])}."
        )
    part = next((p for p in ("test", "validation") if "auc" in card.results.get(p, {})), None)
    if part is not None:
        parts.append(_figures(card.results[part]))
    elif "accuracy" in card.results.get("test", {}):
        parts.append(_figures_of_classes(card.results["test"]))
    return " ".join(parts)


def _figures_of_classes(found: Mapping[str, Any]) -> str:
    right, balanced = found["accuracy"], found["balanced_accuracy"]
    return (
        f"On {found['images']} images that it did not learn from: accuracy "
        f"{percent(right['value'])} (95 % interval {percent(right['low'])} to "
        f"{percent(right['high'])}), balanced accuracy {percent(balanced['value'])}."
    )


def _figures(found: Mapping[str, Any]) -> str:
    low, high = found["auc_95"]
    return (
        f"On {found['subjects']} subjects that it did not learn from ({found['positives']} "
        f"positive): AUC {found['auc']:.2f} (95 % interval {low:.2f} to {high:.2f}), balanced "
        f"accuracy {percent(found['balanced_accuracy'])}."
    )


def _one_decimal(share: float) -> str:
    return f"{100 * share:.1f} %"


def _text(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    return label


def _column(widget: QWidget, *parts: QWidget) -> None:
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(ROW_GAP)
    for part in parts:
        layout.addWidget(part)
