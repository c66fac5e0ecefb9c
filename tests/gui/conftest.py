"""The real window, and small studies on disk whose answers are known."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest

FRAMES, SLICES, SIDE = 6, 4, 48
SPACING_MM = (8.0, 2.0, 2.0)
VOXEL_ML = 8.0 * 2.0 * 2.0 / 1000.0
INTERVAL_MS = 50.0
HALF_WIDTHS = (10, 9, 7, 6, 8, 9)  # of the square cavity, frame by frame


def pytest_collection_modifyitems(config, items):
    no_display = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    skip = pytest.mark.skip(reason="no display: run under xvfb-run")
    for item in items:
        if "make_napari_viewer" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.gui)
            if no_display:
                item.add_marker(skip)


def cavity_labels() -> np.ndarray:
    """Square cavity in a square wall in the two middle slices, shape (t, z, y, x)."""
    labels = np.zeros((FRAMES, SLICES, SIDE, SIDE), np.uint8)
    for frame, half in enumerate(HALF_WIDTHS):
        for value, extent in ((2, half + 4), (1, half)):
            box = slice(SIDE // 2 - extent, SIDE // 2 + extent)
            labels[frame, 1:3, box, box] = value
    return labels


def cavity_volume_ml(frame: int) -> float:
    """Volume of that cavity, from its side lengths."""
    return 2 * (2 * HALF_WIDTHS[frame]) ** 2 * VOXEL_ML


def write_study(path: Path, *, interval_s: float = INTERVAL_MS / 1000.0) -> Path:
    """Write a cine whose bright square beats as `cavity_labels` does, by nibabel alone."""
    bright = np.where(cavity_labels() == 1, 900, 100).astype(np.int16)
    bright += np.arange(SIDE, dtype=np.int16)
    z, y, x = SPACING_MM
    image = nibabel.Nifti1Image(bright.transpose(3, 2, 1, 0), np.diag([-x, -y, z, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = interval_s
    nibabel.save(image, path)
    return path


@pytest.fixture
def study(tmp_path) -> Path:
    return write_study(tmp_path / "cine.nii.gz")


@dataclass
class Window:
    """A viewer with its Study dock."""

    viewer: object
    dock: object

    @property
    def session(self):
        return self.dock.session

    @property
    def labels(self):
        return self.dock.session.labels_layer

    def child(self, name: str):
        from qtpy.QtWidgets import QWidget

        found = self.dock.findChild(QWidget, name)
        assert found is not None, f"no control named {name}"
        return found

    def wait(self, condition, *, longest_s: float = 30.0) -> None:
        from napari_cardioxai.app.window import process_until

        assert process_until(condition, longest_s), self.session.status

    def wait_for_job(self) -> None:
        self.wait(lambda: not self.dock.actions.jobs.is_running)

    def settle(self, seconds: float = 0.05) -> None:
        from napari_cardioxai.app.window import process_events

        process_events(seconds)

    def open(self, path) -> None:
        self.dock.open(path)
        self.wait_for_job()


@pytest.fixture
def window(make_napari_viewer, monkeypatch):
    from napari_cardioxai.app.widgets.study.dock import StudyDock

    # Importing torch to list models would only make these tests slow.
    choices = {"models": ["heart-unet"], "devices": ["auto", "cpu"]}
    monkeypatch.setattr(
        "napari_cardioxai.app.actions.StudyActions.list_choices",
        lambda self: self.choices_found.emit(choices),
    )
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 900)
    dock = StudyDock(viewer)
    viewer.window.add_dock_widget(dock, name="Study")
    yield Window(viewer, dock)
    dock.session.set_dirty(False)  # or closing asks


@pytest.fixture
def segmenter(monkeypatch):
    """Stands in for the network: steps slowly, then returns labels that are known."""
    from napari_cardioxai import studies
    from napari_cardioxai.anatomy.labels import Labels

    @dataclass
    class Segmenter:
        steps: int = 3
        pause_s: float = 0.01
        error: Exception | None = None
        finished: int = 0
        threads: tuple = ()

        def __call__(self, scan, *, model, device, on_progress):
            import threading

            self.threads += (threading.current_thread(),)
            for step in range(self.steps):
                on_progress(step, self.steps, "segmenting")
                time.sleep(self.pause_s)
            if self.error is not None:
                raise self.error
            self.finished += 1
            labels = Labels(cavity_labels(), scan.geometry, scan.frame_times_ms, scan.cycle_ms)
            return studies.SegmentationResult(labels, model, "cpu", 0.1, ("A note of the model.",))

    stand_in = Segmenter()
    monkeypatch.setattr(studies, "segment", stand_in)
    monkeypatch.setattr(studies, "provenance_of", lambda r: {"model": r.model, "device": r.device})
    return stand_in
