"""A decision with all that a reader needs to doubt it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.classify_gauge import Gauge, percent
from napari_cardioxai.app.widgets.train_form import SMALL, WRONG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_cardioxai.bundles.card import LatentCard
    from napari_cardioxai.decisions import Decision, Unlikeness

BASELINE = "By measured biomarkers alone"
_HEADLINE = "font-size: 17px; font-weight: bold;"
_STRANGE = "farther out than 99 % of the training hearts: do not trust the decision"
_USUAL = "within what the model has seen"
_ROW_GAP = 6
_ABBREVIATIONS = {
    "EF": "ejection fraction",
    "PER": "peak ejection rate",
    "PFR": "peak filling rate",
    "APFR": "atrial peak filling rate",
    "LVT": "variance of the thickening of the LV wall",
}


class DecisionSection(QWidget):
    """The class, its probability against the threshold, and what a plain baseline says."""

    def __init__(self) -> None:
        super().__init__()
        self.headline, self.disagreement = (
            _text("classify_headline"),
            _text("classify_disagreement"),
        )
        self.headline.setStyleSheet(_HEADLINE)
        self.disagreement.setStyleSheet(WRONG)
        self.probability, self.baseline = Gauge("classify_probability"), Gauge("classify_baseline")
        self.about = _text("classify_calibration")
        _column(self, self.headline, self.probability, self.baseline, self.disagreement, self.about)

    @property
    def gauges(self) -> list[Gauge]:
        """Bars that take colours."""
        return [self.probability, self.baseline]

    def show_decision(self, said: Decision, card: LatentCard | None) -> None:
        """Fill in."""
        positive = said.classes[1]
        at_least = said.probability >= said.threshold
        found = said.out_of_distribution
        is_strange = found is not None and found.is_strange
        doubt = ", but not to be trusted" if is_strange else ""
        self.headline.setText(f"{said.decision[:1].upper()}{said.decision[1:]}{doubt}")
        self.headline.setStyleSheet(_HEADLINE + (WRONG if is_strange else ""))
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
        self.about.setText("" if card is None else about_calibration(card))


class ConceptsSection(QWidget):
    """One bar a concept; more likely than not is another colour."""

    def __init__(self) -> None:
        super().__init__()
        self.bars: dict[str, Gauge] = {}
        self._theme = "dark"
        self._none = _text("classify_no_concepts")
        self._none.setText("This model knows no concepts.")
        self.spelt_out = _text("classify_abbreviations")
        self.spelt_out.setStyleSheet(SMALL)
        self._bars = QVBoxLayout()
        self._bars.setSpacing(_ROW_GAP)
        _column(self, self._none, self.spelt_out)
        self.layout().insertLayout(0, self._bars)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self._theme = name
        for bar in self.bars.values():
            bar.set_theme(name)

    @property
    def gauges(self) -> list[Gauge]:
        """Bars that fade while a decision is made anew."""
        return list(self.bars.values())

    def show_concepts(self, concepts: Mapping[str, float]) -> None:
        """Fill in; bars are made anew only for another model."""
        if list(concepts) != list(self.bars):
            for bar in self.bars.values():
                self._bars.removeWidget(bar)
                bar.deleteLater()
            self.bars = {}
            for name in concepts:
                bar = self.bars[name] = Gauge(f"classify_concept_{name}", is_split=True)
                bar.set_theme(self._theme)
                self._bars.addWidget(bar)
        for name, probability in concepts.items():
            self.bars[name].show_value(f"{name[:1].upper()}{name[1:]}", probability)
        words = {word for name in concepts for word in name.split()}
        found = [f"{short}: {long}" for short, long in _ABBREVIATIONS.items() if short in words]
        self.spelt_out.setText("; ".join(found))
        self.spelt_out.setVisible(bool(found))
        self._none.setVisible(not concepts)


class UnlikenessSection(QWidget):
    """How unlike the training hearts this one is, and what that means."""

    def __init__(self) -> None:
        super().__init__()
        self.distance = Gauge("classify_distance", mark_name="limit")
        self.meaning = _text("classify_meaning")
        _column(self, self.distance, self.meaning)

    @property
    def gauges(self) -> list[Gauge]:
        """Bars that take colours."""
        return [self.distance]

    def show_unlikeness(self, found: Unlikeness | None, limit_percent: float) -> None:
        """Fill in."""
        self.distance.setVisible(found is not None)
        if found is None:
            self.meaning.setText(
                "This model does not know where its training hearts lie; a heart unlike them "
                "goes unnoticed."
            )
            return
        self.distance.show_value(
            "Training hearts that lie nearer", found.percentile / 100, mark=limit_percent / 100
        )
        is_far = found.percentile >= limit_percent
        meaning = _STRANGE if is_far else _USUAL
        far = f"{found.times_typical:.1f} times as far from their middle as a typical one"
        parts = [f"{far}: {meaning}."]
        if found.reconstruction_dice is not None:
            worse = found.reconstruction_percentile
            known = "" if worse is None else f"; {worse:.0f} % of known hearts come out worse"
            parts.append(
                f"Drawn again from what the model keeps of it: Dice "
                f"{found.reconstruction_dice:.2f}{known}."
            )
        self.meaning.setText(" ".join(parts))
        self.meaning.setStyleSheet(WRONG if found.is_strange else "")


def about_calibration(card: LatentCard) -> str:
    """How a model's probability was calibrated and its threshold chosen, and how good it is."""
    parts = [f"Calibrated with a temperature of {card.temperature:.2f}."]
    chosen = card.threshold
    if {"sensitivity", "specificity"} <= chosen.keys():
        parts.append(
            f"The threshold has the largest Youden index where it was chosen: sensitivity "
            f"{percent(chosen['sensitivity'])}, specificity {percent(chosen['specificity'])}."
        )
    part = next((p for p in ("test", "validation") if "auc" in card.results.get(p, {})), None)
    if part is not None:
        parts.append(_figures(card.results[part]))
    return " ".join(parts)


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
    layout.setSpacing(_ROW_GAP)
    for part in parts:
        layout.addWidget(part)
