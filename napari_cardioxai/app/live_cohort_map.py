"""A cohort on a plane, and all that follows from it: the study's star, groups, concepts, means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cardioxai.app.latest_job import LatestJob
from napari_cardioxai.app.layers import labels_of
from napari_cardioxai.app.mean_heart import MeanHeartLayers
from napari_cardioxai.app.session import JobState, Status
from napari_cardioxai.app.torch_first import import_torch
from napari_cardioxai.app.workers import Work, leave_a_core_to_the_window, sentence

if TYPE_CHECKING:
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.maps.cohort_map import CohortMap, Place, Trust
    from napari_cardioxai.maps.group import GroupConcept, MeanHeart
    from napari_cardioxai.maps.subjects import SubjectReader
    from napari_cardioxai.progress import Progress

SOON_MS, REST_MS = 10, 600
OTHERS = "All others"
NEW, ADD, REMOVE = "new", "add", "remove"


@dataclass(frozen=True)
class Asked:
    """Which map.

    Attributes
    ----------
    model
        Name of a classifier.
    manifest
        Of the cohort.
    part
        A split, or everybody.
    method
        Of `projection.METHODS`.
    """

    model: str
    manifest: Path
    part: str
    method: str


@dataclass(frozen=True)
class Drawn:
    """A map with the model that can place others on it."""

    asked: Asked
    reader: SubjectReader
    map: CohortMap


@dataclass(frozen=True)
class Cohort:
    """A manifest as it was read to be chosen from: how many subjects each part has."""

    path: Path
    parts: Mapping[str, int]


class LiveCohortMap(QObject):
    """The map of one viewer; docks show it and go, it stays.

    Attributes
    ----------
    models, methods
        Names of the models that a map can be made with, and of the projections
        that are installed; None until they are known.
    manifest, cohort
        Which was chosen, and what was found in it.
    drawn
        The map in view.
    column, trust
        What it is coloured by, and how far it can be believed.
    group, opposite
        Rows of the subjects that were chosen, and of those set against them.
    star, star_reason
        Where the study in the viewer lies, or why it has no place.
    concepts
        What was made of groups, by name.
    means
        Mean hearts of the last group and of those it is compared with.
    """

    models_found = Signal(object)
    cohort_changed = Signal()
    map_changed = Signal()
    column_changed = Signal()
    trust_changed = Signal()
    group_changed = Signal()
    star_changed = Signal()
    concept_made = Signal(str, object)
    means_changed = Signal()
    failed = Signal(str)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._session = desk, desk.session
        self.models: tuple[str, ...] | None = None
        self.methods: tuple[str, ...] = ()
        self.manifest: Path | None = None
        self.cohort: Cohort | None = None
        self.drawn: Drawn | None = None
        self.column = ""
        self.trust: Trust | None = None
        self.group = self.opposite = np.empty(0, np.intp)
        self.star: Place | None = None
        self.star_reason = ""
        self.concepts: dict[str, GroupConcept] = {}
        self.means: tuple[MeanHeart, MeanHeart | None] | None = None
        self.layers = MeanHeartLayers(desk, self)
        self._labels_due: tuple[Path, Path] | None = None
        self._list = self._job(self._prepare_list, self._on_list, SOON_MS)
        self._look = self._job(self._prepare_look, self._on_look, SOON_MS)
        self._judge = self._job(self._prepare_trust, self._on_trust, SOON_MS)
        self._place = self._job(self._prepare_star, self._on_star, SOON_MS)
        self._place_again = self._job(self._prepare_star, self._on_star, REST_MS)
        for job in (self._list, self._look, self._judge):
            job.failed.connect(lambda text: self.failed.emit(sentence(text)))
        for job in (self._place, self._place_again):
            job.failed.connect(self._on_no_star)
        self._session.labels_changed.connect(self._on_study)
        self._session.scan_changed.connect(self._on_study)
        self._session.scan_changed.connect(self._on_scan)
        self._session.status_changed.connect(self._on_status)
        desk.actions.live.edited.connect(self._on_edit)
        desk.training.model_made.connect(lambda _: self.list_models())

    def _job(self, prepare: Any, on_done: Any, delay_ms: int) -> LatestJob:
        return LatestJob(prepare, on_done, delay_ms=delay_ms, parent=self)

    # What a map is made of --------------------------------------------------------------

    def list_models(self) -> None:
        """Find out which models and which projections there are."""
        self._list.soon()

    def _prepare_list(self) -> Work:
        return lambda on_progress: _choices()

    def _on_list(self, found: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        self.models, self.methods = found
        self.models_found.emit(self.models)

    def choose_manifest(self, path: Path) -> None:
        """Take a cohort; it is looked into at once, and drawn when asked for."""
        self.manifest, self.cohort = Path(path), None
        self.cohort_changed.emit()
        self._look.after_rest()

    def _prepare_look(self) -> Work | None:
        path = self.manifest

        def work(on_progress: Progress) -> Cohort:
            from napari_cardioxai.cohorts.manifest import read_manifest
            from napari_cardioxai.maps.subjects import parts_of

            return Cohort(path, parts_of(read_manifest(path)))

        return None if path is None else work

    def _on_look(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.cohort_changed.emit()

    # The map ----------------------------------------------------------------------------

    def draw(self, asked: Asked) -> bool:
        """Read a cohort with a model and bring it into a plane, as a job.

        What was read before is not read again for another projection. The map
        in view stays until its successor is there.
        """
        known = self.drawn

        def work(on_progress: Progress) -> Drawn:
            return _draw(asked, known, on_progress)

        return self._desk.actions.jobs.start("Cohort map", work, on_done=self._on_drawn)

    def _on_drawn(self, drawn: Drawn) -> None:
        before = self.drawn
        is_same = before is not None and before.map.subjects is drawn.map.subjects
        self.drawn, self.trust = drawn, None
        if not is_same:
            self.group = self.opposite = np.empty(0, np.intp)
            self.means = None
            self.layers.remove()
            self.means_changed.emit()
        columns = drawn.map.subjects.columns
        if self.column not in columns:
            self.column = next(iter(columns), "")
        self.star, self.star_reason = None, ""
        self.map_changed.emit()
        self.group_changed.emit()
        self._judge.after_rest()
        self._place.after_rest()
        left = drawn.map.subjects.left_out
        text = f"Map of {len(drawn.map.subjects)} subjects."
        if left:
            name, reason = next(iter(left.items()))
            text += f" {len(left)} were left out, such as {name}: {reason}"
        self._session.set_status(Status(JobState.DONE, sentence(text)))

    def colour_by(self, column: str) -> None:
        """Colour the points by another column."""
        if self.drawn is not None and column in self.drawn.map.subjects.columns:
            self.column, self.trust = column, None
            self.column_changed.emit()
            self._judge.after_rest()

    def _prepare_trust(self) -> Work | None:
        drawn, column = self.drawn, self.column
        if drawn is None or not column:
            return None
        return lambda on_progress: (drawn, drawn.map.trust(column, on_progress=on_progress))

    def _on_trust(self, found: tuple[Drawn, Trust]) -> None:
        drawn, trust = found
        if drawn is self.drawn:
            self.trust = trust
            self.trust_changed.emit()

    # The study in the viewer ------------------------------------------------------------

    def open_subject(self, row: int) -> None:
        """Open a subject of the map as a study, its labels with it; asks about unsaved edits."""
        if self.drawn is None:
            return
        subjects = self.drawn.map.subjects
        name = subjects.subjects[row]
        labels = subjects.manifest.labels_path(name)
        scan = subjects.manifest.scan_path(name) or labels

        def open_it() -> None:
            if self._desk.actions.open(scan) and labels is not None:
                self._labels_due = (scan, labels)

        if scan is not None:
            self._desk.when_safe(open_it)

    def _on_scan(self) -> None:
        if self._labels_due is None or self._session.scan is None:
            return
        scan, labels = self._labels_due
        self._labels_due = None
        if self._session.path == scan:  # once the job that opened it has ended
            QTimer.singleShot(0, lambda: self._desk.actions.load_labels(labels))

    def _on_status(self, status: Status) -> None:
        if status.state in (JobState.FAILED, JobState.CANCELLED):
            self._labels_due = None

    def _on_study(self) -> None:
        self.star, self.star_reason = None, ""
        self.star_changed.emit()
        self._place_again.drop()
        self._place.after_rest()

    def _on_edit(self, *_: Any) -> None:
        if self.drawn is not None and self.drawn.reader.reads == "labels":
            self._place_again.after_rest()

    def _prepare_star(self) -> Work | None:
        drawn, session = self.drawn, self._session
        if drawn is None or session.scan is None:
            return None
        needs_labels, layer = drawn.reader.reads == "labels", session.labels_layer
        if needs_labels and layer is None:
            return None
        labels, scan, path = None, session.scan, session.path
        if needs_labels:
            labels = labels_of(layer)
            labels = replace(labels, data=labels.data.copy(), notes=session.notes)

        def work(on_progress: Progress) -> tuple[Drawn, Place]:
            import_torch()
            leave_a_core_to_the_window()
            features = drawn.reader.features_of(labels, scan)
            row = drawn.map.subjects.row_of(path)
            return drawn, drawn.map.place(features, row=row)

        return work

    def _on_star(self, found: tuple[Drawn, Place]) -> None:
        drawn, place = found
        if drawn is self.drawn:
            self.star, self.star_reason = place, ""
            self.star_changed.emit()

    def _on_no_star(self, text: str) -> None:
        self.star, self.star_reason = None, sentence(text)
        self.star_changed.emit()

    # Groups -----------------------------------------------------------------------------

    def select(self, outline: np.ndarray, how: str = NEW) -> None:
        """Choose the subjects within a line, or add them to the group, or take them out."""
        if self.drawn is None:
            return
        from napari_cardioxai.maps.group import inside

        rows = np.flatnonzero(inside(self.drawn.map.points, outline))
        if how == ADD:
            rows = np.union1d(self.group, rows)
        elif how == REMOVE:
            rows = np.setdiff1d(self.group, rows)
        self.select_rows(rows)

    def select_rows(self, rows: np.ndarray) -> None:
        """Choose subjects by their rows."""
        self.group = np.asarray(rows, np.intp)
        self.group_changed.emit()

    def select_class(self, kind: str) -> None:
        """Choose all subjects of a class of the column in view."""
        if self.drawn is not None:
            values = self.drawn.map.subjects.columns[self.column].values
            self.select_rows(np.flatnonzero(values == kind))

    def set_against(self) -> None:
        """Keep the group as what the next one is compared with; an empty one: everybody else."""
        self.opposite, self.group = self.group, np.empty(0, np.intp)
        self.group_changed.emit()

    @property
    def compared(self) -> np.ndarray:
        """Rows of those that the group is compared with: the ones kept, or everybody else."""
        if self.drawn is None:
            return np.empty(0, np.intp)
        others = self.opposite if len(self.opposite) else np.arange(len(self.drawn.map.subjects))
        return np.setdiff1d(others, self.group)

    @property
    def can_decode(self) -> bool:
        """Whether the model can draw hearts."""
        return self.drawn is not None and self.drawn.map.subjects.hearts is not None

    def make_concept(self, name: str) -> bool:
        """Find the direction of the group against the others and test it, as a job."""
        drawn = self.drawn
        if drawn is None or not self.can_decode:
            return False
        names = drawn.map.subjects.subjects
        positive = [names[row] for row in self.group]
        negative = [names[row] for row in self.compared]

        def work(on_progress: Progress) -> GroupConcept:
            import_torch()
            leave_a_core_to_the_window()
            from napari_cardioxai.maps.group import make_concept

            return make_concept(
                drawn.reader.classifier,
                drawn.map.subjects.hearts,
                name,
                positive,
                negative,
                on_progress=on_progress,
            )

        def show(made: GroupConcept) -> None:
            from napari_cardioxai.maps.group import judged_together

            self.concepts = judged_together({**self.concepts, made.name: made})
            self.concept_made.emit(made.name, made.walk)

        return self._desk.actions.jobs.start("Concept set", work, on_done=show)

    def draw_means(self, name: str) -> bool:
        """Decode the mean heart of the group and of those it is compared with, as a job."""
        drawn, group, others = self.drawn, self.group, self.compared
        if drawn is None or not self.can_decode:
            return False
        against = "Set against" if len(self.opposite) else OTHERS

        def work(on_progress: Progress) -> tuple[MeanHeart, MeanHeart | None]:
            import_torch()
            leave_a_core_to_the_window()
            from napari_cardioxai.maps.group import mean_heart

            known = drawn.reader.classifier, drawn.map.subjects.hearts
            on_progress(0, 2, "drawing the group")
            mine = mean_heart(*known, group, name=name.strip() or "Group")
            on_progress(1, 2, "drawing the others")
            return mine, mean_heart(*known, others, name=against) if len(others) else None

        def show(found: tuple[MeanHeart, MeanHeart | None]) -> None:
            self.means = found
            self.means_changed.emit()
            self.layers.show(*found)

        return self._desk.actions.jobs.start("Mean heart", work, on_done=show)

    def save_group(self, path: Path, column: str) -> bool:
        """Write a copy of the manifest with a column of the group, as a job."""
        drawn = self.drawn
        if drawn is None:
            return False
        subjects = drawn.map.subjects
        group = [subjects.subjects[row] for row in self.group]

        def work(on_progress: Progress) -> Path:
            from napari_cardioxai.maps.group import write_tagged

            on_progress(0, 1, path.name)
            return write_tagged(path, subjects, group, column=column)

        def said(file: Path) -> None:
            text = f"{len(group)} subjects are tagged “{column.strip()}” in {file.name}."
            self._session.set_status(Status(JobState.DONE, text))

        return self._desk.actions.jobs.start("Saving the group", work, on_done=said)

    def close(self) -> bool:
        """Stop; True when nothing runs any more."""
        jobs = (self._list, self._look, self._judge, self._place, self._place_again)
        ended = [job.close() for job in jobs]
        return all([*ended, self.layers.close()])


def _choices() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Models and projections that there are; runs in a worker."""
    import_torch()
    from napari_cardioxai.cohorts.projection import METHODS, is_installed
    from napari_cardioxai.maps.subjects import available_map_models

    installed = tuple(method for method in METHODS if is_installed(method))
    return tuple(available_map_models()), installed


def _draw(asked: Asked, known: Drawn | None, on_progress: Progress) -> Drawn:
    """Read, encode and project, as far as that was not done before; runs in a worker."""
    import_torch()
    leave_a_core_to_the_window()
    from napari_cardioxai.bundles.bundle import own_folder
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.maps.cohort_map import make_map
    from napari_cardioxai.maps.subjects import reader_for, subjects_of

    is_model = known is not None and known.asked.model == asked.model
    is_read = is_model and replace(known.asked, method=asked.method) == asked
    on_progress(0, 0, f"loading {asked.model}")
    reader = known.reader if is_model else reader_for(asked.model)
    if is_read:
        subjects = known.map.subjects
    else:
        manifest = read_manifest(asked.manifest)
        subjects = reader.read(
            manifest,
            subjects_of(manifest, asked.part),
            cache=own_folder().parent / "concepts-cache",  # as the Concepts dock keeps them
            on_progress=on_progress,
        )
    made = make_map(reader.name, subjects, method=asked.method, on_progress=on_progress)
    return Drawn(asked, reader, made)
