"""Both ventricles' volumes and rates over the cycle."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cardioxai.app.session import Session
from napari_cardioxai.app.widgets.function.plots import RatePlot, VolumePlot
from napari_cardioxai.report.style import LV_COLOUR, RV_COLOUR

NO_SCAN = "Open a cine in the Study dock to see how the heart works."
NO_LABELS = "Segment, load labels or draw by hand in the Study dock to see curves here."
NO_CURVE = "Curves need an LV cavity (label 1) in two phases or more, and a known pixel size."


class FunctionSection(QWidget):
    """Two plots below each other, and what must be known to read them."""

    phase_chosen = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._empty = QLabel()
        self._empty.setObjectName("function_empty")
        self._empty.setWordWrap(True)
        self._key = QLabel()
        self._key.setObjectName("function_key")
        self._key.setTextFormat(Qt.TextFormat.RichText)
        self._numbers = QLabel()
        self._numbers.setObjectName("function_numbers")
        self._numbers.setTextFormat(Qt.TextFormat.RichText)
        self._numbers.setWordWrap(True)
        self._note = QLabel()
        self._note.setObjectName("rate_note")
        self._note.setWordWrap(True)
        self.volumes, self.rates = VolumePlot(), RatePlot()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for widget in (self._empty, self._key, self.volumes, self.rates, self._numbers, self._note):
            layout.addWidget(widget)
        for plot in (self.volumes, self.rates):
            plot.phase_chosen.connect(self.phase_chosen)

    def refresh(self) -> None:
        """Show what the session knows."""
        found = self._session.measurements
        shown = found is not None and found.volume_ml is not None and len(found.volume_ml) > 1
        rated = shown and found.lv_rates is not None and found.lv_rates.curve is not None
        self._empty.setVisible(not shown)
        for widget in (self._key, self.volumes, self._note):
            widget.setVisible(shown)
        self.rates.setVisible(rated)
        self._numbers.setVisible(rated)
        if not shown:
            self._empty.setText(self._what_to_do())
            return
        self.volumes.show_volumes(found)
        if rated:
            self.rates.show_rates(found)
            _set(self._numbers, _numbers(found))
        parts = [f"<span style='color:{LV_COLOUR}'>●</span> LV"]
        if found.rv_volume_ml is not None:
            parts.append(f"<span style='color:{RV_COLOUR}'>●</span> RV")
        _set(self._key, "&nbsp;&nbsp;&nbsp;".join(parts))
        _set(self._note, _notes(found))

    def _what_to_do(self) -> str:
        if self._session.scan is None:
            return NO_SCAN
        return NO_LABELS if self._session.labels_layer is None else NO_CURVE


def _set(label: QLabel, text: str) -> None:
    """Change a text only where it differs: a new one lays out the dock anew."""
    if label.text() != text:
        label.setText(text)


def _numbers(found: object) -> str:
    """The rates of the left ventricle in words, those that are known."""
    parts = []
    for name, value, unit, digits in (
        ("PER", found.per_ml_s, "mL/s", ".0f"),
        ("PFR", found.pfr_ml_s, "mL/s", ".0f"),
        ("PAFR", found.pafr_ml_s, "mL/s", ".0f"),
        ("E\u2060/\u2060A", found.ea_ratio, "", ".1f"),
        ("diastasis", found.diastasis_ms, "ms after ED", ".0f"),
    ):
        if value is not None:
            parts.append(f"{name}&nbsp;<b>{value:{digits}}</b>&nbsp;{unit}".removesuffix("&nbsp;"))
    return "LV: " + " · ".join(parts)


def _notes(found: object) -> str:
    """How the derivative was smoothed, and why a rate is missing."""
    notes = [f"LV: {found.rate_note}" if found.rate_note else ""]
    if found.rv_rate_note and found.rv_rate_note != found.rate_note:
        notes.append(f"RV: {found.rv_rate_note}")
    elif found.rv_rate_note:
        notes = [f"LV and RV: {found.rate_note}"]
    return "\n".join(note for note in notes if note)
