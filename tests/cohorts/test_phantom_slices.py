import numpy as np
import torch

from napari_cardioxai.cohorts.phantom_slices import (
    PhantomSlices,
    _chosen,
    _leave_out_merged,
    draw_pictures,
)


def test_pictures_hold_three_structures_each_in_its_place():
    pictures = draw_pictures(seed=1, index=0)
    labels = np.concatenate([label.ravel() for _, label, _ in pictures])
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    image, label, pixel_mm = max(pictures, key=lambda p: (p[1] == 1).sum())
    assert image.shape == label.shape and 0.9 <= pixel_mm <= 1.9
    assert image[label == 1].mean() > image[label == 2].mean(), "blood is brighter than muscle"


def test_one_slice_lies_beyond_the_heart():
    pictures = draw_pictures(seed=1, index=3)
    empty = [not label.any() for _, label, _ in pictures]
    assert 0 < sum(empty) < len(empty) / 2


def test_the_same_drawing_gives_the_same_pictures_and_another_gives_others():
    first, again, other = (PhantomSlices(12, seed=4) for _ in range(3))
    first.draw(0)
    again.draw(0)
    other.draw(1)
    item = first[3]
    assert torch.equal(item["image"], again[3]["image"])
    assert torch.equal(item["label"], again[3]["label"])
    assert item["image"].shape != other[3]["image"].shape or not torch.equal(
        item["image"], other[3]["image"]
    )
    assert item["known"].all()


def test_the_slice_on_the_base_is_left_to_the_readers():
    has_heart = np.array([False, True, True, True, False, False])
    shown = [_chosen(has_heart, np.random.default_rng(seed)) for seed in range(20)]
    assert all({1, 2, 3} < set(slices) and 4 not in slices for slices in shown)
    assert {slices[-1] for slices in shown} == {0, 5}


def test_a_papillary_muscle_is_cavity_in_blood_and_wall_where_none_is_behind_it():
    yy, xx = np.mgrid[:40, :40]
    labels = np.zeros((1, 1, 40, 40), np.uint8)
    labels[0, 0][np.hypot(yy - 20, xx - 20) < 17] = 2
    labels[0, 0][np.hypot(yy - 20, xx - 20) < 12] = 1
    standing = np.hypot(yy - 20, xx - 14) < 3
    merged = xx > 24  # a quarter of the cavity pressed against the wall
    before = labels.copy()
    _leave_out_merged(labels, (standing | merged)[None, None])
    assert (labels[0, 0][standing] == 1).all()
    assert (labels[0, 0][merged & (before[0, 0] == 1)] == 2).all()
    assert np.array_equal(labels[0, 0][~merged], before[0, 0][~merged])
