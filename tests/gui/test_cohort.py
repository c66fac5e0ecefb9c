"""The Cohort dock on a cohort of discs with a shortcut that is put in on purpose."""

from __future__ import annotations

import json
import threading

import pytest
from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton, QTableWidget, QWidget

from napari_cardioxai.anatomy.label_files import write_labels
from napari_cardioxai.app.session import JobState

from ..cohorts.test_check import small

LONGEST_S = 240.0  # the first description imports scikit-learn


def wait(window):
    window.wait(lambda: not window.dock.actions.jobs.is_running, longest_s=LONGEST_S)


@pytest.fixture
def manifest(tmp_path):
    """Twelve equal hearts; the sick ones all come from site B, and one file is broken."""
    heart = small()
    lines = ["subject,labels,scan,label,site,late"]
    for k in range(12):
        write_labels(tmp_path / f"{k}.nii.gz", heart)
        lines.append(f"p{k},{k}.nii.gz,,{k // 6},{'AB'[k // 6]},{k % 2}")
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    lines.append("lost,broken.nii.gz,,0,A,0")
    path = tmp_path / "cohort.csv"
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture
def cohort(window):
    from napari_cardioxai.app.widgets.cohort.dock import CohortDock

    dock = CohortDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Cohort")
    window.settle(0.1)
    return dock


def child(dock, kind, name):
    found = dock.findChild(kind, name)
    assert found is not None, f"no control named {name}"
    return found


def test_an_empty_dock_says_what_to_choose(window, cohort):
    assert child(cohort, QLabel, "cohort_name").text().startswith("Choose the manifest")
    assert not child(cohort, QWidget, "cohort_warned_section").isVisible()
    assert not child(cohort, QPushButton, "cohort_again").isEnabled()
    assert not child(cohort, QPushButton, "cohort_save").isEnabled()


def test_a_manifest_is_described_beside_the_window_with_its_warnings_first(
    window, cohort, manifest, monkeypatch
):
    from napari_cardioxai.app.widgets.cohort import dock as module

    threads = []

    def describe(*args, **options):
        threads.append(threading.current_thread())
        return original(*args, **options)

    original = module.describe
    monkeypatch.setattr(module, "describe", describe)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a, **k: (str(manifest), ""))
    child(cohort, QPushButton, "cohort_open").click()
    assert not child(cohort, QPushButton, "cohort_open").isEnabled()
    wait(window)
    window.settle(0.1)
    assert threads and threads[0] is not threading.main_thread()
    assert child(cohort, QLabel, "cohort_name").text() == "cohort.csv: 13 subjects"

    warned = child(cohort, QWidget, "cohort_warned_section")
    first_picture = child(cohort, QWidget, "cohort_picture_0_section")
    assert warned.isVisible() and warned.pos().y() < first_picture.pos().y()
    text = child(cohort, QLabel, "cohort_warnings").text()
    assert "1 of 13 subjects could not be read, the first lost" in text
    assert "tells &#x27;label&#x27; with an AUC of 1.00" in text
    grave = sum(warning.severity == "warning" for warning in cohort.description.warnings)
    assert grave >= 2
    assert child(cohort, QPushButton, "cohort_warned_header").text().endswith(f"({grave})")
    assert "broken.nii.gz" in child(cohort, QLabel, "cohort_failed").text()

    shown = {t for t, view in cohort.pictures.items() if not view.shown.pixmap().isNull()}
    assert {"Who is in it", "Left ventricle", "Concepts", "Shortcuts"} <= shown
    assert "Recording and intensities" not in shown, "every heart is recorded alike"
    for title, view in cohort.pictures.items():
        assert (title in shown) is view.parentWidget().isVisible()
        if title in shown:
            assert view.shown.pixmap().deviceIndependentSize().width() <= view.width() + 1

    table = child(cohort, QTableWidget, "cohort_properties")
    rows = {table.item(r, 0).text(): table.item(r, 1).text() for r in range(table.rowCount())}
    assert rows["LV volume at ED (mL)"] == "12"


def test_another_column_is_learnt_when_it_is_named(window, cohort, manifest):
    cohort.describe(manifest)
    wait(window)
    cohort.label.setText("late")
    child(cohort, QPushButton, "cohort_again").click()
    wait(window)
    assert cohort.description.label == {"0": 7, "1": 6, "blank": 0}
    assert "tells &#x27;late&#x27;" not in child(cohort, QLabel, "cohort_warnings").text()


def test_a_manifest_that_cannot_be_read_is_one_sentence(window, cohort, tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text("name,file\na,b\n")
    cohort.describe(path)
    wait(window)
    assert window.session.status.state is JobState.FAILED
    assert "subject" in child(cohort, QLabel, "status").text()
    assert cohort.description is None
    assert child(cohort, QPushButton, "cohort_open").isEnabled()


def test_the_page_is_saved(window, cohort, manifest, tmp_path, monkeypatch):
    cohort.describe(manifest)
    wait(window)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a, **k: str(tmp_path / "page"))
    child(cohort, QPushButton, "cohort_save").click()
    wait(window)
    found = json.loads((tmp_path / "page" / "description.json").read_text())
    assert found["subjects"] == 13
    assert "What to think about first" in (tmp_path / "page" / "description.html").read_text()
