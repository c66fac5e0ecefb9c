from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_cardioxai.anatomy.label_files import read_labels, write_labels
from napari_cardioxai.anatomy.labels import ACDC, Labels
from napari_cardioxai.anatomy.volumes import volume_curve_ml
from napari_cardioxai.errors import LabelError, ScanError
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import read_nifti
from napari_cardioxai.scans.scan import Provenance, Scan
from tests.shared_data import shared_data

AFFINE = np.array([[0, -1.4, 0, 90], [1.4, 0, 0, -60], [0, 0, 8, -40], [0, 0, 0, 1.0]])


def heart_ijk(*, lv=1, myo=2, rv=3, slices=5, frames=1):
    """(i, j, k[, t]) labels, not symmetric in any axis, growing with k and t."""
    i, j = np.mgrid[:48, :40]
    volume = np.zeros((48, 40, slices, frames), np.int16)
    for k in range(slices):
        for t in range(frames):
            radius, at = 5 + k + t, np.hypot(i - 26, j - 19)
            volume[13 - t : 24, 12:24, k, t] = rv
            volume[..., k, t][at < radius + 3] = myo
            volume[..., k, t][at < radius] = lv
    return volume if frames > 1 else volume[..., 0]


def save(path, voxels, affine=AFFINE):
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm", "msec")
    if voxels.ndim == 4:
        image.header["pixdim"][4] = 200
    nib.save(image, path)
    return path


def scan_of(tmp_path, voxels, affine=AFFINE):
    return read_nifti(save(tmp_path / "scan.nii.gz", voxels.astype(np.int16), affine))


# Values ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64, np.uint16])
def test_whole_numbers_of_any_type_become_the_three_values(tmp_path, dtype):
    ours = read_labels(save(tmp_path / "a.nii.gz", heart_ijk()))
    acdc = read_labels(save(tmp_path / "b.nii.gz", heart_ijk(lv=3, myo=2, rv=1).astype(dtype)))
    assert acdc.data.dtype == np.uint8
    np.testing.assert_array_equal(acdc.data, ours.data)
    assert any("ACDC" in note for note in acdc.notes)


def test_a_scheme_given_overrules_what_the_shapes_say(tmp_path):
    path = save(tmp_path / "a.nii", heart_ijk())
    labels = read_labels(path, scheme=ACDC)
    assert np.count_nonzero(labels.data == 3) == np.count_nonzero(heart_ijk() == 1)
    assert not any("recognised" in note for note in labels.notes)


def test_our_own_files_are_not_second_guessed(tmp_path):
    """Half a correction may look like another scheme; what we wrote, we know."""
    data = heart_ijk(lv=3, myo=2, rv=1).transpose(2, 1, 0)[None].astype(np.uint8)
    labels = Labels(data, Geometry((8.0, 1.4, 1.4), np.diag([-1.4, -1.4, 8.0, 1.0])))
    write_labels(tmp_path / "a.nii.gz", labels)
    again = read_labels(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(again.data, data)
    assert again.notes == ()


def test_values_outside_the_scheme_given_are_named(tmp_path):
    with pytest.raises(LabelError, match="Label value 4 "):
        read_labels(save(tmp_path / "a.nii", heart_ijk(rv=4)), scheme=ACDC)


def test_values_that_nobody_named_are_refused(tmp_path):
    voxels = heart_ijk()
    voxels[0, 0, :2] = 9, -3
    with pytest.raises(LabelError, match="Label values -3, 9 "):
        read_labels(save(tmp_path / "a.nii", voxels))


def test_fractions_are_refused(tmp_path):
    with pytest.raises(LabelError, match="fractions"):
        read_labels(save(tmp_path / "a.nii", heart_ijk() * np.float32(0.5)))


# Files ----------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 4])
def test_labels_come_back_as_they_were_written(tmp_path, frames):
    source = save(tmp_path / "a.nii.gz", heart_ijk(frames=frames))
    labels = read_labels(source)
    write_labels(tmp_path / "b.nii.gz", labels)
    again = read_labels(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(again.data, labels.data)
    old, new = nib.load(source), nib.load(tmp_path / "b.nii.gz")
    np.testing.assert_allclose(new.affine, old.affine, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(new.dataobj), np.asarray(old.dataobj))
    if frames > 1:
        np.testing.assert_allclose(again.frame_times_ms, [0, 200, 400, 600])


def test_a_png_holds_one_slice_of_labels(tmp_path):
    data = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4) % 4
    write_labels(tmp_path / "a.png", Labels(data, Geometry(None)))
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "a.png")), data[0, 0])
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").data, data)
    with pytest.raises(LabelError, match="one slice"):
        write_labels(tmp_path / "a.png", Labels(np.repeat(data, 2, axis=1), Geometry(None)))


def test_palette_grey_and_black_and_white_pngs_are_read(tmp_path):
    mask = np.zeros((6, 7), np.uint8)
    mask[2:4, 3:5] = 1
    palette = Image.fromarray(mask).convert("P")
    palette.putdata(mask.ravel().tolist())
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "palette.png")
    Image.fromarray(mask * 255).save(tmp_path / "mask.png")
    Image.fromarray(mask * 255).convert("1").save(tmp_path / "bits.png")
    Image.fromarray(np.stack([mask * 255] * 3, axis=-1)).save(tmp_path / "rgb.png")
    for name in ("palette", "mask", "bits", "rgb"):
        np.testing.assert_array_equal(read_labels(tmp_path / f"{name}.png").data[0, 0], mask)


def test_pictures_in_colour_are_refused(tmp_path):
    picture = np.zeros((6, 7, 3), np.uint8)
    picture[..., 0] = 200
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(LabelError, match="colour"):
        read_labels(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.nii.gz", "a.txt"])
def test_what_is_no_label_file_is_refused_in_a_sentence(tmp_path, name):
    with pytest.raises((LabelError, ScanError), match=r"does not exist|NIfTI"):
        read_labels(tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises((LabelError, ScanError), match=r"a\.(png|nii\.gz|txt)"):
        read_labels(tmp_path / name)


# Onto a scan -------------------------------------------------------------------------


def test_labels_on_the_scans_grid_take_its_geometry_and_times(tmp_path):
    scan = scan_of(tmp_path, heart_ijk(frames=4))
    labels = read_labels(save(tmp_path / "a.nii", heart_ijk(frames=4)), scan=scan)
    np.testing.assert_array_equal(labels.data, scan.data)
    assert labels.geometry is scan.geometry
    np.testing.assert_array_equal(labels.frame_times_ms, scan.frame_times_ms)


def test_labels_saved_in_another_axis_order_find_their_place(tmp_path):
    scan = scan_of(tmp_path, heart_ijk())
    turned = nib.Nifti1Image(heart_ijk(), AFFINE).as_reoriented(
        np.array([[2, -1], [0, 1], [1, -1]])
    )
    nib.save(turned, tmp_path / "a.nii")
    labels = read_labels(tmp_path / "a.nii", scan=scan)
    np.testing.assert_array_equal(labels.data, scan.data)
    assert not any("brought" in note for note in labels.notes)


def test_labels_of_a_dicom_scan_come_back_in_its_order(tmp_path):
    """Such a scan has no file order, and reading alone may turn its labels."""
    data = heart_ijk().transpose(2, 1, 0)[None]
    upside_down = np.diag([1.4, 1.4, 8.0, 1.0])
    scan = Scan(data, Geometry((8.0, 1.4, 1.4), upside_down), Provenance(Path()))
    write_labels(tmp_path / "a.nii.gz", Labels(data.astype(np.uint8), scan.geometry))
    assert not np.array_equal(read_labels(tmp_path / "a.nii.gz").data, data)
    labels = read_labels(tmp_path / "a.nii.gz", scan=scan)
    np.testing.assert_array_equal(labels.data, data)
    assert labels.notes == ()


def test_a_stack_with_more_slices_lines_up_through_the_positions(tmp_path):
    voxels = heart_ijk(slices=7)
    higher = AFFINE.copy()
    higher[:3, 3] += 2 * AFFINE[:3, 2]
    scan = scan_of(tmp_path, voxels[..., 2:6], higher)
    labels = read_labels(save(tmp_path / "a.nii", voxels), scan=scan)
    np.testing.assert_array_equal(labels.data, scan.data)
    inside = np.count_nonzero(voxels[..., 2:6]) / np.count_nonzero(voxels)
    assert any(f"{inside:.0%} of the labelled" in note for note in labels.notes)


def test_labels_without_the_scans_position_are_laid_on_it_voxel_by_voxel(tmp_path):
    scan = scan_of(tmp_path, heart_ijk())
    labels = read_labels(save(tmp_path / "a.nii", heart_ijk(), np.eye(4)), scan=scan)
    np.testing.assert_array_equal(labels.data, scan.data)
    assert any("voxel by voxel" in note for note in labels.notes)


def test_labels_of_another_shape_elsewhere_are_refused_with_both_shapes(tmp_path):
    scan = scan_of(tmp_path, heart_ijk())
    far = AFFINE.copy()
    far[:3, 3] += 5000
    path = save(tmp_path / "a.nii", heart_ijk(slices=6), far)
    with pytest.raises(LabelError, match=r"6 x .* 5 x "):
        read_labels(path, scan=scan)


def test_a_png_of_another_size_is_refused(tmp_path):
    scan = Scan(np.zeros((1, 1, 5, 6)), Geometry(None), Provenance(Path()))
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(LabelError, match=r"1 x 5 x 7 .* 1 x 5 x 6"):
        read_labels(tmp_path / "a.png", scan=scan)


def test_another_number_of_frames_is_refused_but_one_frame_is_told(tmp_path):
    scan = scan_of(tmp_path, heart_ijk(frames=4))
    with pytest.raises(LabelError, match="3 frames and the scan has 4"):
        read_labels(save(tmp_path / "a.nii", heart_ijk(frames=3)), scan=scan)
    labels = read_labels(save(tmp_path / "b.nii", heart_ijk()), scan=scan)
    assert labels.frame_times_ms is None
    assert any("one frame, the scan 4" in note for note in labels.notes)


def test_unequal_gaps_of_the_scan_are_used_for_volumes(tmp_path):
    data = np.ones((1, 3, 10, 10), np.uint8)
    geometry = Geometry((8.0, 1.4, 1.4), AFFINE, slice_positions_mm=(0.0, 8.0, 20.0))
    write_labels(tmp_path / "a.nii.gz", Labels(data, geometry))
    expected = 100 * 1.4 * 1.4 * (8 + 10 + 12) / 1000
    assert volume_curve_ml(read_labels(tmp_path / "a.nii.gz")) == pytest.approx([expected])


# Real labels ----------------------------------------------------------------------------


@pytest.fixture(params=["A", "B", "C"])
def real_case(request):
    return shared_data("sax-ed-lv-myo-rv", request.param)


def test_real_labels_with_rv_4_are_recognised_and_brought_onto_their_scan(real_case):
    scan = read_nifti(real_case / "sa_ED.nii.gz")
    labels = read_labels(real_case / "seg_sa_ED.nii.gz", scan=scan)
    assert any("UK Biobank, RV 4" in note for note in labels.notes)
    assert labels.data.shape == scan.data.shape
    image, stored = (nib.load(real_case / name) for name in ("sa_ED.nii.gz", "seg_sa_ED.nii.gz"))
    values = np.asarray(stored.dataobj)
    voxel_ml = abs(np.linalg.det(stored.affine[:3, :3])) / 1000
    for ours, theirs in ((1, 1), (2, 2), (3, 4)):
        expected = np.count_nonzero(values == theirs) * voxel_ml
        assert volume_curve_ml(labels, ours) == pytest.approx([expected], rel=1e-4)
    # One labelled voxel, followed by hand through both affines.
    i, j, k = np.argwhere(values[..., 0] == 4)[17]
    at = np.linalg.inv(image.affine) @ stored.affine @ [i, j, k, 1]
    storage = scan.geometry.storage
    index = [round(at[axis]) for axis in storage.axes]
    index = [
        n - 1 - v if flip else v
        for v, n, flip in zip(index, scan.data.shape[1:], storage.flipped, strict=True)
    ]
    assert labels.data[(0, *index)] == 3
