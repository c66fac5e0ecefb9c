import json

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import measure
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.scans.geometry import Geometry

GEOMETRY = Geometry((10.0, 10.0, 10.0))  # one voxel is 1 mL


def beating(lv, *, myo=None, rv=None, **more):
    """Labels with so many mL of each structure in each frame."""
    data = np.zeros((len(lv), 3, 10, 20), np.uint8)
    for z, (value, curve) in enumerate(((1, lv), (2, myo), (3, rv))):
        for t, n in enumerate(curve or ()):
            data[t, z].flat[:n] = value
    return Labels(data, **{"geometry": GEOMETRY, **more})


LV = [140, 120, 80, 56, 90, 135]


def test_all_numbers_of_a_whole_heart_by_hand():
    labels = beating(
        LV,
        myo=[100, 101, 102, 103, 102, 101],
        rv=[150, 130, 90, 75, 100, 145],
        frame_times_ms=np.arange(6) * 150.0,
    )
    m = measure(labels)
    assert (m.edv_ml, m.esv_ml, m.sv_ml, m.ed_frame, m.es_frame) == (140, 56, 84, 0, 3)
    assert m.ef_percent == pytest.approx(60.0)
    assert m.volume_ml == tuple(LV)
    assert m.cycle_ms == pytest.approx(900)  # 6 frames of 150 ms
    assert m.heart_rate_bpm == pytest.approx(60_000 / 900)
    assert m.cardiac_output_l_min == pytest.approx(84 * 60_000 / 900 / 1000)
    assert m.lvm_g == pytest.approx(105.0)
    assert (m.rv_edv_ml, m.rv_esv_ml, m.rv_sv_ml) == (150, 75, 75)
    assert m.rv_ef_percent == pytest.approx(50.0)


def test_a_recorded_cycle_goes_before_the_frame_times():
    m = measure(beating(LV, frame_times_ms=np.arange(6) * 150.0, cycle_ms=1000.0))
    assert m.heart_rate_bpm == pytest.approx(60.0)
    assert any("recorded" in note for note in m.notes)


def test_without_a_time_base_there_is_no_rate_and_no_output():
    m = measure(beating(LV))
    assert m.frame_times_ms is m.heart_rate_bpm is m.cardiac_output_l_min is None
    assert m.ef_percent == pytest.approx(60.0)


def test_structures_that_are_not_labelled_have_no_numbers():
    m = measure(beating(LV))
    assert m.lvm_g is m.rv_edv_ml is m.rv_ef_percent is None


def test_one_frame_has_a_volume_and_a_mass_but_no_fraction():
    m = measure(beating([140], myo=[100]))
    assert m.volume_ml == (140,) and m.lvm_g == pytest.approx(105.0)
    assert m.edv_ml is m.ef_percent is m.es_frame is None
    assert m.notes == ("There is one frame only: its volume, but no ejection fraction.",)
    assert ("LV volume", "140", "mL") in m.as_rows()


def test_frames_that_nobody_labelled_are_left_out_and_named():
    m = measure(beating([140, 0, 0, 56, 0, 0]))
    assert m.ef_percent == pytest.approx(60.0) and m.es_frame == 3
    assert any("frames 2, 3, 5, 6 of 6" in note for note in m.notes)


def test_only_end_diastole_labelled_gives_no_fraction():
    m = measure(beating([140, 0, 0, 0, 0, 0]))
    assert m.ef_percent is None
    assert any("one frame only" in note for note in m.notes)


def test_an_unknown_pixel_size_leaves_the_fraction():
    m = measure(beating(LV, myo=[9] * 6, geometry=Geometry(None), cycle_ms=1000.0))
    assert m.ef_percent == pytest.approx(60.0) and (m.ed_frame, m.es_frame) == (0, 3)
    assert m.edv_ml is m.volume_ml is m.lvm_g is m.cardiac_output_l_min is None
    assert any("pixel size is unknown" in note for note in m.notes)


@pytest.mark.parametrize("last, said", [(125, True), (127, False), (155, True), (153, False)])
def test_a_curve_that_does_not_close_within_10_percent_is_noted(last, said):
    m = measure(beating([140, 56, last]))
    assert any("first" in note for note in m.notes) == said


def test_notes_of_the_labels_are_kept():
    assert "recognised" in measure(beating(LV, notes=("recognised",))).notes


def test_labels_without_a_cavity_are_refused():
    with pytest.raises(MeasurementError, match="LV cavity"):
        measure(beating([0, 0], myo=[10, 10]))


def test_json_has_the_promised_keys_in_plain_types():
    m = measure(beating(LV, frame_times_ms=np.arange(6) * 150.0))
    again = json.loads(json.dumps(m.as_json()))
    assert again["volume_ml"] == LV and again["frame_times_ms"][1] == 150.0
    assert again["es_frame"] == 3, "frames count from 0 in JSON"
    assert set(again) >= {
        *("edv_ml", "esv_ml", "sv_ml", "ef_percent", "ed_frame", "es_frame"),
        *("volume_ml", "frame_times_ms", "notes"),
    }


def test_rows_carry_units_and_no_more_decimals_than_deserved():
    rows = measure(beating(LV, frame_times_ms=np.arange(6) * 150.0)).as_rows()
    assert ("LV ejection fraction", "60", "%") in rows
    assert ("LV end-diastolic volume", "140", "mL") in rows
    assert ("Cardiac output", "5.6", "L/min") in rows
    assert ("End-systole", "frame 4 of 6, 450 ms", "") in rows, "texts count from 1"
    assert not any(name.startswith("RV") for name, _, _ in rows)
