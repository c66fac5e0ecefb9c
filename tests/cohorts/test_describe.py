import json
from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.anatomy.label_files import write_labels
from napari_cardioxai.cohorts.describe import describe
from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.scans.geometry import Geometry
from tests.cohorts.test_check import small

COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve hearts; the last six are sick, and were recorded with coarser pixels at site B."""
    folder = tmp_path_factory.mktemp("cohort")
    lines = ["subject,labels,scan,split,label,class,site,flash,late,grade,edv_ml_true"]
    for k in range(COUNT):
        sick = k >= COUNT // 2
        labels = small(spacing_mm=(8.0, 3.0, 3.0), septum_deg=150 + 5 * k)
        if sick:
            labels = replace(labels, geometry=Geometry((8.0, 3.2, 3.2), None))
        write_labels(folder / f"{k}.nii.gz", labels)
        late = "" if k == 3 else int(k % 2)
        split = "train" if k % 2 else "test"
        cells = (f"p{k:02d}", f"{k}.nii.gz", "", split, int(sick), "CAD" if sick else "NOR",
                 "B" if sick else "A", int(sick), late, k % 3, 1)  # fmt: skip
        lines.append(",".join(map(str, cells)))
    lines.append("gone,gone.nii.gz,,train,0,NOR,A,0,0,1,1")
    (folder / "gone.nii.gz").write_bytes(b"no image")
    (folder / "cohort.csv").write_text("\n".join([*lines, ""]))
    return folder


@pytest.fixture(scope="module")
def manifest(folder):
    return read_manifest(folder / "cohort.csv")


@pytest.fixture(scope="module")
def description(manifest):
    return describe(manifest, workers=1)


def test_subjects_are_counted_in_every_group(description):
    assert (description.name, description.subjects) == ("cohort.csv", COUNT + 1)
    assert description.label == {"0": 7, "1": 6, "blank": 0}
    assert description.classes == {"NOR": 7, "CAD": 6}
    assert description.sites == {"A": 7, "B": 6}
    assert description.splits == {"train": 7, "test": 6}
    assert description.missing["late"] == 1 and description.missing["scan"] == COUNT + 1


def test_concepts_are_the_free_columns_of_noughts_and_ones(description):
    assert [concept.name for concept in description.concepts] == ["flash", "late"]
    flash, late = description.concepts
    assert (flash.present, flash.absent, flash.unknown) == (6, 7, 0)
    assert flash.by_label == (0.0, 1.0)
    assert (late.present, late.absent, late.unknown) == (5, 7, 1)
    assert late.by_label == (pytest.approx(2 / 6), pytest.approx(3 / 6))


def test_correlations_are_those_of_numpy_over_subjects_that_know_both(description, manifest):
    names = list(description.correlations.columns)
    assert names[:3] == ["label", "flash", "late"]
    label, late = (manifest.binary(n, manifest.subjects) for n in ("label", "late"))
    known = np.isfinite(late)
    expected = np.corrcoef(label[known], late[known])[0, 1]
    assert description.correlations.loc["label", "late"] == pytest.approx(expected)
    assert description.correlations.loc["label", "flash"] == pytest.approx(1)


def test_a_property_is_spread_over_all_and_in_every_group(description):
    found = {(s.by, s.group): s for s in description.spreads if s.property == "pixel_mm"}
    assert set(found) == {
        ("", "all"), ("class", "NOR"), ("class", "CAD"), ("label", "0"), ("label", "1"),
        ("site", "A"), ("site", "B"),
    }  # fmt: skip
    assert found["", "all"].count == COUNT
    assert found["", "all"].mean == pytest.approx(3.1)
    assert found["site", "B"].median == pytest.approx(3.2, rel=1e-5)
    values = np.repeat([3.0, 3.2], 6)
    assert found["", "all"].sd == pytest.approx(values.std(ddof=1), rel=1e-4)


def test_a_site_of_the_sick_is_warned_of_first(description):
    shortcuts = {shortcut.name: shortcut for shortcut in description.shortcuts}
    assert shortcuts["site"].auc == shortcuts["pixel_mm"].auc == 1.0
    warned = {w.column for w in description.warnings if w.kind == "shortcut"}
    assert {"site", "pixel_mm"} <= warned
    severities = [w.severity for w in description.warnings]
    assert severities[0] == "warning"


def test_subjects_that_cannot_be_read_are_listed_and_not_measured(description):
    assert set(description.failed) == {"gone"}
    assert description.properties.loc["gone"].isna().all()
    assert description.properties["edv_ml"].notna().sum() == COUNT
    assert any(w.kind == "subjects" for w in description.warnings)


def test_everything_goes_into_json(description):
    found = json.loads(json.dumps(description.as_json(), allow_nan=False))
    assert found["version"] == 1 and found["subjects"] == COUNT + 1
    assert found["properties"]["gone"]["edv_ml"] is None
    assert found["concepts"][0]["name"] == "flash"
    assert set(found["structures"]) == {"lv_share", "myo_share", "rv_share"}
    assert 0 < found["structures"]["myo_share"] < 1


def test_what_is_printed_has_the_shares_and_the_medians(description):
    rows = {name: (value, unit) for name, value, unit in description.as_rows()}
    assert rows["Subjects"] == ("13", "") and rows["Label 1"] == ("6", "")
    assert rows["Concept 'late'"] == ("5 of 12", "")
    assert rows["Pixel size (mm)"] == ("3.1", "median")


def test_without_a_label_nothing_is_said_of_shortcuts(folder):
    table = read_manifest(folder / "cohort.csv")
    unlabelled = replace(table, table=table.table.drop(columns="label"))
    found = describe(unlabelled, workers=1)
    assert found.label == {} and found.shortcuts == ()
    assert found.notes == (
        "There is no column 'label', so imbalance and shortcuts were not looked for.",
    )


def test_another_column_can_be_what_is_learnt(manifest):
    found = describe(manifest, label="late", concepts=["flash"], workers=1)
    assert found.label == {"0": 7, "1": 5, "blank": 1}
    assert [concept.name for concept in found.concepts] == ["flash"]
    assert "late" in found.groups


def test_a_label_that_is_not_nought_or_one_is_refused_with_its_row(manifest):
    with pytest.raises(CohortError, match="grade"):
        describe(manifest, label="grade", workers=1)
    with pytest.raises(CohortError, match="no column 'hue'"):
        describe(manifest, concepts=["hue"], workers=1)


def test_a_description_can_be_cancelled(manifest):
    def stop(done, total, what):
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        describe(manifest, workers=1, on_progress=stop)
