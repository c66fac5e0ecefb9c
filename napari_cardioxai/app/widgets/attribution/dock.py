"""The Attribution dock: where a model looks, and how far each map of it may be trusted."""

from __future__ import annotations

import napari
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cardioxai.app.attribution_jobs import Explainers, Looked, Wish
from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.heat_layers import Display
from napari_cardioxai.app.live_attribution import SUMMARY, Standing
from napari_cardioxai.app.widgets.attribution.bar import AttributionBar
from napari_cardioxai.app.widgets.attribution.choice import ChoiceSection, SettingsSection
from napari_cardioxai.app.widgets.attribution.curve import CurveSection
from napari_cardioxai.app.widgets.attribution.display import DisplaySection
from napari_cardioxai.app.widgets.attribution.methods import MethodsSection
from napari_cardioxai.app.widgets.attribution.network import NetworkSection
from napari_cardioxai.app.widgets.attribution.planes import PlanesSection
from napari_cardioxai.app.widgets.attribution.regions import RegionsSection
from napari_cardioxai.app.widgets.attribution.scores import ScoresSection
from napari_cardioxai.app.widgets.attribution.tiles import Tiles
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.widgets.train.form import WRONG

LOOKING = "Looking for models …"
NO_MODEL = "There is no model to explain; train one in the Train dock."
NO_SCAN = "Open a study in the Study dock to see where a model looks in it."
NO_LABELS = "This model reads labels: label the cycle in the Study dock first."
NO_METHOD = "Tick a method."
ASKING = "Looking at the network …"
PREFERRED = {"labels": "clough", "cine": "heart-unet"}


class AttributionDock(QWidget):
    """Choose what to explain and how, and see the maps with their evidence.

    It holds no arrays and computes nothing: `LiveAttribution` asks the
    attribution room in a worker and puts maps on the scan.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("attribution_dock")
        self.desk = desk_of(napari_viewer)
        self.live, self.session = self.desk.attribution, self.desk.session
        self._build()
        self._connect()
        self.set_theme(self.desk.viewer.theme)
        self.show_explainers(self.live.explainers)
        self.show_looked(self.live.looked)
        self.show_maps()
        self.show_standing(self.live.standing)
        self.live.list_models()

    def _build(self) -> None:
        self.hint = QLabel()
        self.hint.setObjectName("attribution_hint")
        self.hint.setWordWrap(True)
        self.choice, self.settings = ChoiceSection(), SettingsSection()
        self.methods, self.bar = MethodsSection(), AttributionBar()
        self.scores, self.display = ScoresSection(), DisplaySection()
        self.regions, self.curve = RegionsSection(), CurveSection()
        self.compare = Tiles(self.desk, "attribution_compare")
        self.network = NetworkSection(self.desk)
        self.planes = PlanesSection(self.desk)
        chosen = QWidget()
        column = QVBoxLayout(chosen)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.choice)
        column.addWidget(self.hint)
        self.sections = {
            name: Section(title, widget, name=f"attribution_{name}", expanded=expanded)
            for name, title, widget, expanded in (
                ("choice", "Explain", chosen, True),
                ("methods", "Methods", self.methods, True),
                ("settings", "Settings", self.settings, False),
                ("maps", "Maps and how far to trust them", self.scores, True),
                ("display", "On the scan", self.display, True),
                ("planes", "Three planes", self.planes, True),
                ("compare", "Compare", self.compare, True),
                ("curve", "Over the cycle", self.curve, True),
                ("regions", "By region", self.regions, True),
                ("layers", "Layers of the network", self.network, False),
            )
        }
        scrolling_column(self, self.sections.values(), name="attribution", below=(self.bar,))

    def _connect(self) -> None:
        live, desk = self.live, self.desk
        live.explainers_found.connect(self.show_explainers)
        live.looked_at.connect(self.show_looked)
        live.not_looked_at.connect(self._say_wrong)
        live.failed.connect(self._say_wrong)
        live.stood.connect(self.show_standing)
        live.changed.connect(self.show_maps)
        live.regions_changed.connect(lambda: self.regions.show_maps(live))
        live.selected_changed.connect(self.show_selected)
        live.layers_of_network_made.connect(self.network.show_boxes)
        self.choice.changed.connect(self._on_choice)
        self.methods.changed.connect(self._on_methods)
        self.settings.layer_changed.connect(self._on_layer)
        self.bar.explain_pressed.connect(self.explain)
        self.bar.cancel_pressed.connect(live.cancel)
        self.scores.map_chosen.connect(live.select)
        self.scores.hiding_changed.connect(self._on_hiding)
        self.compare.chosen.connect(live.select)
        self.display.changed.connect(self._on_display)
        self.regions.region_chosen.connect(live.go_to_region)
        self.regions.atlas_chosen.connect(live.take_atlas)
        self.network.asked.connect(live.show_layers_of_network)
        self.curve.plot.phase_chosen.connect(desk.go_to_phase)
        desk.phase_changed.connect(self.curve.plot.show_phase)
        desk.theme_changed.connect(self.set_theme)
        self.session.scan_changed.connect(self._on_scan)
        self.session.labels_changed.connect(self._on_choice)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Stand beside the Study dock."""
        super().showEvent(event)
        self.desk.put_beside_study(self)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self.curve.plot.set_theme(name)
        self.planes.set_theme(name)

    # What can be asked ----------------------------------------------------------------

    def show_explainers(self, explainers: Explainers | None) -> None:
        """Offer models and methods."""
        if explainers is not None:
            self.methods.show_methods(explainers.methods)
            self.choice.show_models(explainers.models, self._default(explainers))
        self._refresh()

    def _default(self, explainers: Explainers) -> str:
        """The model that fits the open study best."""
        models, scan = explainers.models, self.session.scan
        if scan is not None and scan.data.shape[0] == 1:
            dims = 2 if scan.data.shape[1] == 1 else 3
            fitting = [name for name, one in models.items() if one.dims == dims]
            if fitting:
                return fitting[0]
        wished = PREFERRED["labels" if self.session.labels_layer is not None else "cine"]
        return wished if wished in models else next(iter(models), "")

    def _on_choice(self) -> None:
        chosen = self.choice.chosen
        if chosen is not None and self._why_not() == "":
            self.live.look_at(chosen.name, self.choice.chosen_target)
        self._refresh()

    def _on_scan(self) -> None:
        explainers = self.live.explainers
        if explainers is not None and self.session.scan is not None:
            self.choice.model.setCurrentText(self._default(explainers))
        self.sections["planes"].setVisible(self.planes.show_scan())
        self._on_choice()

    def show_looked(self, looked: Looked | None) -> None:
        """Grey out what does not fit, and offer the layers."""
        if looked is not None:
            self.settings.show_layers(looked.prospect.facts.feature_maps)
        self._on_layer()
        self._refresh()

    def _on_layer(self) -> None:
        looked = self.live.looked
        layer = self.settings.layer.currentData()
        self.methods.show_verdicts(None if looked is None else looked.verdicts(layer))

    def _on_methods(self) -> None:
        chosen = self.methods.chosen
        self.settings.set_useful(**self.methods.uses())
        self.sections["methods"].set_title(f"Methods ({len(chosen)} ticked)")
        self._refresh()

    def explain(self) -> None:
        """Ask for the maps that are ticked."""
        chosen = self.choice.chosen
        if chosen is None or self._why_not() or not self.methods.chosen:
            return
        self.live.explain(
            Wish(
                model=chosen.name,
                target=self.choice.chosen_target,
                methods=self.methods.chosen,
                layer=self.settings.layer.currentData(),
                baseline=self.settings.baseline.currentData(),
                steps=self.settings.steps.value() or None,
                depth=self.settings.evidence.currentData(),
                whole_cycle=self.choice.whole_cycle,
            )
        )

    def _why_not(self) -> str:
        if self.live.explainers is None:
            return LOOKING
        chosen, scan = self.choice.chosen, self.session.scan
        if chosen is None:
            return NO_MODEL
        if scan is None:
            return NO_SCAN
        if chosen.reads == "labels" and self.session.labels_layer is None:
            return NO_LABELS
        return ""

    def _refresh(self) -> None:
        scan = self.session.scan
        self.choice.set_cine(scan is not None and scan.is_cine)
        reason = self._why_not()
        looks = not reason and self.live.looked is None
        ready = not reason and bool(self.methods.chosen)
        self.bar.set_ready(ready)
        self.hint.setStyleSheet("")
        self.hint.setText(reason or (ASKING if looks else "" if ready else NO_METHOD))
        self.hint.setVisible(bool(self.hint.text()))

    def _say_wrong(self, text: str) -> None:
        self.hint.setStyleSheet(WRONG)
        self.hint.setText(text)
        self.hint.show()

    # What is known --------------------------------------------------------------------

    def show_standing(self, standing: Standing) -> None:
        """Show how far the maps are."""
        self.bar.show_standing(standing, is_old=self.live.is_old)

    def show_maps(self) -> None:
        """Show maps, scores, regions and curves, or that there are none."""
        live, shown = self.live, self.live.shown
        for name in ("maps", "display", "compare", "regions", "layers"):
            self.sections[name].setVisible(shown is not None)
        self.sections["curve"].setVisible(shown is not None and bool(shown.curves))
        self.sections["planes"].setVisible(self.planes.show_scan())
        self.network.show_boxes({})
        self.scores.show_maps(live)
        self.regions.show_maps(live)
        if shown is None:
            self.planes.show_map(None, None)
            return
        for name in ("methods", "settings"):  # what comes of them is looked at now
            self.sections[name].set_expanded(False)
        captions = {
            name: live.title(name) + ("" if box.data.any() else " (zero everywhere)")
            for name, box in shown.boxes.items()
        }
        self.compare.show_boxes(shown.boxes, captions, drawn=live.layers.drawn)
        self._on_hiding(self.scores.is_hiding)

    def show_selected(self, name: str) -> None:
        """Show which map is on the scan."""
        live = self.live
        self.scores.show_selected(name)
        self.compare.mark(name)
        self.curve.show_map(live, name)
        box = live.box(name)
        if box is not None:
            self.display.show_sign(box.sign, box.limits[1])
        self.planes.show_map(box, live.layers.drawn(name))

    def _on_display(self, display: Display) -> None:
        self.live.set_display(display)
        self.compare.refresh()
        name = self.live.selected
        self.planes.show_map(self.live.box(name), self.live.layers.drawn(name))

    def _on_hiding(self, hiding: bool) -> None:
        live = self.live
        if live.shown is None:
            return
        failed = {name for name in live.shown.boxes if hiding and live.has_failed(name)}
        self.compare.hide_tiles(failed)
        live.layers.hide(failed)
        if live.selected in failed:
            live.select(SUMMARY)
