"""Measurements leave as CSV and JSON that other programs read."""

import csv
import json

import pytest

from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.errors import OutputError
from napari_cardioxai.report.table import write_measurements_csv, write_measurements_json

STUDY = Measurements(
    edv_ml=142.34,
    esv_ml=59.8,
    sv_ml=82.54,
    ef_percent=57.988,
    ed_frame=0,
    es_frame=1,
    volume_ml=(142.34, 59.8),
    frame_times_ms=None,
    notes=("Frame times are unknown.",),
)


def test_csv_holds_name_value_and_unit(tmp_path):
    write_measurements_csv(tmp_path / "m.csv", STUDY)
    with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["measurement"]: (row["value"], row["unit"]) for row in csv.DictReader(stream)}
    assert rows["LV end-diastolic volume"] == ("142", "mL")
    assert rows["LV ejection fraction"] == ("58", "%")
    assert rows["End-systole"] == ("frame 2", "")
    assert "Heart rate" not in rows


def test_json_keeps_every_digit_and_the_whole_curve(tmp_path):
    write_measurements_json(tmp_path / "m.json", STUDY)
    read = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert read["ef_percent"] == 57.988
    assert read["volume_ml"] == [142.34, 59.8]
    assert read["frame_times_ms"] is None
    assert read["notes"] == ["Frame times are unknown."]


@pytest.mark.parametrize("write", [write_measurements_csv, write_measurements_json])
def test_folder_that_cannot_be_made_is_named(tmp_path, write):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be written to"):
        write(tmp_path / "file" / "m.out", STUDY)
