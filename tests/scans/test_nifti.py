import gzip
import subprocess
import sys
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_cardioxai.errors import OutputError, ScanError
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.scans import nifti
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import nifti_entry, read_nifti, write_nifti
from napari_cardioxai.scans.scan import Kind

OBLIQUE = nib.affines.from_matvec(
    # Columns i, j, k of a tilted short-axis stack, 1.4 x 1.4 x 8 mm.
    np.array([[0.70, -0.10, 0.70], [0.30, 0.95, -0.15], [-0.65, 0.30, 0.70]]),
    [-40.0, 25.0, 60.0],
)
OBLIQUE[:3, :3] = np.linalg.qr(OBLIQUE[:3, :3])[0] * [1.4, 1.4, 8.0]


def save(path, voxels, affine, *, sform=1, qform=1, units=("mm", "msec"), dt=None, toffset=0.0):
    """Write with nibabel; the affine goes into both forms, whatever their codes."""
    image = nib.Nifti1Image(voxels, affine)
    image.set_qform(affine, qform)
    image.set_sform(affine, sform)
    image.header.set_xyzt_units(*units)
    if dt is not None:
        image.header["pixdim"][4] = dt
        image.header["toffset"] = toffset
    nib.save(image, path)
    return path


def counting(shape, dtype=np.int16):
    """Voxels that all differ, so that each can be found again."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def rewrite(source, target):
    scan = read_nifti(source)
    write_nifti(target, scan.data, scan.geometry, frame_times_ms=scan.frame_times_ms)
    return scan


# Axes --------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(1.4, 1.4, 8.0), (1.4, 8.0, 1.4), (8.0, 1.4, 1.4), (2, 2, 2)])
def test_every_voxel_keeps_its_place_in_the_patient_for_all_48_axis_orders(tmp_path, spacing):
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        affine = np.eye(4)
        affine[:3, :3] = (np.eye(3)[list(order)] * signs) @ np.diag(spacing)
        affine[:3, 3] = (11.0, -7.0, 5.0)
        voxels = counting((4, 5, 6))
        scan = read_nifti(save(tmp_path / "a.nii", voxels, affine))
        assert sorted(scan.geometry.spacing_mm) == pytest.approx(sorted(spacing))
        z, y, x = (3, 1, 2)
        value = scan.data[0, z, y, x]
        ijk = np.argwhere(voxels == value)[0]
        np.testing.assert_allclose(
            scan.geometry.affine @ [x, y, z, 1], affine @ [*ijk, 1], atol=1e-4
        )


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_no_axis_order_gives_a_mirrored_picture(tmp_path, slice_axis):
    """Seen from the feet, the front or the left: x cross y points to S, P or R in LPS."""
    towards = {0: [-1, 0, 0], 1: [0, 1, 0], 2: [0, 0, 1]}
    spacing = np.full(3, 1.5)
    spacing[slice_axis] = 9.0
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        affine = np.eye(4)
        affine[:3, :3] = (np.eye(3)[list(order)] * signs) @ np.diag(spacing)
        scan = read_nifti(save(tmp_path / "a.nii", counting((4, 5, 6)), affine))
        lps = np.diag([-1, -1, 1]) @ scan.geometry.affine[:3, :3]
        normal = np.cross(lps[:, 0], lps[:, 1])
        world = int(np.argmax(np.abs(normal)))
        assert normal @ towards[world] > 0
        assert scan.geometry.spacing_mm[0] == pytest.approx(9.0)
        assert not scan.geometry.storage.flipped[0], "thick slices keep their order"


@pytest.mark.parametrize(
    "columns, expected",
    [
        ("RAS", (("I", "S"), ("A", "P"), ("R", "L"))),  # as nibabel's own examples
        ("LPS", (("I", "S"), ("A", "P"), ("R", "L"))),  # as DICOM, nothing to flip
        ("LIP", (("A", "P"), ("S", "I"), ("R", "L"))),  # coronal
        ("PIR", (("L", "R"), ("S", "I"), ("A", "P"))),  # sagittal
        ("ASR", (("L", "R"), ("S", "I"), ("A", "P"))),
    ],
)
def test_pictures_stand_as_radiologists_see_them(tmp_path, columns, expected):
    orientation = nib.orientations.axcodes2ornt(columns)
    affine = nib.orientations.inv_ornt_aff(
        nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), orientation),
        (6, 5, 4),
    )
    affine[:3, :3] = affine[:3, :3] @ np.diag([1.4, 1.4, 8.0])
    assert "".join(nib.aff2axcodes(affine)) == columns
    scan = read_nifti(save(tmp_path / "a.nii", counting((6, 5, 4)), affine))
    assert scan.geometry.orientation_letters() == expected


def test_isotropic_volumes_are_turned_to_axial_slices_from_feet_to_head(tmp_path):
    affine = np.array([[0, 0, 2, -50], [-2, 0, 0, 40], [0, -2, 0, 30], [0, 0, 0, 1.0]])  # P, I, R
    scan = read_nifti(save(tmp_path / "a.nii", counting((4, 5, 6)), affine))
    assert scan.data.shape == (1, 5, 4, 6)
    assert scan.geometry.orientation_letters() == (("I", "S"), ("A", "P"), ("R", "L"))


def test_a_tilted_stack_is_flipped_in_plane_only(tmp_path):
    scan = read_nifti(save(tmp_path / "a.nii", counting((6, 5, 4)), OBLIQUE))
    assert scan.data.shape == (1, 4, 5, 6)
    assert scan.geometry.spacing_mm == pytest.approx((8.0, 1.4, 1.4))
    assert np.linalg.norm(scan.geometry.affine[:3, 2]) == pytest.approx(8.0)


# Round trip --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 7)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "affine",
    [OBLIQUE, np.diag([1.5, 1.5, 1.5, 1]), OBLIQUE[:, [2, 0, 1, 3]], np.diag([-2, 2, -9, 1.0])],
    ids=["oblique", "isotropic", "permuted", "flipped"],
)
def test_written_results_lie_on_the_files_own_grid(tmp_path, shape, suffix, affine):
    voxels = counting(shape)
    source = save(tmp_path / f"a{suffix}", voxels, affine, dt=40.0)
    rewrite(source, tmp_path / f"b{suffix}")
    again = nib.load(tmp_path / f"b{suffix}")
    np.testing.assert_allclose(again.affine, nib.load(source).affine, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(again.dataobj), voxels)
    assert again.get_data_dtype() == voxels.dtype
    assert again.header["sform_code"] > 0 and again.header["qform_code"] > 0


@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 7)])
def test_simpleitk_finds_written_voxels_at_the_same_point(tmp_path, shape):
    scan = rewrite(save(tmp_path / "a.nii.gz", counting(shape), OBLIQUE), tmp_path / "b.nii.gz")
    image = sitk.ReadImage(str(tmp_path / "b.nii.gz"))
    time = (2,) if len(shape) == 4 else ()
    value = image[(3, 1, 2, *time)]
    z, y, x = np.argwhere(scan.data[time[0] if time else 0] == value)[0]
    point = np.array(image.TransformIndexToPhysicalPoint((3, 1, 2, *time))[:3])
    ras = point * [-1, -1, 1]  # ITK speaks LPS
    np.testing.assert_allclose(ras, (scan.geometry.affine @ [x, y, z, 1])[:3], atol=1e-4)


def test_a_scan_without_a_file_order_is_written_as_x_y_z_t(tmp_path):
    data = counting((3, 4, 5, 6))
    write_nifti(tmp_path / "a.nii.gz", data, Geometry((8.0, 1.4, 1.4), OBLIQUE))
    image = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(image.dataobj), data.transpose(3, 2, 1, 0))


def test_an_unknown_position_is_written_as_unknown_and_read_as_unknown(tmp_path):
    write_nifti(tmp_path / "a.nii", counting((1, 1, 5, 6)), Geometry(None))
    header = nib.load(tmp_path / "a.nii").header
    assert (header["sform_code"], header["qform_code"]) == (0, 0)
    np.testing.assert_array_equal(header["pixdim"][1:4], 1)
    again = read_nifti(tmp_path / "a.nii")
    assert again.geometry.affine is None and again.geometry.spacing_mm is None
    assert "neither pixel size nor position" in again.provenance.warnings[0]


def test_unequal_gaps_uneven_times_and_the_cycle_survive_a_file(tmp_path):
    geometry = Geometry((8.0, 1.4, 1.4), OBLIQUE, slice_positions_mm=(0.0, 8.0, 20.0, 28.0))
    times = np.array([0.0, 30.0, 65.0])
    write_nifti(
        tmp_path / "a.nii.gz",
        counting((3, 4, 5, 6)),
        geometry,
        frame_times_ms=times * 8,
        cycle_ms=812.5,
    )
    again = read_nifti(tmp_path / "a.nii.gz")
    assert again.geometry.slice_positions_mm == (0.0, 8.0, 20.0, 28.0)
    np.testing.assert_allclose(again.frame_times_ms, times * 8)
    assert again.cycle_ms == 812.5
    assert nib.load(tmp_path / "a.nii.gz").header["pixdim"][4] == 260.0  # median of 240 and 280
    assert sitk.ReadImage(str(tmp_path / "a.nii.gz")).GetSize() == (6, 5, 4, 3)


def test_labels_are_written_as_bytes(tmp_path):
    write_nifti(tmp_path / "a.nii", np.ones((1, 2, 3, 4), int), Geometry(None), dtype=np.uint8)
    assert nib.load(tmp_path / "a.nii").get_data_dtype() == np.uint8


def test_other_names_than_nifti_are_refused_for_writing(tmp_path):
    with pytest.raises(OutputError, match=r"\.nii"):
        write_nifti(tmp_path / "a.mha", np.zeros((1, 2, 3, 4)), Geometry(None))


def test_a_cancelled_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "a.nii.gz"
    target.write_bytes(b"old")

    def half_way(image, beside):
        beside.write_bytes(b"half")
        raise Cancelled

    monkeypatch.setattr(nifti.nib, "save", half_way)
    with pytest.raises(Cancelled):
        write_nifti(target, np.zeros((1, 2, 3, 4), np.uint8), Geometry(None))
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]
    assert target.read_bytes() == b"old"


# Headers that contradict themselves --------------------------------------------------


def test_a_sform_unlike_pixdim_gives_way_to_the_qform(tmp_path):
    """The trap of the ACDC files: sform diag(-1, -1, 1), true sizes in pixdim and qform."""
    image = nib.Nifti1Image(counting((6, 5, 4)), None)
    image.set_qform(OBLIQUE, 1)
    image.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), 1)
    nib.save(image, tmp_path / "a.nii")
    scan = read_nifti(tmp_path / "a.nii")
    assert scan.geometry.voxel_volume_mm3 == pytest.approx(1.4 * 1.4 * 8)
    np.testing.assert_allclose(scan.geometry.storage.affine, OBLIQUE, atol=1e-4)
    assert any("1 mm³" in w and "15.68 mm³" in w for w in scan.provenance.warnings)


def test_without_a_qform_the_sform_keeps_its_directions_and_pixdim_its_lengths(tmp_path):
    image = nib.Nifti1Image(counting((6, 5, 4)), None)
    image.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), 1)
    image.header.set_zooms((1.5, 1.5, 10.0))
    nib.save(image, tmp_path / "a.nii")
    scan = read_nifti(tmp_path / "a.nii")
    np.testing.assert_allclose(scan.geometry.storage.affine, np.diag([-1.5, -1.5, 10, 1]))
    assert scan.geometry.spacing_mm == pytest.approx((10.0, 1.5, 1.5))


def test_a_degenerate_sform_falls_back_to_the_axes_of_the_patient(tmp_path):
    image = nib.Nifti1Image(counting((6, 5, 4)), None)
    image.set_sform(np.diag([1.5, 0.0, 10.0, 1.0]), 1)
    image.header.set_zooms((1.5, 1.5, 10.0))
    nib.save(image, tmp_path / "a.nii")
    scan = read_nifti(tmp_path / "a.nii")
    np.testing.assert_allclose(scan.geometry.storage.affine, np.diag([1.5, 1.5, 10, 1]))
    assert scan.provenance.warnings


def test_a_small_rounding_difference_is_not_warned_about(tmp_path):
    path = save(tmp_path / "a.nii", counting((6, 5, 4)), OBLIQUE)
    image = nib.load(path)
    image.set_sform(OBLIQUE * 1.001, 1)  # 0.3 % in volume
    nib.save(image, tmp_path / "b.nii")
    assert read_nifti(tmp_path / "b.nii").provenance.warnings == ()


def test_skewed_axes_are_straightened_for_measuring_but_kept_in_the_file(tmp_path):
    sheared = OBLIQUE.copy()
    sheared[:3, 0] += 0.05 * OBLIQUE[:3, 1]  # 2.9 degrees
    image = nib.Nifti1Image(counting((6, 5, 4)), None)
    image.set_sform(sheared, 1)
    image.header.set_zooms((1.4, 1.4, 8.0))
    nib.save(image, tmp_path / "a.nii")
    scan = rewrite(tmp_path / "a.nii", tmp_path / "b.nii")
    directions = scan.geometry.affine[:3, :3] / np.linalg.norm(scan.geometry.affine[:3, :3], axis=0)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-9)
    assert any("2.9°" in w for w in scan.provenance.warnings)
    np.testing.assert_allclose(nib.load(tmp_path / "b.nii").affine, sheared, atol=1e-5)


def test_without_forms_the_size_is_known_and_the_position_is_not(tmp_path):
    affine = np.diag([1.4, 1.4, 8.0, 1.0])
    scan = rewrite(
        save(tmp_path / "a.nii", counting((6, 5, 4)), affine, sform=0, qform=0),
        tmp_path / "b.nii",
    )
    assert scan.geometry.spacing_mm == pytest.approx((8.0, 1.4, 1.4))
    assert scan.geometry.affine is None
    assert "position is unknown" in scan.provenance.warnings[0]
    old, new = nib.load(tmp_path / "a.nii"), nib.load(tmp_path / "b.nii")
    np.testing.assert_allclose(new.affine, old.affine)
    np.testing.assert_array_equal(np.asarray(new.dataobj), np.asarray(old.dataobj))


def test_sizes_in_metres_are_turned_to_millimetres(tmp_path):
    affine = np.diag([0.0014, 0.0014, 0.008, 1.0])
    path = save(tmp_path / "a.nii", counting((6, 5, 4)), affine, units=("meter", "sec"))
    assert read_nifti(path).geometry.spacing_mm == pytest.approx((8.0, 1.4, 1.4), rel=1e-6)


def test_missing_voxel_sizes_are_taken_from_the_sform(tmp_path):
    path = save(tmp_path / "a.nii", counting((6, 5, 4)), OBLIQUE, qform=0)
    raw = bytearray(path.read_bytes())
    raw[80:92] = bytes(12)  # pixdim[1:4]
    path.write_bytes(raw)
    assert read_nifti(path).geometry.spacing_mm == pytest.approx((8.0, 1.4, 1.4), rel=1e-5)


# Time ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unit, dt, expected_ms", [("msec", 40, 40), ("sec", 0.04, 40), ("usec", 40_000, 40)]
)
def test_frame_times_follow_the_headers_unit(tmp_path, unit, dt, expected_ms):
    path = save(tmp_path / "a.nii", counting((6, 5, 4, 20)), OBLIQUE, units=("mm", unit), dt=dt)
    scan = read_nifti(path)
    np.testing.assert_allclose(scan.frame_times_ms, expected_ms * np.arange(20), atol=1e-3)
    assert scan.provenance.warnings == ()


def test_the_time_offset_is_the_time_of_the_first_frame(tmp_path):
    path = save(tmp_path / "a.nii", counting((6, 5, 4, 20)), OBLIQUE, dt=40, toffset=15)
    assert read_nifti(path).frame_times_ms[:2] == pytest.approx([15.0, 55.0])


@pytest.mark.parametrize("unit, dt", [("unknown", 0.04), ("unknown", 40)])
def test_a_missing_time_unit_is_the_one_that_fits_a_heartbeat(tmp_path, unit, dt):
    path = save(tmp_path / "a.nii", counting((6, 5, 4, 20)), OBLIQUE, units=("mm", unit), dt=dt)
    scan = read_nifti(path)
    assert scan.frame_times_ms[1] == pytest.approx(40)
    assert "no time unit" in scan.provenance.warnings[0]


@pytest.mark.parametrize("unit", ["sec", "msec", "unknown", "hz"])
@pytest.mark.parametrize("dt", [0, 1, 7000, np.nan, -40])
def test_an_absurd_frame_interval_is_unknown_and_said_so(tmp_path, unit, dt):
    path = save(tmp_path / "a.nii", counting((6, 5, 4, 25)), OBLIQUE, units=("mm", unit), dt=dt)
    scan = read_nifti(path)
    assert scan.frame_times_ms is None
    assert len(scan.provenance.warnings) == 1 and "unknown" in scan.provenance.warnings[0]


def test_one_frame_has_no_times_and_no_warning(tmp_path):
    scan = read_nifti(save(tmp_path / "a.nii", counting((6, 5, 4, 1)), OBLIQUE, dt=0))
    assert scan.frame_times_ms is None and scan.provenance.warnings == ()


# Shapes, kinds, values -----------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, expected, kind",
    [
        ((6, 5), (1, 1, 5, 6), Kind.IMAGE),
        ((6, 5, 4), (1, 4, 5, 6), Kind.VOLUME),
        ((6, 5, 4, 7), (7, 4, 5, 6), Kind.SHORT_AXIS),
        ((6, 5, 1, 7), (7, 1, 5, 6), Kind.LONG_AXIS),
        ((6, 5, 2, 7), (7, 2, 5, 6), Kind.LONG_AXIS),
        ((6, 5, 4, 1, 7), (7, 4, 5, 6), Kind.SHORT_AXIS),
        ((6, 5, 4, 7, 1), (7, 4, 5, 6), Kind.SHORT_AXIS),
    ],
)
def test_shapes_and_kinds(tmp_path, shape, expected, kind):
    path = save(tmp_path / "Some name.v2.nii.gz", counting(shape), OBLIQUE)
    scan, entry = read_nifti(path), nifti_entry(path)
    assert scan.data.shape == entry.shape == expected
    assert scan.kind == entry.kind == kind
    assert scan.name == entry.name == "Some name.v2"


def test_the_entry_says_what_the_scan_says(tmp_path):
    path = save(tmp_path / "a.nii.gz", counting((6, 5, 4, 20)), OBLIQUE, dt=40)
    entry = nifti_entry(path)
    steps = []
    scan = entry.load(lambda done, total, what: steps.append((done, total)))
    assert entry.spacing_mm == scan.geometry.spacing_mm
    np.testing.assert_array_equal(entry.frame_times_ms, scan.frame_times_ms)
    assert steps[-1] == (1, 1)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 4), (6, 5, 4, 7), (6, 5, 1, 7)])
@pytest.mark.parametrize("sizes", [(-1.4, -1.4, 8), (1.4, 1.4, -1.4), (8, 1.4, 1.4)])
def test_the_thumbnail_shows_the_middle_slice_of_the_first_frame(tmp_path, shape, sizes):
    entry = nifti_entry(save(tmp_path / "a.nii.gz", counting(shape), np.diag([*sizes, 1.0])))
    data = read_nifti(tmp_path / "a.nii.gz").data
    np.testing.assert_array_equal(entry.middle_slice(), data[0, data.shape[1] // 2])


def test_two_long_axes_beyond_space_are_refused(tmp_path):
    path = save(tmp_path / "a.nii", counting((6, 5, 4, 3, 2)), OBLIQUE)
    with pytest.raises(ScanError, match="5 axes"):
        read_nifti(path)


def test_integers_without_scaling_stay_integers(tmp_path):
    scan = read_nifti(save(tmp_path / "a.nii", counting((6, 5, 4)), OBLIQUE))
    assert scan.data.dtype == np.int16 and scan.data.flags.c_contiguous


def test_slope_and_intercept_are_applied_as_nibabel_does(tmp_path):
    image = nib.Nifti1Image(counting((6, 5, 4)), np.diag([-1.4, -1.4, 8, 1]))
    image.header.set_slope_inter(2.5, -100)
    nib.save(image, tmp_path / "a.nii")
    scan = read_nifti(tmp_path / "a.nii")
    assert scan.data.dtype == np.float32
    expected = nib.load(tmp_path / "a.nii").get_fdata().transpose(2, 1, 0)
    np.testing.assert_allclose(scan.data[0], expected)


def test_big_endian_files_become_native(tmp_path):
    image = nib.Nifti1Image(counting((6, 5, 4), ">i2"), np.diag([-1.4, -1.4, 8, 1]))
    nib.save(
        image.__class__(image.dataobj, image.affine, image.header.as_byteswapped(">")),
        tmp_path / "a.nii",
    )
    scan = read_nifti(tmp_path / "a.nii")
    assert scan.data.dtype.isnative
    np.testing.assert_array_equal(scan.data[0].transpose(2, 1, 0), counting((6, 5, 4)))


def test_voxels_that_are_not_numbers_are_set_to_zero_and_counted(tmp_path):
    voxels = counting((6, 5, 4), np.float32)
    voxels[0, 0, :2] = np.nan, np.inf
    scan = read_nifti(save(tmp_path / "a.nii", voxels, OBLIQUE))
    assert np.isfinite(scan.data).all()
    assert scan.provenance.warnings[0].startswith("2 voxels")


# Files that cannot be taken ------------------------------------------------------------


def test_files_cut_short_are_refused_already_when_listed(tmp_path):
    noise = np.random.default_rng(0).integers(0, 999, (64, 64, 4)).astype(np.int16)
    for name in ("a.nii", "a.nii.gz"):
        path = save(tmp_path / name, noise, OBLIQUE)
        path.write_bytes(path.read_bytes()[:-2000])
        for take in (nifti_entry, read_nifti):
            with pytest.raises(ScanError, match=f"{name} .*cut short"):
                take(path)


def test_damage_inside_a_compressed_file_is_a_sentence(tmp_path):
    noise = np.random.default_rng(0).integers(0, 999, (64, 64, 4)).astype(np.int16)
    path = save(tmp_path / "a.nii.gz", noise, OBLIQUE)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 500] = bytes(500)
    path.write_bytes(raw)
    with pytest.raises(ScanError, match="damaged"):
        read_nifti(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 400, gzip.compress(b"x" * 999)])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_is_no_nifti_is_refused(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScanError, match=r"cannot be read as NIfTI|no voxels"):
        read_nifti(tmp_path / name)


def test_colour_files_and_missing_files_are_refused(tmp_path):
    colours = np.zeros((6, 5, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, OBLIQUE), tmp_path / "a.nii")
    with pytest.raises(ScanError, match="colours"):
        read_nifti(tmp_path / "a.nii")
    with pytest.raises(ScanError, match="does not exist"):
        read_nifti(tmp_path / "b.nii")


def test_a_header_that_nibabel_mends_is_read_without_a_word_on_standard_error(tmp_path):
    """In a process of its own: nibabel's log writes to the stream that it was imported with."""
    path = tmp_path / "negative.nii"
    nib.save(nib.Nifti1Image(np.ones((4, 5, 6), np.int16), np.diag([1.5, 1.5, 8, 1])), path)
    content = bytearray(path.read_bytes())
    content[80:84] = np.float32(-1.5).tobytes()  # pixdim[1]
    path.write_bytes(content)
    code = (
        "import sys; from napari_cardioxai.scans.nifti import read_nifti; read_nifti(sys.argv[1])"
    )
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert run.stderr == b""
