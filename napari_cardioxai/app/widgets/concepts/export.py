"""Keeping a moved heart: film, figures, table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QPushButton,
    QWidget,
)

from napari_cardioxai.app.session import JobState, Status
from napari_cardioxai.app.workers import leave_a_core_to_the_window
from napari_cardioxai.report.concept_film import (
    FilmKind,
    mp4_is_possible,
    shots_of,
    write_film,
)

if TYPE_CHECKING:
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.app.live_concepts import LiveConcepts
    from napari_cardioxai.app.widgets.concepts.sliders import SlidersSection
    from napari_cardioxai.progress import Progress

NO_MP4 = "MP4 as well after: pip install imageio-ffmpeg"


class ExportSection(QWidget):
    """Buttons that ask where the film, the figures and the table go."""

    def __init__(self, desk: Desk, live: LiveConcepts, sliders: SlidersSection) -> None:
        super().__init__()
        self._desk, self._live, self.sliders = desk, live, sliders
        self.kind = QComboBox()
        self.kind.setObjectName("concepts_film_kind")
        for one in FilmKind:
            self.kind.addItem(str(one), one)
        can = mp4_is_possible()
        self._kinds = "GIF (*.gif)" + (";;MP4 (*.mp4)" if can else "")
        self.hint = QLabel("" if can else NO_MP4)
        self.hint.setObjectName("concepts_no_mp4")
        self.hint.setWordWrap(True)
        self.hint.setVisible(not can)
        self._buttons = {}
        for name, text, tip, slot in (
            (
                "measure",
                "Measure this heart along every concept",
                "Draws the curves above; needed for figures",
                self._measure,
            ),
            ("film", "Film…", self.hint.text() or "As GIF or MP4", self._ask_film),
            ("figures", "Figures…", "PNG: curves, and hearts at -2, 0 and 2 SD", self._ask_figures),
            (
                "table",
                "Table…",
                "JSON: the table and what was measured of this heart",
                self._ask_table,
            ),
        ):
            button = self._buttons[name] = QPushButton(text)
            button.setObjectName(f"concepts_{name}")
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, slot=slot: slot())
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addWidget(self._buttons["measure"], 0, 0, 1, 3)
        grid.addWidget(self.kind, 1, 0, 1, 2)
        grid.addWidget(self._buttons["film"], 1, 2)
        grid.addWidget(self._buttons["figures"], 2, 0)
        grid.addWidget(self._buttons["table"], 2, 1)
        grid.addWidget(self.hint, 3, 0, 1, 3)
        live.walks_changed.connect(self._enable)
        live.heart_changed.connect(self._enable)
        self._is_free = False

    def set_enabled(self, free: bool) -> None:
        """Whether something may be started."""
        self._is_free = free
        self._enable()

    def _enable(self) -> None:
        for name, button in self._buttons.items():
            needs_walks = name == "figures"
            button.setEnabled(self._is_free and (not needs_walks or bool(self._live.walks)))

    def _measure(self) -> None:
        self._live.walk_all()

    # Saving -----------------------------------------------------------------------------

    def save_film(self, path: Path) -> bool:
        """Write the film that is chosen."""
        heart, moved = self._live.heart, self._live.moved
        if heart is None:
            return False
        asked = {
            "kind": self.kind.currentData(),
            "concept": self.sliders.current,
            "reach": self.sliders.reach_of(self.sliders.current),
            "phase": max(self._desk.phase, 0),
        }

        def work(on_progress: Progress) -> Path:
            leave_a_core_to_the_window()
            latent = moved.of(heart)
            shots, seconds = shots_of(heart, moved.alphas, latent, **asked, on_progress=on_progress)
            write_film(path, shots, seconds=seconds, on_progress=on_progress)
            return path

        return self._start("Writing the film", work)

    def save_figures(self, folder: Path) -> bool:
        """Write curves and hearts along every concept."""
        heart, walks = self._live.heart, dict(self._live.walks)
        if heart is None or not walks:
            return False

        def work(on_progress: Progress) -> Path:
            leave_a_core_to_the_window()
            from napari_cardioxai.report.concept_figures import write_figures

            write_figures(folder, heart, walks, on_progress=on_progress)
            return folder

        return self._start("Drawing the figures", work)

    def save_table(self, path: Path) -> bool:
        """Write the table and this heart's figures as JSON."""
        heart, walks = self._live.heart, dict(self._live.walks)
        alphas = dict(self._live.moved.alphas)
        if heart is None:
            return False

        def work(on_progress: Progress) -> Path:
            from napari_cardioxai.report.concept_figures import write_concepts_json

            on_progress(0, 1, path.name)
            write_concepts_json(path, heart, walks, alphas)
            return path

        return self._start("Saving the table", work)

    def _start(self, name: str, work: object) -> bool:
        return self._desk.actions.jobs.start(name, work, on_done=self._say_saved)

    def _say_saved(self, path: Path) -> None:
        text = f"Saved {path.name} in {path.parent}."
        self._desk.session.set_status(Status(JobState.DONE, text))

    def _ask_film(self) -> None:
        self._ask("Save film", f"{self._stem}.gif", self._kinds, self.save_film)

    def _ask_table(self) -> None:
        self._ask("Save table", "concepts.json", "JSON (*.json)", self.save_table)

    def _ask_figures(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the figures")
        if folder:
            self.save_figures(Path(folder))

    def _ask(self, title: str, name: str, kinds: str, save: object) -> None:
        study = self._desk.session.path
        folder = Path.cwd() if study is None else study.parent
        file, chosen = QFileDialog.getSaveFileName(self, title, str(folder / name), kinds)
        if not file:
            return
        path = Path(file)
        ending = ".mp4" if "mp4" in chosen else Path(name).suffix
        save(path if path.suffix else path.with_name(path.name + ending))

    @property
    def _stem(self) -> str:
        moved = "-".join(
            f"{name.replace(' ', '-')}_{alpha:+.1f}"
            for name, alpha in self._live.moved.alphas.items()
            if alpha
        )
        return moved or "heart"
