import json

import pytest

from napari_cardioxai.anatomy.label_files import write_labels
from napari_cardioxai.cohorts.check import check_cohort
from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.cohorts.normalisation import NormalisationSpec
from napari_cardioxai.progress import Cancelled
from tests.cohorts.cines import a_cine

SPEC = NormalisationSpec(frames=12, size=32, pixel_mm=3.0)


def small(**changes):
    values = {"slices": 5, "shape": (40, 36), "spacing_mm": (8.0, 3.0, 3.0), **changes}
    return a_cine(frames=10, centre_mm=(60.0, 54.0), **values)


@pytest.fixture
def manifest(tmp_path):
    """Two good subjects, one with too few slices, one whose scan is gone, one without labels."""
    for name in "ab":
        write_labels(tmp_path / f"{name}.nii.gz", small())
    write_labels(tmp_path / "c.nii.gz", small(slices=4))
    write_labels(tmp_path / "d.nii.gz", small())
    (tmp_path / "scan").mkdir()
    lines = [
        "subject,labels,scan,split,label,class,age",
        "a,a.nii.gz,,train,0,NOR,50",
        "b,b.nii.gz,,train,1,CAD,",
        "c,c.nii.gz,,test,1,CAD,61",
        "d,d.nii.gz,scan,test,,NOR,",
        "e,,scan,val,0,NOR,70",
    ]
    path = tmp_path / "cohort.csv"
    path.write_text("\n".join([*lines, ""]))
    return read_manifest(path)


def test_every_subject_that_cannot_be_used_is_listed_with_its_reason(manifest):
    found = check_cohort(manifest, SPEC, workers=1)
    assert (found.subjects, found.usable) == (5, 2)
    assert set(found.failed) == {"c", "d", "e"}
    assert "2 slices hold LV cavity" in found.failed["c"]
    assert "scan" in found.failed["d"], "its labels are fine, its scan is not"
    assert found.notes == tuple(f"{name}: {why}" for name, why in found.failed.items())


def test_columns_are_counted_with_their_blanks(manifest):
    found = check_cohort(manifest, SPEC, workers=1)
    assert found.splits == {"train": 2, "val": 1, "test": 2}
    assert found.label == {"0": 2, "1": 2, "blank": 1}
    assert found.classes == {"CAD": 2, "NOR": 3}
    assert {name: n for name, n in found.missing.items() if n} == {
        "labels": 1, "scan": 3, "label": 1, "age": 2,
    }  # fmt: skip
    rows = {name: value for name, value, _ in found.as_rows()}
    assert rows["Subjects"] == "5" and rows["Label blank"] == "1"
    assert json.loads(json.dumps(found.as_json()))["spec"]["frames"] == 12


def test_nothing_is_written(manifest):
    before = sorted(manifest.path.parent.rglob("*"))
    check_cohort(manifest, SPEC, workers=1)
    assert sorted(manifest.path.parent.rglob("*")) == before


def test_a_check_can_be_cancelled(manifest):
    def stop(done, total, what):
        if done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        check_cohort(manifest, SPEC, workers=1, on_progress=stop)
