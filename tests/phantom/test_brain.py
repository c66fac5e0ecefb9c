from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_cardioxai.phantom.brain import (
    BRAINS,
    FLUID,
    MIRROR,
    BrainSpec,
    draw_brain,
    label_map_files,
    read_label_map,
    spread_over,
)
from napari_cardioxai.phantom.brain_image import render_brain
from napari_cardioxai.phantom.volume_curve import PhantomError
from tests.phantom.brain_maps import SHAPE, a_label_map, write_label_map
from tests.shared_data import shared_data

SPEC = BrainSpec(size=(64, 72, 64))


@pytest.fixture(scope="module")
def maps():
    return [a_label_map(), a_label_map(hippocampus_voxels=500)]


@pytest.fixture(scope="module")
def severe(maps):
    return draw_brain(SPEC, maps, seed=3, index=2)


def test_the_same_seed_and_index_give_the_same_brain_to_the_bit(maps, severe):
    again = draw_brain(SPEC, maps, seed=3, index=2)
    assert (again.labels == severe.labels).all() and (again.lost == severe.lost).all()
    image = render_brain(severe, SPEC, seed=3, index=2)
    assert (render_brain(again, SPEC, seed=3, index=2) == image).all()
    other = draw_brain(SPEC, maps, seed=4, index=2)
    assert (other.labels != severe.labels).any()


def test_levels_take_turns_and_every_level_sees_every_map(maps):
    drawn = [draw_brain(SPEC, maps, seed=0, index=k) for k in range(6)]
    assert [(b.level, b.base) for b in drawn] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    for brain in drawn:
        low, high = SPEC.levels[brain.level][1:]
        for side in ("left", "right"):
            share = 100 * (1 - brain.left_ml[side] / brain.healthy_ml[side])
            assert low - 0.2 <= share <= high + 0.2


def test_volumes_are_those_of_the_labels_and_the_truth(severe):
    assert severe.left_ml["left"] == pytest.approx((severe.labels == 17).sum() * 1.5**3 / 1000)
    assert severe.left_ml["right"] == pytest.approx((severe.labels == 53).sum() * 1.5**3 / 1000)
    lost = sum(severe.healthy_ml.values()) - sum(severe.left_ml.values())
    assert severe.lost.sum() * 1.5**3 / 1000 == pytest.approx(lost)


def test_small_and_large_hippocampi_of_the_maps_become_alike_first(maps):
    """Of 500 and 1000 voxels in the maps, both within three deviations of 3.6 mL."""
    for index in (0, 3):
        brain = draw_brain(SPEC, maps, seed=1, index=index)
        for volume in brain.healthy_ml.values():
            assert volume == pytest.approx(3.6, abs=0.5)


def test_what_went_was_next_to_the_border_and_became_fluid_or_white_matter(severe):
    assert np.isin(severe.labels[severe.lost], (*FLUID, 2, 41)).all()
    assert np.isin(severe.labels[severe.lost], FLUID).mean() > 0.5
    before = severe.lost | np.isin(severe.labels, (17, 53))
    depth = ndimage.distance_transform_edt(before)
    assert depth[severe.lost].mean() < 0.6 * depth[before & ~severe.lost].mean()


def test_the_normal_level_loses_nothing(maps):
    brain = draw_brain(SPEC, maps, seed=0, index=0)
    assert not brain.lost.any()
    assert brain.left_ml == brain.healthy_ml


def test_one_sided_loss_leaves_the_other_side_whole(maps):
    spec = replace(SPEC, one_sided=True)
    sides = set()
    for seed in range(6):
        brain = draw_brain(spec, maps, seed=seed, index=2)
        whole = [s for s in ("left", "right") if brain.left_ml[s] == brain.healthy_ml[s]]
        assert len(whole) == 1
        sides.update(whole)
        # x grows to the left: the lost part lies on the side that lost.
        x = np.nonzero(brain.lost)[2].mean()
        assert (x > SPEC.size[2] / 2) == (whole == ["right"])
    assert sides == {"left", "right"}


def test_the_skull_is_gone_and_nothing_else(severe):
    assert severe.labels.max() < 500
    assert {2, 3, 4, 5, 17, 24, 41, 42, 43, 44, 53} <= set(np.unique(severe.labels).tolist())
    inside = (severe.labels > 0).sum()
    expected = (a_label_map() % 507 > 0).sum()
    assert inside == pytest.approx(expected, rel=0.35)


def test_mirrored_structures_are_their_counterparts():
    pairs = {2: 41, 3: 42, 4: 43, 5: 44, 7: 46, 8: 47, 10: 49, 17: 53, 18: 54, 28: 60}
    assert pairs.items() <= MIRROR.items()
    assert not set(MIRROR) & set(MIRROR.values())


def test_tissues_have_their_order_and_borders_are_mixed(severe):
    image = render_brain(severe, SPEC, seed=3, index=2).astype(float)

    def median(*labels):
        mask = ndimage.binary_erosion(np.isin(severe.labels, labels))
        return np.median(image[mask])

    assert median(4, 5, 43, 44) < 0.6 * median(17, 53) < median(17, 53) < median(2, 41)
    assert (image[severe.labels == 0] == 0).all()
    horn = np.isin(severe.labels, (5, 44))
    edge = horn & ndimage.binary_dilation(severe.labels == 2)
    core = ndimage.binary_erosion(horn)
    assert np.median(image[core]) < np.median(image[edge]) < median(2, 41)


def test_every_subject_has_a_contrast_of_its_own(maps):
    ratios = []
    for index in (2, 5, 8, 11):
        brain = draw_brain(SPEC, maps, seed=0, index=index)
        image = render_brain(brain, SPEC, seed=0, index=index)
        white, grey = (np.median(image[np.isin(brain.labels, pair)]) for pair in ((2, 41), (3, 42)))
        ratios.append(grey / white)
    assert np.ptp(ratios) > 0.03


def test_splines_over_a_grid_keep_polynomials():
    """A cubic through its knots is that cubic."""
    knots = np.arange(6.0)[:, None, None] ** 3 * np.ones((1, 4, 4))
    position = np.linspace(0, 5, 33)
    spread = spread_over(knots, (33, 5, 7))
    np.testing.assert_allclose(spread[:, 2, 3], position**3, atol=1e-4)


def test_maps_are_read_back_and_what_they_lack_is_said(tmp_path):
    labels = a_label_map()
    write_label_map(tmp_path / "map.nii.gz", labels)
    (file,) = label_map_files(tmp_path)
    assert (read_label_map(file) == labels).all()
    write_label_map(tmp_path / "bad.nii.gz", np.where(labels == 53, 0, labels))
    with pytest.raises(PhantomError, match=r"bad\.nii\.gz has no right hippocampus, label 53"):
        read_label_map(tmp_path / "bad.nii.gz")
    with pytest.raises(PhantomError, match="has no NIfTI files"):
        label_map_files(tmp_path / "nothing")
    assert labels.shape == SHAPE


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"levels": (("a", 5.0, 2.0),)}, "cannot lose"),
        ({"levels": (("a", 0.0, 2.0), ("a", 3.0, 4.0))}, "name of its own"),
        ({"size": (16, 64, 64)}, "32 voxels or more"),
    ],
)
def test_specifications_that_make_no_brains_are_refused(changes, said):
    with pytest.raises(PhantomError, match=said):
        BrainSpec(**changes)


@pytest.mark.slow
def test_a_brain_of_a_real_map_is_whole_and_has_its_loss():
    folder = shared_data("brain-label-maps-1.5mm")
    maps = [read_label_map(label_map_files(folder)[0])]
    brain = draw_brain(BRAINS["brain"], maps, seed=0, index=2)
    cerebrum = np.isin(brain.labels, (2, 3, 41, 42))
    for axis in range(3):
        ends = np.flatnonzero(cerebrum.any(tuple(k for k in range(3) if k != axis)))[[0, -1]]
        assert ends[0] > 0 and ends[1] < cerebrum.shape[axis] - 1
    # A hippocampus of 1.7 to 2.4 mL was brought to a healthy one and then lost a third.
    for side in ("left", "right"):
        assert brain.healthy_ml[side] == pytest.approx(3.6, abs=0.5)
        assert 0.3 < 1 - brain.left_ml[side] / brain.healthy_ml[side] < 0.42
