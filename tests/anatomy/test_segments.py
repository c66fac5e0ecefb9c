from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.segments import (
    AHA_NAMES,
    APICAL,
    BASAL,
    MID,
    RAYS,
    aha_segments,
    find_reference,
    find_rings,
    four_segments,
    six_segments,
)
from napari_cardioxai.anatomy.walls import wall_thickness
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.scans.geometry import Geometry

PIXEL = 1.0
SIZE = 96
# Anterior, anteroseptal, inferoseptal, inferior, inferolateral, anterolateral.
WALL_MM = (6.0, 7.0, 8.0, 9.0, 10.0, 11.0)


def heart_slice(*, septum_deg=160.0, radius=20.0, turn=1, rv=True, walls=WALL_MM):
    """One short-axis slice with six walls of known thickness.

    `septum_deg` is counted from right towards down. In array coordinates the
    anterior wall lies at septum + turn * 90 degrees.
    """
    y, x = (np.indices((SIZE, SIZE)) - (SIZE - 1) / 2) * PIXEL
    r, phi = np.hypot(y, x), np.rad2deg(np.arctan2(y, x))
    theta = (turn * (phi - septum_deg) + 180) % 360 - 180
    segment = ((120 - theta) % 360 // 60).astype(int)
    epi = radius + np.array(walls)[segment]
    labels = np.zeros((SIZE, SIZE), np.uint8)
    if rv:
        labels[(np.abs(theta) < 66) & (r < epi + 14)] = 3
    labels[r < epi] = 2
    labels[r < radius] = 1
    return labels


def affine_of(*, anterior_is_up=True, base_first=True):
    """Picture right = patient left; up = front (and a bit of head); slices along the third."""
    x = np.array([-1.0, 0, 0])
    y = np.array([0, -0.9, -0.435]) if anterior_is_up else np.array([0, 0.9, 0.435])
    z = np.array([-0.3, 0.4, -0.86]) if base_first else -np.array([-0.3, 0.4, -0.86])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = x * PIXEL, y * PIXEL, z * 8.0
    return affine


def stack(radii=(24, 24, 23, 21, 18, 14), **more):
    """Slices from base to apex."""
    return np.stack([heart_slice(radius=r, **more) for r in radii])


GEOMETRY = Geometry((8.0, PIXEL, PIXEL), affine_of())


def thickness(labels, geometry):
    return wall_thickness(Labels(labels[None], geometry), ed_frame=0)


def test_each_wall_gets_its_own_name():
    found = thickness(stack(), GEOMETRY)
    for slice_mm in found.segment_mm[0]:
        assert slice_mm == pytest.approx(WALL_MM, abs=0.35)
    for number, mm in enumerate((*WALL_MM, *WALL_MM), start=1):
        assert found.aha_mm[0, number - 1] == pytest.approx(mm, abs=0.3), AHA_NAMES[number - 1]


def test_apical_segments_are_four_of_90_degrees():
    # Each is the mean of what its 90 degrees hold of the scene's 60-degree walls.
    apical = thickness(stack(), GEOMETRY).aha_mm[0, 12:16]
    anterior = (60 * 6 + 15 * 7 + 15 * 11) / 90
    septal, inferior = (7 + 8) / 2, (60 * 9 + 15 * 8 + 15 * 10) / 90
    lateral = (10 + 11) / 2
    assert apical == pytest.approx([anterior, septal, inferior, lateral], abs=0.35)


def test_the_apex_is_unknown_not_zero():
    assert np.isnan(thickness(stack(), GEOMETRY).aha_mm[0, 16])


@pytest.mark.parametrize("septum_deg", [120.0, 160.0, 200.0, 240.0])
def test_a_rotated_heart_keeps_its_names(septum_deg):
    found = thickness(stack(septum_deg=septum_deg), GEOMETRY)
    assert found.segment_mm[0, 1] == pytest.approx(WALL_MM, abs=0.35)
    middle = np.rad2deg(found.reference.septum_rad)
    assert middle == pytest.approx(np.full(6, septum_deg), abs=2.5)
    assert found.reference.contact_deg == pytest.approx(np.full(6, 132.0), abs=7)


def flipped(labels, geometry, axis):
    """The same anatomy stored with one axis reversed; the affine follows."""
    column = {0: 2, 1: 1, 2: 0}[axis]
    affine = geometry.affine.copy()
    affine[:3, 3] += affine[:3, column] * (labels.shape[axis] - 1)
    affine[:3, column] *= -1
    return np.flip(labels, axis), replace(geometry, affine=affine)


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["slices reversed", "upside down", "mirrored"])
def test_storage_order_does_not_rename_segments(axis):
    plain = thickness(stack(), GEOMETRY)
    other = thickness(*flipped(stack(), GEOMETRY, axis))
    assert other.aha_mm == pytest.approx(plain.aha_mm, abs=0.25, nan_ok=True)
    by_slice = other.segment_mm[:, ::-1] if axis == 0 else other.segment_mm
    assert by_slice == pytest.approx(plain.segment_mm, abs=0.25)
    assert other.rings.base_first == (axis != 0)


def test_a_mirrored_picture_without_its_affine_would_swap_anterior_and_inferior():
    """What the patient coordinates are for: the same array, told that up is the back."""
    turned = Geometry((8.0, PIXEL, PIXEL), affine_of(anterior_is_up=False))
    found = thickness(stack(), turned).segment_mm[0, 0]
    assert found[[0, 3]] == pytest.approx([9.0, 6.0], abs=0.35)


def test_without_an_orientation_the_upper_insertion_is_anterior_and_that_is_said():
    found = thickness(stack(), Geometry((8.0, PIXEL, PIXEL)))
    assert found.segment_mm[0, 0] == pytest.approx(WALL_MM, abs=0.35)
    assert any("orientation of the pictures is unknown" in note for note in found.notes)


def test_insertions_lie_where_the_right_ventricle_ends():
    reference = find_reference(stack(), GEOMETRY)
    # The scene's ventricle ends 66 degrees on both sides of 160; 226 is up (-y), 94 is down.
    assert np.rad2deg(reference.insertions_rad(2)) == pytest.approx((226, 94), abs=4)


def test_a_slice_without_right_ventricle_borrows_its_neighbour_and_says_so():
    labels = stack()
    labels[5] = heart_slice(radius=14, rv=False)
    found = thickness(labels, GEOMETRY)
    assert found.reference.borrowed.tolist() == [False] * 5 + [True]
    assert found.segment_mm[0, 5] == pytest.approx(WALL_MM, abs=0.45)
    assert any("septum of the nearest one: 6." in note for note in found.notes)


def test_a_right_ventricle_cut_by_the_valve_plane_does_not_turn_the_segments():
    labels = stack()
    y, _ = np.indices((SIZE, SIZE))
    labels[0][(labels[0] == 3) & (y > 45)] = 0  # only its upper half is left
    found = thickness(labels, GEOMETRY)
    assert found.reference.borrowed[0]
    assert found.segment_mm[0, 0] == pytest.approx(WALL_MM, abs=0.35)


def test_labels_without_right_ventricle_have_no_segments():
    with pytest.raises(MeasurementError, match="right ventricle"):
        find_reference(stack(rv=False), GEOMETRY)


def test_thirds_go_by_position_from_the_base():
    labels = stack(radii=(26, 25, 24, 22, 20, 18, 16, 13, 10))
    rings = find_rings(labels, GEOMETRY)
    assert rings.ring.tolist() == [BASAL] * 3 + [MID] * 3 + [APICAL] * 3
    turned = replace(GEOMETRY, affine=affine_of(base_first=False))
    assert find_rings(labels[::-1], turned).ring.tolist() == [APICAL] * 3 + [MID] * 3 + [BASAL] * 3


def test_slices_without_cavity_are_no_ring_and_unequal_gaps_count_by_their_length():
    labels = np.concatenate([np.zeros((1, SIZE, SIZE), np.uint8), stack(radii=(24, 22, 20, 16))])
    assert find_rings(labels, GEOMETRY).ring.tolist() == [-1, BASAL, MID, MID, APICAL]
    # Lengths 8, 8, 24 and 40 mm: their middles lie at 5, 15, 35 and 75 % of the 80 mm.
    gaps = replace(GEOMETRY, slice_positions_mm=(0.0, 8.0, 16.0, 24.0, 64.0))
    assert find_rings(labels, gaps).ring.tolist() == [-1, BASAL, BASAL, MID, APICAL]


@pytest.mark.parametrize("base_first", [True, False])
def test_where_both_ends_are_alike_the_patient_tells_the_base(base_first):
    geometry = replace(GEOMETRY, affine=affine_of(base_first=base_first))
    assert find_rings(stack(radii=(22, 22, 22)), geometry).base_first == base_first


def test_segment_means_need_three_quarters_of_their_rays():
    rays = np.repeat(np.arange(1.0, 7), RAYS // 6)
    assert six_segments(rays) == pytest.approx([1, 2, 3, 4, 5, 6])
    rays[:5] = np.nan  # 15 of 20 are left
    assert six_segments(rays)[0] == 1
    rays[5] = np.nan
    assert np.isnan(six_segments(rays)[0]) and six_segments(rays)[1] == 2


def test_four_segments_start_15_degrees_earlier():
    # 3-degree rays: the anterior 90 degrees hold 5 of segment 6, 20 of 1 and 5 of 2.
    rays = np.repeat([6.0, 12, 12, 12, 12, 36], RAYS // 6)
    anterior = (5 * 36 + 20 * 6 + 5 * 12) / 30
    lateral = (15 * 12 + 15 * 36) / 30
    assert four_segments(rays) == pytest.approx([anterior, 12, 12, lateral])


def test_aha_means_leave_out_what_lies_beside_an_opening():
    rings = find_rings(stack(radii=(26, 24, 22, 20, 16, 12)), GEOMETRY)
    rays = np.full((6, RAYS), 10.0)
    rays[0] = rays[1] = 8.0
    rays[0, :20] = np.nan  # the anterior wall of slice 0 is open
    rays[0, 20:40] = 1.0  # and next to it shaved off
    found = aha_segments(rays, rings)
    assert found[:6] == pytest.approx(np.full(6, 8.0))
    assert found[6:16] == pytest.approx(np.full(10, 10.0))
