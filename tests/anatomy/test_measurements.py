import json

import numpy as np
import pytest

from napari_cardioxai.anatomy import measurements
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import measure, measure_volumes, measure_walls
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.phantom.classes import HeartClass, draw_case
from napari_cardioxai.phantom.rasterise import rasterise, stack_around
from napari_cardioxai.phantom.volume_curve import VolumeCurve
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
    one, no_walls = m.notes
    assert one == "There is one frame only: its volume, but no ejection fraction."
    assert no_walls.startswith("Wall segments need") and no_walls.endswith("RV cavity.")
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


CURVE = VolumeCurve(edv_ml=140, esv_ml=56, heart_rate_bpm=65)


def counted(curve, frames, *, structure=1, voxel_ml=0.01, **more):
    """Labels that hold the curve's volume to 0.01 mL in every frame; values of `structure`."""
    times = curve.frame_times_ms(frames)
    counts = np.rint(curve.volume_ml(times) / voxel_ml).astype(int)
    data = np.zeros((frames, 1, 200, 200), np.uint8)
    for frame, count in zip(data, counts, strict=True):
        frame.flat[:count] = structure
        if structure != 1:
            frame.flat[-count:] = 1
    side = (1000 * voxel_ml) ** (1 / 3)
    return Labels(
        data, **{"geometry": Geometry((side, side, side)), "frame_times_ms": times, **more}
    )


def test_rates_come_from_voxels_and_reach_json_and_rows():
    m, truth = measure(counted(CURVE, 30)), CURVE.truth()
    assert m.per_ml_s == pytest.approx(truth.per_ml_s, rel=0.03)
    assert m.pfr_ml_s == pytest.approx(truth.pfr_ml_s, rel=0.05)
    assert m.pafr_ml_s == pytest.approx(truth.pafr_ml_s, rel=0.12)
    assert m.per_edv_s == pytest.approx(m.per_ml_s / 140, rel=1e-3)
    json_again = json.loads(json.dumps(m.as_json(), allow_nan=False))
    assert json_again["pafr_ml_s"] == m.pafr_ml_s and json_again["ea_ratio"] > 1
    assert "Savitzky-Golay" in json_again["rate_note"]
    assert json_again["rv_per_ml_s"] is json_again["rv_rate_note"] is None
    assert ("LV peak ejection rate", f"{m.per_ml_s:.0f}", "mL/s") in m.as_rows()


def test_rates_of_the_right_ventricle_do_not_depend_on_the_value_of_its_label():
    """Summing label values instead of counting would give three times the rates."""
    m, truth = measure(counted(CURVE, 30, structure=3)), CURVE.truth()
    assert m.rv_per_ml_s == pytest.approx(truth.per_ml_s, rel=0.03)
    assert m.rv_pafr_ml_s == pytest.approx(truth.pafr_ml_s, rel=0.12)
    assert m.rv_per_ml_s == pytest.approx(m.per_ml_s)


def test_rates_scale_with_the_true_slice_distance():
    labels = counted(CURVE, 30)
    z, y, x = labels.geometry.spacing_mm
    wrong = measure(Labels(labels.data, Geometry((1.5 * z, y, x)), labels.frame_times_ms))
    right = measure(labels)
    assert wrong.pfr_ml_s == pytest.approx(1.5 * right.pfr_ml_s)
    assert wrong.pfr_edv_s == pytest.approx(right.pfr_edv_s)


def test_fused_filling_is_said_in_json_rows_and_notes():
    fast = VolumeCurve(edv_ml=120, esv_ml=50, heart_rate_bpm=120, es_time_ms=220, fused=True)
    m = measure(counted(fast, 30))
    assert m.pfr_ml_s is not None and m.pafr_ml_s is m.pafr_edv_s is m.ea_ratio is None
    assert "Fused" in m.rate_note
    assert ("LV peak atrial filling rate", "not separable", "") in m.as_rows()
    assert any(note.startswith("LV rates: Fused") for note in m.notes)


def test_without_times_there_are_no_rates_and_one_note_for_both_ventricles():
    m = measure(counted(CURVE, 30, structure=3, frame_times_ms=None))
    assert m.per_ml_s is m.rv_per_ml_s is None and "unknown" in m.rate_note
    assert sum("no rates" in note for note in m.notes) == 1


def test_an_unknown_pixel_size_leaves_the_rates_per_volume():
    m = measure(counted(CURVE, 30, geometry=Geometry(None)))
    assert m.per_ml_s is m.pfr_ml_s is None
    assert m.per_edv_s == pytest.approx(CURVE.truth().per_ml_s / 140, rel=0.03)


def test_indices_divide_by_the_body_surface():
    # Mosteller: sqrt(180 * 80 / 3600) = 2 m²
    m = measure(
        beating(LV, myo=[100] * 6, rv=[150, 130, 90, 75, 100, 145], cycle_ms=1000.0),
        height_cm=180,
        weight_kg=80,
    )
    assert m.bsa_m2 == pytest.approx(2.0)
    assert (m.edvi_ml_m2, m.esvi_ml_m2, m.svi_ml_m2) == pytest.approx((70, 28, 42))
    assert m.lvmi_g_m2 == pytest.approx(52.5) and m.rv_edvi_ml_m2 == pytest.approx(75)
    assert m.cardiac_index_l_min_m2 == pytest.approx(84 * 60 / 1000 / 2)
    assert ("LV end-diastolic volume index", "70", "mL/m²") in m.as_rows()
    assert measure(beating(LV)).edvi_ml_m2 is None


@pytest.mark.parametrize(
    "body",
    [
        {"height_cm": 180},
        {"height_cm": 180, "weight_kg": 0},
        {"height_cm": 1.8, "weight_kg": 80},  # in metres
        {"height_cm": np.nan, "weight_kg": 80},
    ],
)
def test_half_a_body_size_or_nobodys_is_refused(body):
    with pytest.raises(MeasurementError, match="height in cm and the weight in kg"):
        measure(beating(LV), **body)


def phantom(kind, seed=0, frames=30):
    heart = draw_case(kind, np.random.default_rng(seed)).heart
    grid = stack_around(heart, pixel_mm=1.5)
    times = heart.lv.frame_times_ms(frames)
    return heart, Labels(rasterise(heart.beat(times), grid), grid.geometry, times)


def test_a_whole_phantom_is_measured_within_the_targets():
    heart, labels = phantom(HeartClass.NORMAL)
    m, truth = measure(labels), heart.lv.truth()
    assert m.edv_ml == pytest.approx(truth.edv_ml, rel=0.02)
    assert m.ef_percent == pytest.approx(truth.ef_percent, abs=1)
    assert m.lvm_g == pytest.approx(heart.mass_g, rel=0.03)
    dt = labels.frame_times_ms[1]
    assert m.ed_frame in (0, 1, 29) and abs(m.es_frame * dt - truth.es_time_ms) <= dt
    # One heart on one grid: counting voxels alone moves a rate by some percent.
    assert m.per_ml_s == pytest.approx(truth.per_ml_s, rel=0.05)
    assert m.pfr_ml_s == pytest.approx(truth.pfr_ml_s, rel=0.08)
    assert m.pafr_ml_s == pytest.approx(truth.pafr_ml_s, rel=0.15)


def test_walls_of_a_phantom_are_in_json_with_none_for_what_is_not_shown():
    heart, labels = phantom(HeartClass.NORMAL)
    m = measure(labels)
    again = json.loads(json.dumps(m.as_json(), allow_nan=False))
    assert len(again["wall_ed_mm"]) == len(again["thickening_percent"]) == 17
    assert again["wall_ed_mm"][16] is None, "short-axis slices do not show the apex"
    true = heart.beat(np.zeros(1)).segment_thickness_mm()[0]
    assert m.wall_ed_mm[6:12] == pytest.approx(true[6:12], abs=0.5)
    assert m.wall_ed_max_mm == max(w for w in m.wall_ed_mm if w is not None)
    mid = 100 * (np.array(m.wall_es_mm[6:12]) / m.wall_ed_mm[6:12] - 1)
    assert m.thickening_percent[6:12] == pytest.approx(mid)
    names = [name for name, _, _ in m.as_rows()]
    assert any(name.startswith("Thickest wall at ED (") for name in names)
    assert "Dyssynchrony index" in names


def test_a_bundle_branch_block_is_dyssynchronous_and_a_normal_heart_is_not():
    normal = [measure(phantom(HeartClass.NORMAL, seed)[1]).sdi_percent for seed in range(3)]
    block = [measure(phantom(HeartClass.DYSSYNCHRONY, seed)[1]).sdi_percent for seed in range(3)]
    assert max(normal) < 2 and min(block) > 2 * max(normal)


def test_an_infarct_thickens_unevenly():
    normal = measure(phantom(HeartClass.NORMAL)[1]).thickening_variance_percent2
    assert measure(phantom(HeartClass.INFARCT)[1]).thickening_variance_percent2 > 2 * normal


def test_a_cut_cycle_has_walls_but_no_dyssynchrony():
    _, labels = phantom(HeartClass.NORMAL)
    cut = Labels(labels.data[:20], labels.geometry, labels.frame_times_ms[:20])
    m = measure(cut)
    assert m.wall_es_mm is not None and m.sdi_percent is m.pafr_ml_s is None
    assert any("do not show a whole cycle" in note for note in m.notes)


def test_left_ventricle_alone_does_not_pay_for_walls(monkeypatch):
    monkeypatch.setattr(measurements, "wall_thickness", lambda *a, **k: pytest.fail("walls"))
    assert measure(beating(LV, myo=[100] * 6)).wall_ed_mm is None
    assert measure(beating(LV, rv=[100] * 6)).wall_ed_mm is None


def test_myocardium_and_right_ventricle_that_do_not_touch_have_no_segments_and_a_note():
    m = measure(beating(LV, myo=[100] * 6, rv=[150] * 6))
    assert m.wall_ed_mm is None
    assert any(note.startswith("No wall segments") for note in m.notes)


def test_volumes_first_and_walls_later_is_the_same_as_both_at_once():
    _, labels = phantom(HeartClass.NORMAL)
    volumes, walls = measure_volumes(labels), measure_walls(labels)
    assert volumes.wall_ed_mm is None and volumes.edv_ml is not None
    assert walls.wall_ed_mm is not None and walls.missing == ""
    assert volumes.with_walls(walls) == measure(labels)


def test_volumes_alone_do_not_pay_for_walls(monkeypatch):
    monkeypatch.setattr(measurements, "wall_thickness", lambda *a, **k: pytest.fail("walls"))
    _, labels = phantom(HeartClass.NORMAL)
    assert measure_volumes(labels).rv_ef_percent is not None


def test_what_walls_lack_is_named():
    assert "Myocardium and RV cavity" in measure_walls(beating(LV)).missing
    assert measure_walls(beating(LV, myo=[100] * 6)).missing.endswith("missing: RV cavity.")


def test_curves_behind_the_rates_are_for_drawing_and_not_in_json():
    m = measure(counted(CURVE, 30))
    assert m.lv_rates is not None and m.lv_rates.curve is not None
    assert m.lv_rates.curve.rate_ml_s.max() == pytest.approx(m.pfr_ml_s, rel=1e-3)
    assert not {"lv_rates", "rv_rates"} & set(m.as_json())


def test_right_ventricle_has_its_own_curve():
    m = measure(beating(LV, rv=[150, 130, 90, 75, 100, 145]))
    assert m.rv_volume_ml == (150, 130, 90, 75, 100, 145)
    assert measure(beating(LV)).rv_volume_ml is None
