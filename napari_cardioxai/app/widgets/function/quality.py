"""What the quality rules found: go there, or say why it is no fault."""

from __future__ import annotations

from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import (
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.anatomy.quality import Finding, Override, QualityReport
from napari_cardioxai.app.session import Session

KINDS = {"technical": "Technical", "physiology": "Physiology"}
NO_LABELS = "Labels are checked here as soon as there are some."
CHECKING = "Checking …"
CLEAN = "No rule was tripped."
_FINDING = Qt.ItemDataRole.UserRole
_LONGEST = 300


class QualitySection(QWidget):
    """One list per kind of finding: faults of images and labels, and hearts that are unusual."""

    place_chosen = Signal(object, object)  # slice and frame from 0; None where it is about all
    count_changed = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._said = QLabel()
        self._said.setObjectName("quality_summary")
        self._said.setWordWrap(True)
        self.titles, self.lists = {}, {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._said)
        for kind in KINDS:
            self.titles[kind] = QLabel()
            self.titles[kind].setObjectName(f"quality_{kind}_title")
            self.lists[kind] = self._list(kind)
            layout.addWidget(self.titles[kind])
            layout.addWidget(self.lists[kind])
        self.overrule = QPushButton("Overrule…")
        self.overrule.setObjectName("overrule")
        self.overrule.setToolTip("Say why the chosen finding is no fault; the reason is kept")
        self.overrule.clicked.connect(self._on_overrule)
        self.restore = QPushButton("Take back")
        self.restore.setObjectName("restore")
        self.restore.setToolTip("Let the chosen finding count again")
        self.restore.clicked.connect(self._on_restore)
        row = QHBoxLayout()
        row.addWidget(self.overrule)
        row.addWidget(self.restore)
        layout.addLayout(row)

    def _list(self, kind: str) -> QListWidget:
        found = QListWidget()
        found.setObjectName(f"quality_{kind}")
        found.setWordWrap(True)
        found.setIconSize(QSize(18, 18))
        found.setResizeMode(QListWidget.ResizeMode.Adjust)
        found.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        found.itemClicked.connect(self._on_item)
        found.itemActivated.connect(self._on_item)
        found.currentItemChanged.connect(lambda *_: self._enable())
        return found

    def refresh(self) -> None:
        """Show what the session knows."""
        report = self._session.quality
        for kind, title in KINDS.items():
            mine = [f for f in (report.findings if report else ()) if f.kind == kind]
            self.titles[kind].setText(f"{title} ({sum(f.overruled is None for f in mine)})")
            self.titles[kind].setVisible(bool(mine))
            self.lists[kind].setVisible(bool(mine))
            self._fill(self.lists[kind], mine)
        self._said.setText(self._summary(report))
        tips = [] if report is None else [n.reason for n in report.not_applicable]
        self._said.setToolTip("\n".join(dict.fromkeys(tips)))
        has_findings = report is not None and bool(report.findings)
        self.overrule.setVisible(has_findings)
        self.restore.setVisible(has_findings)
        self._enable()
        self.count_changed.emit(0 if report is None else len(report.open))

    def _summary(self, report: QualityReport | None) -> str:
        if report is None:
            return NO_LABELS if self._session.labels_layer is None else CHECKING
        passed = len({finding.rule for finding in report.passed})
        said = f"{passed} rules passed, {len(report.not_applicable)} could not be judged."
        return said if report.findings else f"{CLEAN} {said}"

    def _fill(self, shown: QListWidget, findings: list[Finding]) -> None:
        chosen, there = shown.currentItem(), shown.verticalScrollBar().value()
        rule = chosen.data(_FINDING).rule if chosen is not None else None
        shown.blockSignals(True)
        shown.clear()
        for finding in sorted(findings, key=lambda f: f.overruled is not None):
            item = QListWidgetItem(self._icon(finding), _text(finding))
            item.setData(_FINDING, finding)
            item.setToolTip(_tip(finding))
            if finding.overruled is not None:
                font = item.font()
                font.setItalic(True)
                item.setFont(font)
            shown.addItem(item)
            if finding.rule == rule:
                shown.setCurrentItem(item)
        shown.blockSignals(False)
        shown.verticalScrollBar().setValue(there)
        self._fit(shown)

    def _fit(self, shown: QListWidget) -> None:
        """As high as its sentences, wrapped in the present width, up to a limit."""
        width = max(shown.viewport().width() - shown.iconSize().width() - 24, 100)
        heights = 0
        for row in range(shown.count()):
            item = shown.item(row)
            metrics = QFontMetrics(item.font())
            box = metrics.boundingRect(
                QRect(0, 0, width, 10_000), Qt.TextFlag.TextWordWrap, item.text()
            )
            item.setSizeHint(QSize(0, box.height() + 10))
            heights += box.height() + 10
        shown.setFixedHeight(min(heights + 8, _LONGEST))

    def resizeEvent(self, event: object) -> None:
        """Sentences wrap anew."""
        super().resizeEvent(event)
        for shown in self.lists.values():
            self._fit(shown)

    def _icon(self, finding: Finding) -> object:
        pixmaps = QStyle.StandardPixmap
        if finding.overruled is not None:
            return self.style().standardIcon(pixmaps.SP_DialogApplyButton)
        warns = finding.severity == "warning"
        known = pixmaps.SP_MessageBoxWarning if warns else pixmaps.SP_MessageBoxInformation
        return self.style().standardIcon(known)

    def _on_item(self, item: QListWidgetItem) -> None:
        for shown in self.lists.values():
            if shown is not item.listWidget():
                shown.setCurrentItem(None)
        finding = item.data(_FINDING)
        self.place_chosen.emit(finding.slice, finding.frame)

    @property
    def chosen(self) -> Finding | None:
        """The finding that is selected."""
        for shown in self.lists.values():
            if not shown.isHidden() and shown.currentItem() is not None:
                return shown.currentItem().data(_FINDING)
        return None

    def _enable(self) -> None:
        chosen = self.chosen
        self.overrule.setEnabled(chosen is not None and chosen.overruled is None)
        self.restore.setEnabled(chosen is not None and chosen.overruled is not None)

    def _on_overrule(self) -> None:
        chosen = self.chosen
        if chosen is None:
            return
        text, given = QInputDialog.getText(
            self, "Overrule a finding", f"{chosen.sentence}\n\nWhy is this no fault?"
        )
        if given and text.strip():
            place = {"slice": chosen.slice, "frame": chosen.frame, "structure": chosen.structure}
            override = Override(chosen.rule, reason=text.strip(), **place)
            self._session.set_overrides((*self._session.overrides, override))

    def _on_restore(self) -> None:
        chosen = self.chosen
        if chosen is not None:
            kept = (o for o in self._session.overrides if not o.covers(chosen))
            self._session.set_overrides(tuple(kept))


def _text(finding: Finding) -> str:
    if finding.overruled is None:
        return finding.sentence
    return f"{finding.sentence}\nOverruled: {finding.overruled.reason}"


def _tip(finding: Finding) -> str:
    if finding.overruled is not None:
        return f"Overruled on {finding.overruled.when}: {finding.overruled.reason}"
    return "Click to go there" if (finding.slice, finding.frame) != (None, None) else ""
