"""What is explained: model, target and where; and the settings that few people touch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QSizePolicy, QSpinBox, QWidget

from napari_cardioxai.app.attribution_jobs import BASELINES, Explainer
from napari_cardioxai.app.widgets.train.form import SMALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_cardioxai.attribution.layers import FeatureMap

GROUPS = {
    "logit": "Logit of {}",
    "volume": "Volume of {}",
    "class": "Class: {}",
    "concept": "Concept: {}",
}
DECISION = "The model's own answer"
AUTOMATIC = "automatic"
DEPTHS = {
    "quick": "Quick: faithfulness, random weights, controls",
    "full": "Full: also noise, and weights layer by layer",
    "none": "None: maps only, nothing is known of their worth",
}
KINDS = {
    "segmenter": "labels structures",
    "latent-classifier": "decides from the labels of a whole cycle",
    "image-classifier": "decides from a picture or volume",
}


class ChoiceSection(QWidget):
    """Model, target, and for cines which pictures."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.model, self.target = _combo("attribution_model"), _combo("attribution_target")
        self.where = _combo("attribution_where")
        self.where.addItems(["The picture in view", "The slice in view, whole cycle"])
        self.about = QLabel()
        self.about.setObjectName("attribution_about")
        self.about.setWordWrap(True)
        self.about.setStyleSheet(SMALL)
        self._models: Mapping[str, Explainer] = {}
        grid = _grid(self)
        for row, (text, widget) in enumerate(
            (("Model", self.model), ("Explain", self.target), ("Where", self.where))
        ):
            label = QLabel(text)
            label.setBuddy(widget)
            grid.addWidget(label, row, 0)
            grid.addWidget(widget, row, 1)
        self._where_label = label
        grid.addWidget(self.about, 3, 0, 1, 2)
        self.model.currentIndexChanged.connect(self._on_model)
        self.target.currentIndexChanged.connect(lambda _: self.changed.emit())

    @property
    def chosen(self) -> Explainer | None:
        """The chosen model."""
        return self._models.get(self.model.currentText())

    @property
    def chosen_target(self) -> str | None:
        """Name of the target; None for the model's own answer."""
        return self.target.currentData()

    @property
    def whole_cycle(self) -> bool:
        """Whether all phases are asked for."""
        return not self.where.isHidden() and self.where.currentIndex() == 1

    def show_models(self, models: Mapping[str, Explainer], default: str) -> None:
        """Offer the models; the chosen one stays where it can."""
        kept = self.model.currentText()
        self._models = models
        self.model.blockSignals(True)
        self.model.clear()
        self.model.addItems(list(models))
        for row, one in enumerate(models.values()):
            self.model.setItemData(row, f"{one.title}; {KINDS[one.kind]}", 3)  # as a tooltip
        self.model.setCurrentText(kept if kept in models else default)
        self.model.blockSignals(False)
        self._on_model()

    def set_cine(self, is_cine: bool) -> None:
        """Say whether there are phases to choose from."""
        chosen = self.chosen
        shown = is_cine and chosen is not None and chosen.kind == "segmenter"
        self.where.setVisible(shown)
        self._where_label.setVisible(shown)

    def _on_model(self) -> None:
        chosen = self.chosen
        self.target.blockSignals(True)
        self.target.clear()
        if chosen is not None:
            if chosen.decides:
                self.target.addItem(DECISION, None)
            for group in GROUPS:
                for name in chosen.targets.get(group, ()):
                    plain = name.removesuffix(" logit")
                    self.target.addItem(GROUPS[group].format(plain), name)
            self.about.setText(f"{chosen.title}. It {KINDS[chosen.kind]}.")
        self.about.setVisible(chosen is not None)
        self.target.blockSignals(False)
        self.changed.emit()


class SettingsSection(QWidget):
    """Layer, baseline, steps and how much evidence; each only where it matters."""

    layer_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.baseline = _combo("attribution_layer"), _combo("attribution_baseline")
        self.evidence = _combo("attribution_evidence")
        self.steps = QSpinBox()
        self.steps.setObjectName("attribution_steps")
        self.steps.setRange(0, 4096)
        self.steps.setSpecialValueText(AUTOMATIC)
        self.baseline.addItem(AUTOMATIC, None)
        for name in BASELINES:
            self.baseline.addItem(name, name)
        for key, text in DEPTHS.items():
            self.evidence.addItem(text, key)
        self.show_layers(())
        grid = _grid(self)
        for row, (text, widget, tip) in enumerate(
            (
                ("Layer of CAMs", self.layer, "Class activation maps are read in this layer"),
                (
                    "Baseline",
                    self.baseline,
                    "What the input is compared with; by itself zero, or an empty picture for labels",
                ),
                (
                    "Steps",
                    self.steps,
                    "Of methods that go from the baseline to the input; by itself doubled until they add up",
                ),
                ("Evidence", self.evidence, "What is measured of every map beside three controls"),
            )
        ):
            label = QLabel(text)
            label.setBuddy(widget)
            widget.setToolTip(tip)
            label.setToolTip(tip)
            grid.addWidget(label, row, 0)
            grid.addWidget(widget, row, 1)
        self.layer.currentIndexChanged.connect(lambda _: self.layer_changed.emit())

    def show_layers(self, maps: Sequence[FeatureMap]) -> None:
        """Offer the layers of a network that have feature maps, the last ones first."""
        kept = self.layer.currentData()
        self.layer.blockSignals(True)
        self.layer.clear()
        self.layer.addItem(AUTOMATIC, None)
        for one in reversed(maps):
            size = " × ".join(map(str, one.shape))
            self.layer.addItem(f"{one.name}  ({one.kind}, {one.channels} of {size})", one.name)
        self.layer.setCurrentIndex(max(0, self.layer.findData(kept)))
        self.layer.blockSignals(False)

    def set_useful(self, *, layer: bool, baseline: bool, steps: bool) -> None:
        """Say which settings the chosen methods read."""
        self.layer.setEnabled(layer)
        self.baseline.setEnabled(baseline)
        self.steps.setEnabled(steps)


def _combo(name: str) -> QComboBox:
    combo = QComboBox()
    combo.setObjectName(name)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo


def _grid(widget: QWidget) -> QGridLayout:
    grid = QGridLayout(widget)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setColumnStretch(1, 1)
    return grid
