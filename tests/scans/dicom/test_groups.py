"""What belongs to one acquisition is found by geometry, however it was exported."""

import numpy as np
import pydicom
import pytest

from napari_cardioxai.scans.catalogue import find_series, load_scan
from napari_cardioxai.scans.scan import Kind
from tests.scans.dicom_factory import (
    COLUMN,
    GAP_MM,
    NORMAL,
    ORIGIN,
    ROW,
    frame,
    picture,
    save,
    set_pixels,
    stack,
    write_cine,
)

FRAMES, SLICES = 8, 4
FOUR_CHAMBER = [0.9, 0.3, -0.3162, 0.2, 0.4, 0.8944]


def by_kind(catalogue, kind):
    return [e for e in catalogue.entries if e.kind == kind]


def write_long_axis(folder, *, orientation=FOUR_CHAMBER, series="1.2.99", name="4CH", number=9):
    for t in range(FRAMES):
        ds = frame(t, 0, SeriesInstanceUID=series, SeriesDescription=name, SeriesNumber=number)
        row, column = np.reshape(orientation, (2, 3)).astype(float)
        row /= np.linalg.norm(row)
        column -= (column @ row) * row
        column /= np.linalg.norm(column)
        ds.ImageOrientationPatient = [f"{v:.6f}" for v in (*row, *column)]
        set_pixels(ds, picture(t, 9))
        save(ds, folder / f"{name}-{t}")


def test_stack_of_one_series_per_slice_is_joined_and_long_axis_kept_apart(tmp_path):
    def edit(ds, t, z):
        ds.SeriesInstanceUID, ds.SeriesNumber = f"1.2.{z + 1}", 10 * (SLICES - z)

    write_cine(tmp_path, edit=edit)
    write_long_axis(tmp_path)
    catalogue = find_series(tmp_path)
    assert [e.kind for e in catalogue.entries] == [Kind.LONG_AXIS, Kind.SHORT_AXIS]
    assert catalogue.default == 1
    assert catalogue.entries[1].name == "cine SAX (series 10 to 40)"
    np.testing.assert_array_equal(load_scan(tmp_path).data, stack(FRAMES, SLICES))
    long_axis = load_scan(tmp_path, series=0)
    np.testing.assert_array_equal(long_axis.data[:, 0], [picture(t, 9) for t in range(FRAMES)])


def test_slices_named_one_by_one_are_joined(tmp_path):
    def edit(ds, t, z):
        ds.SeriesInstanceUID, ds.SeriesNumber = f"1.2.{z + 1}", z
        ds.SeriesDescription = ["SA base", "SA mid", "SA mid apex", "SA apex"][z]

    write_cine(tmp_path, edit=edit)
    assert find_series(tmp_path).entries[0].shape[:2] == (FRAMES, SLICES)


def test_one_series_with_every_plane_is_taken_apart(tmp_path):
    series = frame(0, 0).SeriesInstanceUID
    write_cine(tmp_path)
    write_long_axis(tmp_path, series=series, name="a")
    write_long_axis(tmp_path, series=series, name="b", orientation=[0, 1, 0, 0, 0, -1])
    catalogue = find_series(tmp_path)
    assert len(by_kind(catalogue, Kind.LONG_AXIS)) == 2
    assert catalogue.entries[catalogue.default].kind == Kind.SHORT_AXIS
    assert len({e.name for e in catalogue.entries}) == 3
    np.testing.assert_array_equal(load_scan(tmp_path).data, stack(FRAMES, SLICES))


def test_planes_that_differ_by_rounding_are_one(tmp_path):
    def edit(ds, t, z):
        wobble = 0.002 * ((t + z) % 2)
        ds.ImageOrientationPatient = [f"{v:.6f}" for v in (*ROW, *(COLUMN + wobble * NORMAL))]

    write_cine(tmp_path, edit=edit)
    assert len(find_series(tmp_path).entries) == 1


@pytest.mark.parametrize("phase_type", [["P"], ["VELOCITY MAP", "P", "PCA"]])
def test_phase_contrast_is_split_into_magnitude_and_phase(tmp_path, phase_type):
    write_cine(tmp_path)
    for t in range(FRAMES):
        for z in range(SLICES):
            ds = frame(t, z, ImageType=["ORIGINAL", "PRIMARY", *phase_type])
            set_pixels(ds, -picture(t, z))
            save(ds, tmp_path / f"p-{t}-{z}")
    catalogue = find_series(tmp_path)
    assert {e.kind for e in catalogue.entries} == {Kind.SHORT_AXIS, Kind.OTHER}
    np.testing.assert_array_equal(load_scan(tmp_path).data, stack(FRAMES, SLICES))
    phase = next(k for k, e in enumerate(catalogue.entries) if e.name.endswith(", phase"))
    np.testing.assert_array_equal(load_scan(tmp_path, series=phase).data, -stack(FRAMES, SLICES))


def test_pictures_of_another_matrix_are_reported_and_listed_on_their_own(tmp_path):
    write_cine(tmp_path)
    for t in range(2):
        ds = frame(t, 7)
        set_pixels(ds, picture(t, 7, (4, 4)))
        save(ds, tmp_path / f"small-{t}")
    catalogue = find_series(tmp_path)
    best = catalogue.entries[catalogue.default]
    assert best.shape == (FRAMES, SLICES, 6, 5)
    assert any("2 of 34 pictures" in w and "4 x 4" in w for w in best.warnings)
    assert sorted(e.shape[2:] for e in catalogue.entries) == [(4, 4), (6, 5)]


def test_pictures_of_another_pixel_size_are_listed_on_their_own(tmp_path):
    write_cine(tmp_path)
    save(frame(0, 7, PixelSpacing=[2.0, 2.0]), tmp_path / "other")
    catalogue = find_series(tmp_path)
    assert len(catalogue.entries) == 2
    assert catalogue.entries[catalogue.default].shape[:2] == (FRAMES, SLICES)


def test_whole_stack_acquired_again_stays_apart_and_the_later_is_opened(tmp_path):
    write_cine(tmp_path / "first")

    def edit(ds, t, z):
        ds.SeriesInstanceUID, ds.SeriesNumber = "1.2.77", 12
        set_pixels(ds, picture(t, z) + 5000)

    write_cine(tmp_path / "second", edit=edit)
    catalogue = find_series(tmp_path)
    assert len(catalogue.entries) == 2
    np.testing.assert_array_equal(load_scan(tmp_path).data, stack(FRAMES, SLICES) + 5000)
    warnings = catalogue.entries[1 - catalogue.default].warnings
    assert any("acquired again later, see cine SAX (series 12)" in w for w in warnings)


def test_single_slice_series_acquired_again_gives_the_later_one_to_the_stack(tmp_path):
    def edit(ds, t, z):
        ds.SeriesInstanceUID, ds.SeriesNumber = f"1.2.{z + 1}", z + 1

    write_cine(tmp_path / "first", edit=edit)
    for t in range(FRAMES):
        ds = frame(t, 2, SeriesInstanceUID="1.2.77", SeriesNumber=20)
        set_pixels(ds, picture(t, 2) + 5000)
        save(ds, tmp_path / f"again-{t}")
    expected = stack(FRAMES, SLICES)
    expected[:, 2] += 5000
    catalogue = find_series(tmp_path)
    np.testing.assert_array_equal(load_scan(tmp_path).data, expected)
    assert [e.kind for e in catalogue.entries].count(Kind.SHORT_AXIS) == 1
    assert len(catalogue.entries) == 2


def test_frame_of_reference_that_changes_per_file_is_not_believed(tmp_path):
    def edit(ds, t, z):
        ds.FrameOfReferenceUID = f"1.3.{z}.{t + 1}"
        ds.SeriesInstanceUID = f"1.2.{z + 1}"

    write_cine(tmp_path, edit=edit)
    assert len(find_series(tmp_path).entries) == 1


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID"])
def test_identifiers_drawn_anew_for_every_file_are_not_believed(tmp_path, keyword):
    def edit(ds, t, z):
        setattr(ds, keyword, f"1.2.{z}.{t}")
        if keyword == "StudyInstanceUID":
            ds.SeriesInstanceUID = f"1.3.{z}.{t}"

    scan = load_scan(write_cine(tmp_path, edit=edit))
    np.testing.assert_array_equal(scan.data, stack(FRAMES, SLICES))


def test_picture_without_position_does_not_disturb_the_stack(tmp_path):
    write_cine(tmp_path)
    save(frame(0, 7, ImagePositionPatient=None), tmp_path / "nowhere")
    catalogue = find_series(tmp_path)
    assert len(catalogue.entries) == 2
    np.testing.assert_array_equal(load_scan(tmp_path).data, stack(FRAMES, SLICES))
    lost = catalogue.entries[1 - catalogue.default]
    assert any("no position in the patient" in w for w in lost.warnings)


def test_studies_are_never_joined(tmp_path):
    def edit(ds, t, z):
        ds.SeriesInstanceUID, ds.StudyInstanceUID = f"1.2.{z + 1}", f"1.5.{z % 2}"

    write_cine(tmp_path, edit=edit)
    assert [e.shape[1] for e in find_series(tmp_path).entries] == [1, 1, 1, 1]


def test_localiser_of_three_planes_is_of_another_kind(tmp_path):
    planes = [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]]
    for k, plane in enumerate(planes):
        for z in range(3):
            normal = np.cross(plane[:3], plane[3:])
            ds = frame(0, z, ImageOrientationPatient=plane, SeriesDescription="localizer")
            ds.ImagePositionPatient = [f"{v:.4f}" for v in 10.0 * z * normal]
            save(ds, tmp_path / f"{k}{z}")
    assert {e.kind for e in find_series(tmp_path).entries} == {Kind.OTHER}


def test_still_stack_is_a_volume_and_one_picture_an_image(tmp_path):
    write_cine(tmp_path / "volume", frames=1, slices=6)
    save(frame(0, 0), tmp_path / "image" / "x")
    assert find_series(tmp_path / "volume").entries[0].kind == Kind.VOLUME
    assert find_series(tmp_path / "volume").entries[0].order_rule == ""
    assert find_series(tmp_path / "image").entries[0].kind == Kind.IMAGE


def test_inversion_times_that_change_make_no_cine(tmp_path):
    def edit(ds, t, z):
        ds.InversionTime = 100 + 80 * t

    write_cine(tmp_path, edit=edit)
    assert find_series(tmp_path).entries[0].kind == Kind.OTHER


def test_series_that_sound_like_something_else_are_not_the_default(tmp_path):
    def flow(ds, t, z):
        ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = "1.2.7", 99, "flow SAX"

    write_cine(tmp_path / "a", slices=3)
    write_cine(tmp_path / "b", edit=flow, slices=8)
    catalogue = find_series(tmp_path)
    assert len(catalogue.entries) == 2
    assert catalogue.entries[catalogue.default].shape[1] == 3


def test_stack_across_the_long_axis_is_preferred_to_one_along_it(tmp_path):
    """Without names: the plane decides, at equal numbers of slices and frames."""
    normal = np.array([0.65, -0.6, -0.466])
    normal /= np.linalg.norm(normal)
    row = np.cross(normal, [0, 0, 1.0])
    row /= np.linalg.norm(row)
    planes = {"1.2.1": (row, np.cross(normal, row)), "1.2.2": (row, normal)}
    for number, (series, (along_row, along_column)) in enumerate(planes.items()):

        def edit(ds, t, z, series=series, number=number, plane=(along_row, along_column)):
            ds.SeriesInstanceUID, ds.SeriesDescription, ds.SeriesNumber = series, None, number
            ds.ImageOrientationPatient = [f"{v:.6f}" for v in np.ravel(plane)]
            depth = z * GAP_MM * np.cross(*plane)
            ds.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + depth]

        write_cine(tmp_path / series, edit=edit)
    catalogue = find_series(tmp_path)
    assert catalogue.entries[catalogue.default].name == "Series 0"


def test_name_and_warnings_carry_no_patient_identity(tmp_path):
    def edit(ds, t, z):
        ds.SeriesDescription = "cine Somebody 4711"
        ds.AccessionNumber = "ACC123"

    write_cine(tmp_path, skip=[(2, 1)], edit=edit)
    catalogue = find_series(tmp_path)
    scan = load_scan(tmp_path)
    text = (repr(catalogue.as_json()) + repr(scan)).lower()
    for secret in ("somebody", "4711", "0815", "acc123"):
        assert secret not in text
    assert catalogue.entries[0].name == "Series 5"


def test_folder_of_two_series_with_equal_names_tells_them_apart(tmp_path):
    for k, series in enumerate(("1.2.1", "1.2.2")):

        def edit(ds, t, z, series=series, k=k):
            ds.SeriesInstanceUID, ds.SeriesNumber = series, None
            ds.StudyInstanceUID = f"1.9.{k}"

        write_cine(tmp_path / series, edit=edit)
    names = [e.name for e in find_series(tmp_path).entries]
    assert len(set(names)) == 2


def test_files_given_one_by_one_are_read_like_their_folder(tmp_path):
    write_cine(tmp_path)
    files = sorted(tmp_path.iterdir())
    np.testing.assert_array_equal(load_scan(files).data, stack(FRAMES, SLICES))
    one = load_scan(files[0])
    np.testing.assert_array_equal(one.data[0, 0], pydicom.dcmread(files[0]).pixel_array)
