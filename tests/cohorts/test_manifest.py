import numpy as np
import pandas as pd
import pytest

from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.errors import CohortError
from napari_cardioxai.phantom.cohort import generate


@pytest.fixture
def manifest(tmp_path):
    """Write a manifest beside `a.nii.gz`, `b.nii.gz` and the folder `study`, and read it."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "study").mkdir()
    for name in ("labels/a.nii.gz", "labels/b.nii.gz"):
        (tmp_path / name).touch()

    def write(*lines, name="cohort.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_manifest(path)

    return write


def refused(manifest, *lines):
    with pytest.raises(CohortError) as caught:
        manifest(*lines)
    message = str(caught.value)
    assert message.startswith("cohort.csv") and message.endswith(".") and "\n" not in message
    return message


def test_paths_start_at_the_folder_of_the_manifest(manifest, tmp_path, monkeypatch):
    elsewhere = tmp_path / "labels" / "b.nii.gz"
    found = manifest(
        "subject,labels,scan", "007,labels/a.nii.gz,study", f"8,{elsewhere},", "9,,study"
    )
    monkeypatch.chdir("/")
    assert found.subjects == ["007", "8", "9"]
    assert found.labels_path("007") == tmp_path / "labels" / "a.nii.gz"
    assert found.labels_path("8") == elsewhere and found.labels_path("9") is None
    assert found.scan_path("007") == tmp_path / "study" and found.scan_path("8") is None


def test_splits_keep_the_order_of_the_file_and_without_any_all_train(manifest):
    found = manifest(
        "subject,labels,split",
        *(f"s{k},labels/a.nii.gz,{split}" for k, split in enumerate(["train", "test", "val", "concept", "test"])),
    )  # fmt: skip
    assert found.split("test") == ["s1", "s4"] and found.split("concept") == ["s3"]
    plain = manifest("subject,labels", "x,labels/a.nii.gz", "y,labels/b.nii.gz")
    assert plain.split("train") == ["x", "y"] and plain.split("test") == []
    with pytest.raises(CohortError, match="no split"):
        plain.split("training")


def test_numbers_and_blanks_come_back_in_the_order_asked_for(manifest):
    found = manifest(
        "subject,labels,label,low EF,age,class,comment",
        "a,labels/a.nii.gz,1,,50.5,1,x",
        "b,labels/b.nii.gz,0.0,1,,2,",
        "c,labels/b.nii.gz,,0,7e1,1,",
    )
    np.testing.assert_array_equal(found.binary("label", ["b", "a", "c"]), [0, 1, np.nan])
    np.testing.assert_array_equal(found.binary("low EF", ["a", "b"]), [np.nan, 1])
    np.testing.assert_array_equal(found.numbers("age", ["c", "a", "b"]), [70, 50.5, np.nan])
    assert found.table["class"].tolist() == ["1", "2", "1"]  # a name, not a number
    assert found.table["comment"].isna().tolist() == [False, True, True]


def test_what_is_no_number_is_named_with_row_and_column(manifest):
    found = manifest(
        "subject,labels,age,flag", "a,labels/a.nii.gz,old,0", "b,labels/b.nii.gz,inf,2"
    )
    with pytest.raises(CohortError, match=r"row 2 \(a\), column 'age': old was found"):
        found.numbers("age", found.subjects)
    with pytest.raises(CohortError, match=r"row 3 \(b\), column 'age': inf was found"):
        found.numbers("age", ["b"])
    with pytest.raises(CohortError, match=r"row 3 \(b\), column 'flag': 2 was .* 0, 1 or blank"):
        found.binary("flag", found.subjects)
    assert found.binary("flag", ["a"]).tolist() == [0]
    with pytest.raises(CohortError, match="no column 'sex'; it has labels, age, flag"):
        found.numbers("sex", ["a"])
    with pytest.raises(CohortError, match="no subject 'z'"):
        found.numbers("age", ["a", "z"])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("",), ["is empty"]),
        (("subject,labels",), ["no subjects"]),
        (("subject;labels", "a;labels/a.nii.gz"), ["separated by commas"]),
        (("name,labels", "a,labels/a.nii.gz"), ["no column 'subject'", "name, labels"]),
        (("subject,age", "a,4"), ["'labels' or 'scan'"]),
        (("subject,labels,age,age", "a,labels/a.nii.gz,1,2"), ["two columns 'age'"]),
        (("subject,labels,", "a,labels/a.nii.gz,1"), ["column 3 has no name"]),
        (("subject,labels", "a,labels/a.nii.gz,1"), ["row 2", "3 cells", "2 columns"]),
        (("subject,labels", ",labels/a.nii.gz"), ["row 2", "'subject' is blank"]),
        (
            ("subject,labels", "a,labels/a.nii.gz", "b,labels/a.nii.gz", "a ,labels/b.nii.gz"),
            ["row 4", "'subject'", "a is already in row 2"],
        ),
        (("subject,labels,scan", "a,,study", "b,,"), ["row 3", "both blank", "b has no file"]),
        (
            ("subject,labels", "a,labels/a.nii.gz", "b,c.nii.gz", "c,d.nii.gz"),
            ["row 3", "'labels'", "c.nii.gz does not exist", "1 more (row 4)"],
        ),
        (("subject,labels", "a,labels"), ["row 2", "labels is a folder; labels are a file"]),
        (("subject,labels", "a,~nobody_of_this_name/a.nii.gz"), ["row 2", "does not exist"]),
        (
            ("subject,labels,split", "a,labels/a.nii.gz,trian"),
            ["row 2", "'split'", "'trian' is unknown", "train, val, test, concept"],
        ),
        (("subject,labels,split", "a,labels/a.nii.gz,"), ["row 2", "'split'", "blank"]),
        (
            ("subject,labels,label", "a,labels/a.nii.gz,1", "b,labels/b.nii.gz,yes"),
            ["row 3 (b)", "'label'", "yes was found", "0, 1 or blank"],
        ),
    ],
)  # fmt: skip
def test_every_complaint_says_where(manifest, lines, said):
    message = refused(manifest, *lines)
    assert all(part in message for part in said), message


def test_a_file_that_is_no_table_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(CohortError, match="does not exist"):
        read_manifest(tmp_path / "cohort.csv")
    for name, content in (("a.csv", b"\xff\xfe\x00\xd8"), ("b.parquet", b"PAR1"), ("c.xlsx", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CohortError, match=name):
            read_manifest(tmp_path / name)


def test_parquet_says_the_same_as_csv(manifest, tmp_path):
    found = manifest("subject,labels,label,class", "01,labels/a.nii.gz,1,x", "02,labels/b.nii.gz,,")
    for index, name in ((True, "index.parquet"), (False, "column.parquet")):
        table = found.table if index else found.table.reset_index()
        table.to_parquet(tmp_path / name, index=index)
        again = read_manifest(tmp_path / name)
        pd.testing.assert_frame_equal(again.table, found.table)
        assert again.labels_path("01") == found.labels_path("01")
    flags = pd.DataFrame(
        {"subject": [1, 2], "labels": ["labels/a.nii.gz"] * 2, "label": [True, False]}
    )
    flags.to_parquet(tmp_path / "flags.parquet")
    again = read_manifest(tmp_path / "flags.parquet")
    assert again.binary("label", ["1", "2"]).tolist() == [1, 0]


def test_spreadsheets_marks_and_empty_last_rows_do_no_harm(manifest, tmp_path):
    (tmp_path / "bom.csv").write_text(
        "\ufeffsubject,labels\r\na, labels/a.nii.gz \r\n,\r\n", encoding="utf-8", newline=""
    )
    assert read_manifest(tmp_path / "bom.csv").subjects == ["a"]


def test_manifests_of_phantom_cohorts_are_read_and_nothing_is_written(tmp_path):
    path = generate("three-slices", tmp_path / "cohort", subjects=2, seed=1, workers=1)
    before = sorted((file, file.stat().st_mtime_ns) for file in path.parent.rglob("*"))
    found = read_manifest(path)
    assert found.subjects == ["s0000", "s0001"] and found.labels_path("s0001").is_file()
    assert found.numbers("ef_percent_true", found.subjects).min() > 10
    assert sorted((file, file.stat().st_mtime_ns) for file in path.parent.rglob("*")) == before
