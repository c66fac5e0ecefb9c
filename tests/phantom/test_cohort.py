import csv
import hashlib
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import MRImageStorage

from napari_cardioxai.anatomy.label_files import read_labels
from napari_cardioxai.anatomy.measurements import measure
from napari_cardioxai.errors import OutputError
from napari_cardioxai.phantom.cohort import BUILT_IN, CohortSpec, draw_subject, generate, read_spec
from napari_cardioxai.phantom.volume_curve import PhantomError
from napari_cardioxai.progress import Cancelled

SMALL = CohortSpec(
    classes=("NOR", "MINF", "LBBB"), frames=6, levels=(0.4, 0.6), pixel_mm=2.5, matrix=(64, 64)
)


def _files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_and_two_workers_write_the_same_bytes(tmp_path: Path):
    generate(SMALL, tmp_path / "one", subjects=5, seed=3, workers=1, images=True, dicom=True)
    generate(SMALL, tmp_path / "two", subjects=5, seed=3, workers=2, images=True, dicom=True)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert len(_files(tmp_path / "one")) == 5 * (3 + 2 * 6) + 1


def test_a_subject_does_not_depend_on_how_many_are_made(tmp_path: Path):
    few, many = (generate(SMALL, tmp_path / str(n), subjects=n, seed=3, workers=1) for n in (2, 4))
    assert _rows(few) == _rows(many)[:2]
    other = generate(SMALL, tmp_path / "other", subjects=1, seed=4, workers=1)
    assert _rows(other)[0]["edv_ml_true"] != _rows(few)[0]["edv_ml_true"]


def test_the_manifest_names_every_truth_and_the_labels_lie_beside_it(tmp_path: Path):
    manifest = generate(SMALL, tmp_path, subjects=3, seed=1, workers=1)
    rows = _rows(manifest)
    assert list(rows[0])[:4] == ["subject", "labels", "scan", "class"]
    assert [row["class"] for row in rows] == ["NOR", "MINF", "LBBB"]
    for name in (
        "edv_ml",
        "esv_ml",
        "ef_percent",
        "per_ml_s",
        "pfr_ml_s",
        "pafr_ml_s",
        "lvm_g",
        "rv_edv_ml",
        "heart_rate_bpm",
        "wall_ed_mm_01",
        "wall_es_mm_16",
    ):
        assert float(rows[0][f"{name}_true"]) > 0
    assert float(rows[2]["septal_flash_mm_true"]) > 0 and rows[0]["septal_flash_mm_true"] == ""
    for row in rows:
        image = nib.load(tmp_path / row["labels"])
        data = np.asarray(image.dataobj)
        assert data.shape == (64, 64, 2, 6) and set(np.unique(data)) == {0, 1, 2, 3}
        rr = 60_000 / float(row["heart_rate_bpm_true"])
        assert image.header["pixdim"][4] == pytest.approx(rr / 6, rel=1e-4)
        voxel = abs(np.linalg.det(image.affine[:3, :3])) / 1000
        volumes = (data == 1).sum(axis=(0, 1, 2)) * voxel
        assert volumes.max() == pytest.approx(float(row["edv_ml_mask"]), rel=1e-3)


def test_the_truth_file_holds_curves_and_thickness_of_every_slice(tmp_path: Path):
    generate(SMALL, tmp_path, subjects=2, seed=1, workers=1)
    truth = json.loads((tmp_path / "truth" / "s0001.json").read_text())
    subject = draw_subject(SMALL, seed=1, index=1)
    assert truth["volume_ml"] == pytest.approx(
        subject.case.heart.lv.volume_ml(subject.times_ms), abs=1e-3
    )
    assert np.shape(truth["wall_thickness_mm"]) == (6, 2, 6)
    assert truth["details"]["infarct_segments"]
    assert truth["analytic"]["edv_ml"] == pytest.approx(subject.case.heart.lv.edv_ml)


def test_dicom_is_one_series_per_slice_on_the_grid_of_the_nifti(tmp_path: Path):
    generate(SMALL, tmp_path, subjects=1, seed=5, workers=1, images=True, dicom=True)
    series = defaultdict(list)
    for path in sorted((tmp_path / "dicom" / "s0000").iterdir()):
        dataset = pydicom.dcmread(path)
        assert dataset.SOPClassUID == MRImageStorage
        assert len(dataset.SOPInstanceUID) <= 64
        series[dataset.SeriesInstanceUID].append(dataset)
    assert [len(frames) for frames in series.values()] == [6, 6]
    image = nib.load(tmp_path / "images" / "s0000.nii.gz")
    data = np.asarray(image.dataobj)
    for k, frames in enumerate(series.values()):
        first = frames[0]
        lps = np.array(first.ImagePositionPatient, float)
        assert lps * [-1, -1, 1] == pytest.approx((image.affine @ [0, 0, k, 1])[:3], abs=1e-3)
        row = np.array(first.ImageOrientationPatient[:3], float) * [-1, -1, 1]
        assert row * 2.5 == pytest.approx(image.affine[:3, 0], abs=1e-4)
        times = [float(d.TriggerTime) for d in frames]
        assert np.diff(times) == pytest.approx(float(first.NominalInterval) / 6, abs=0.2)
        for t, dataset in enumerate(frames):
            assert np.array_equal(dataset.pixel_array, data[:, :, k, t].T)
    uids = {d.SOPInstanceUID for frames in series.values() for d in frames}
    assert len(uids) == 12


def test_a_cancel_leaves_nothing_behind(tmp_path: Path):
    def stop(done: int, total: int, what: str) -> None:
        if done == 2:
            raise Cancelled

    for workers in (1, 2):
        with pytest.raises(Cancelled):
            generate(SMALL, tmp_path / "out", subjects=8, seed=1, workers=workers, on_progress=stop)
        assert not _files(tmp_path / "out")


def test_a_failure_leaves_a_former_cohort_as_it_was(tmp_path: Path):
    generate(SMALL, tmp_path, subjects=2, seed=1, workers=1)
    before = _files(tmp_path)

    def stop(done: int, total: int, what: str) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        generate(SMALL, tmp_path, subjects=3, seed=2, workers=1, on_progress=stop)
    assert _files(tmp_path) == before


def test_another_export_leaves_no_picture_of_the_former_one(tmp_path: Path):
    for frames in (6, 4):
        spec = replace(SMALL, frames=frames)
        generate(spec, tmp_path, subjects=1, seed=1, workers=1, dicom=True)
    assert len(list((tmp_path / "dicom" / "s0000").iterdir())) == 4 * 2


def test_a_file_where_the_folder_should_be_is_a_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    for folder in ("file", "file/deep"):
        with pytest.raises(OutputError, match="cannot be written to"):
            generate(SMALL, tmp_path / folder, subjects=1, seed=1)


def test_every_truth_has_the_name_of_its_measurement(tmp_path: Path):
    """But for what no label file tells, or the measurement lists in another form."""
    manifest = generate(CohortSpec(classes=("NOR",)), tmp_path, subjects=1, seed=1, workers=1)
    (row,) = _rows(manifest)
    truths = {key.removesuffix("_true") for key in row if key.endswith("_true")}
    measured = measure(read_labels(tmp_path / row["labels"])).as_json()
    plain = {key for key, value in measured.items() if isinstance(value, int | float)}
    assert plain - truths == {"sdi_percent"}
    by_segment = {key[:-3] for key in truths if key[-3:] == "_01"}
    assert by_segment == {"wall_ed_mm", "wall_es_mm", "thickening_percent"}
    others = {key for key in truths if key not in measured and key[:-3] not in by_segment}
    assert others == {"es_time_ms", "wall_es_max_mm", "septal_flash_mm", "lateral_delay_ms"}
    for key in ("tper_ms", "tpfr_ms", "tpafr_ms", "diastasis_ms", "rv_tpafr_ms"):
        assert measured[key] == pytest.approx(float(row[f"{key}_true"]), abs=45), key
    for key in ("third_filling_fraction", "ea_ratio", "rv_per_edv_s"):
        assert measured[key] == pytest.approx(float(row[f"{key}_true"]), rel=0.15), key


def test_paired_classes_are_twins():
    spec = BUILT_IN["diastolic"]
    normal, ill = (draw_subject(spec, seed=9, index=k) for k in (6, 7))
    assert normal.grid == ill.grid
    a, b = normal.case.heart.lv.truth(), ill.case.heart.lv.truth()
    assert a.ef_percent == b.ef_percent
    assert b.pfr_ml_s == pytest.approx(0.6 * a.pfr_ml_s)


def test_faults_are_drawn_as_often_as_asked():
    spec = CohortSpec(
        levels=(0.4, 0.6), breath_hold_mm=3.0, mistriggered_share=1.0, missing_share=1.0
    )
    faults = draw_subject(spec, seed=1, index=0).faults
    assert len(faults.missing) == 1 and 1 <= max(faults.late_frames) <= 4
    assert np.std(faults.shift_mm) > 0
    clean = draw_subject(CohortSpec(levels=(0.4, 0.6)), seed=1, index=0).faults
    assert not (clean.missing or clean.late_frames or clean.shift_mm)


def test_specifications_are_read_from_toml_and_json(tmp_path: Path):
    toml, js = tmp_path / "a.toml", tmp_path / "a.json"
    toml.write_text(
        'base = "three-slices"\nclasses = ["NOR"]\nframes = 20\nheart_rate_bpm = [60, 70]\n'
    )
    js.write_text(
        '{"base": "three-slices", "classes": ["NOR"], "frames": 20, "heart_rate_bpm": [60, 70]}'
    )
    expected = CohortSpec(
        classes=("NOR",),
        frames=20,
        heart_rate_bpm=(60, 70),
        levels=(0.35, 0.55, 0.75),
        pixel_mm=1.8,
        matrix=(80, 80),
    )
    assert read_spec(toml) == read_spec(js) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("frams = 20", "frams"),
        ('frames = "many"', "frames"),
        ('classes = ["XYZ"]', "XYZ"),
        ("matrix = [64]", "matrix"),
        ('base = "nothing"', "base"),
        ("frames = ", "cannot be read"),
        ("frames = 1", "frames must lie between 2"),
        ("matrix = [64.5, 64]", "matrix cannot be"),
        ("matrix = [8, 64]", "matrix must lie"),
        ("pixel_mm = nan", "pixel_mm must lie"),
        ("slice_distance_mm = 0.01", "slice_distance_mm must lie"),
        ("levels = [2.0]", "levels must lie"),
        ("heart_rate_bpm = [90, 60]", "lowest, then the highest"),
        ("heart_rate_bpm = [0, 60]", "heart_rate_bpm must lie"),
        ("fused_share = 2", "fused_share must lie"),
        ("breath_hold_mm = -2", "breath_hold_mm must lie"),
        ("snr = -3", "snr must be"),
    ],
)
def test_a_wrong_specification_is_refused_in_a_sentence(tmp_path: Path, text: str, word: str):
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(PhantomError, match=word):
        read_spec(path)


def test_an_unknown_name_lists_the_built_in_cohorts():
    with pytest.raises(PhantomError, match="mixed"):
        read_spec("mixd")
