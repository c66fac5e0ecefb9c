"""What a reviewer overruled stays overruled on the command line, with the reason."""

import json

import nibabel as nib
import numpy as np
import pytest

from napari_cardioxai import studies
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality import Override, write_overrides
from napari_cardioxai.scans.samples import sample_path

REASON = "papillary muscle, left out on purpose"


@pytest.fixture
def labels(tmp_path):
    """Four slices of a box with a hole of 3 x 3 pixels in slice 3 (counted from 1)."""
    data = np.zeros((40, 40, 6, 2), np.uint8)
    data[10:25, 10:25, 1:5] = 1
    data[10:16, 10:25, 1:5, 1] = 0
    data[19:22, 15:18, 2, 0] = 0
    image = nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1]))
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 400
    nib.save(image, tmp_path / "heart.nii.gz")
    return tmp_path / "heart.nii.gz"


def the_hole(out):
    (found,) = (f for f in json.loads(out)["quality"]["findings"] if f["rule"] == "holes")
    return found


def test_measure_without_a_file_of_overrides_leaves_the_finding_open(cardioxai, labels):
    code, out, _ = cardioxai("measure", labels, "--json")
    assert code == 0
    assert the_hole(out)["overruled"] is None
    assert (the_hole(out)["slice"], the_hole(out)["frame"]) == (2, 0)


def test_measure_marks_what_was_overruled_beside_the_labels(cardioxai, labels):
    _, before, _ = cardioxai("measure", labels, "--json")
    beside = labels.with_name("heart.quality.json")
    write_overrides(beside, [Override("holes", 2, 0, REASON, "2026-01-02T03:04:05+00:00")])
    code, out, _ = cardioxai("measure", labels, "--json")
    assert code == 0
    decision = {"reason": REASON, "when": "2026-01-02T03:04:05+00:00"}
    assert the_hole(out)["overruled"] == decision
    now, then = (json.loads(o)["quality"]["findings"] for o in (out, before))
    assert [f["rule"] for f in now] == [f["rule"] for f in then]
    assert [f["rule"] for f in now if f["overruled"]] == ["holes"]
    assert json.loads(out)["quality"]["overrides"][0]["rule"] == "holes"


def test_measure_in_words_says_why_a_finding_does_not_count(cardioxai, labels):
    write_overrides(labels.with_name("heart.quality.json"), [Override("holes", 2, 0, REASON)])
    _, _, err = cardioxai("measure", labels)
    (line,) = (line for line in err.splitlines() if "A hole of 9 pixels" in line)
    assert line.startswith("- ") and line.endswith(f"Overruled: {REASON}")


@pytest.mark.parametrize("content", ["{", '{"what": "else"}', "[1]", "\xff"])
def test_a_broken_file_of_overrides_is_one_sentence(cardioxai, labels, content):
    labels.with_name("heart.quality.json").write_bytes(content.encode("latin-1"))
    code, out, err = cardioxai("measure", labels, "--json")
    assert code == 2 and out == ""
    (line,) = err.strip().splitlines()
    assert line.startswith("heart.quality.json ") and line.endswith("repair or remove it.")


def bright_pixels(scan, *, model, device, on_progress):
    """A segmentation that takes no network: a box around the heart, brightest pixels LV cavity."""
    data = np.zeros(scan.data.shape, np.uint8)
    box = np.s_[:, 3:9, 50:110, 50:110]
    data[box] = np.asarray(scan.data)[box] > 200
    labels = Labels(data, scan.geometry, scan.frame_times_ms, scan.cycle_ms)
    return studies.SegmentationResult(labels, model, "cpu", 0.1)


def test_analyze_keeps_decisions_of_the_output_folder(cardioxai, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "segment", bright_pixels)
    folder = tmp_path / "out"
    arguments = ("analyze", sample_path(), "-o", folder)
    code, _, err = cardioxai(*arguments)
    assert code == 0
    first = json.loads((folder / "measurements.json").read_text())["quality"]
    finding = first["findings"][0]
    assert finding["sentence"] in err and finding["sentence"].replace("'", "&#x27;") in (
        folder / "report.html"
    ).read_text(encoding="utf-8")
    place = {key: finding[key] for key in ("slice", "frame", "structure")}
    write_overrides(
        folder / "labels.quality.json", [Override(finding["rule"], reason=REASON, **place)]
    )
    code, _, err = cardioxai(*arguments)
    assert code == 0 and f"Overruled: {REASON}" in err
    again = json.loads((folder / "measurements.json").read_text())["quality"]
    assert again["findings"][0]["overruled"]["reason"] == REASON
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert REASON in report and "<s>" in report


def test_analyze_refuses_a_broken_file_before_the_work(cardioxai, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "segment", lambda *_, **__: pytest.fail("segmented"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.quality.json").write_text("nonsense")
    code, _, err = cardioxai("analyze", sample_path(), "-o", tmp_path / "out")
    assert code == 2 and len(err.strip().splitlines()) == 1
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["labels.quality.json"]
