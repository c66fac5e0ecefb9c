"""Measurements leave as CSV and JSON that other programs read."""

import csv
import json

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.anatomy.quality import Override, check
from napari_cardioxai.errors import OutputError
from napari_cardioxai.report.table import write_measurements_csv, write_measurements_json
from napari_cardioxai.scans.geometry import Geometry

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


def test_quality_is_a_part_of_the_json_with_what_a_reviewer_said(tmp_path):
    data = np.zeros((1, 3, 40, 40), np.uint8)
    data[:, :, 5:35, 5:35] = 1
    data[0, 2, 18:21, 18:21] = 0
    decision = Override("holes", 2, 0, "papillary muscle")
    quality = check(Labels(data, Geometry(None))).with_overrides([decision])
    write_measurements_json(tmp_path / "m.json", STUDY, quality)
    read = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert read["ef_percent"] == 57.988
    (hole,) = (f for f in read["quality"]["findings"] if f["rule"] == "holes")
    assert hole["overruled"]["reason"] == "papillary muscle"


@pytest.mark.parametrize("write", [write_measurements_csv, write_measurements_json])
def test_folder_that_cannot_be_made_is_named(tmp_path, write):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be written to"):
        write(tmp_path / "file" / "m.out", STUDY)
