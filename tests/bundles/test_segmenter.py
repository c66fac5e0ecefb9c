import numpy as np
import pytest
import torch
from torch import nn

from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.progress import Cancelled
from tests.bundles.test_bundle import a_card


class Threshold(nn.Module):
    """Channel 1 wherever the normalised intensity is above one half: a network known exactly."""

    def __init__(self):
        super().__init__()
        self.batches: list[int] = []

    def forward(self, x):
        self.batches.append(len(x))
        return torch.cat([torch.full_like(x, 0.5), x], 1)


def a_segmenter(network=None, **card) -> Segmenter:
    return Segmenter(a_card(**card), network or Threshold(), "cpu", [])


def a_cine(t=3, z=4, side=64):
    """A bright disc of radius 10 whose centre drifts with the slice, on noise-free dark ground."""
    yy, xx = np.mgrid[:side, :side]
    cine = np.zeros((t, z, side, side), np.int16)
    for k in range(z):
        cine[:, k][:, (yy - 30) ** 2 + (xx - 28 - k) ** 2 <= 100] = 900
    return cine


def test_every_voxel_of_a_known_network_comes_back_on_the_grid_of_the_scan():
    cine = a_cine()
    labels = a_segmenter().label(cine)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, (cine > 0).astype(np.uint8))


def test_slices_of_another_pixel_size_are_labelled_on_their_own_grid():
    cine = a_cine(t=1, z=1, side=63)
    labels = a_segmenter().label(cine, spacing_mm=(8.0, 2.0, 2.0))
    assert labels.shape == cine.shape
    truth = cine > 0
    overlap = 2 * (truth & (labels > 0)).sum() / (truth.sum() + (labels > 0).sum())
    assert overlap > 0.95


def test_the_heart_is_found_by_its_motion_away_from_the_middle():
    cine = np.zeros((8, 2, 128, 128), np.int16)
    yy, xx = np.mgrid[:128, :128]
    for t in range(8):
        cine[t, :, (yy - 40) ** 2 + (xx - 84) ** 2 <= (10 + t % 4) ** 2] = 900
    cine[:, :, 100:120, 10:30] = 900  # bright, but still
    labels = a_segmenter(region=64).label(cine)
    assert labels[:, :, 40, 84].all()
    assert not labels[:, :, 110, 20].any(), "outside the square around the heart"


def test_channels_become_the_structures_of_the_card():
    labels = a_segmenter(structures={1: 3}).label(a_cine())
    assert set(np.unique(labels)) == {0, 3}


class UpperHalf(nn.Module):
    """Sure of the upper half of every picture, unsure of the lower one."""

    def forward(self, x):
        rows = torch.linspace(1.5, -1.0, x.shape[2])[:, None].expand_as(x)
        return torch.cat([torch.zeros_like(x), rows], 1)


@pytest.mark.parametrize("views", [1, 2])
def test_the_card_says_from_how_many_sides_a_picture_is_looked_at(views):
    labels = a_segmenter(UpperHalf(), views=views, region=64).label(a_cine(t=1, z=1))[0, 0]
    rows = np.flatnonzero(labels.any(1))
    # The line falls through zero three fifths down; with its half turn it is symmetric.
    assert rows[0] == 0
    assert rows[-1] == (37 if views == 1 else 63)


def test_progress_counts_pictures_and_a_cancel_comes_through():
    seen = []

    def on_progress(done, total, what):
        seen.append((done, total))
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        a_segmenter().label(a_cine(t=10, z=5), on_progress=on_progress)
    assert seen == [(0, 50), (10, 50)], "after the first slice"


def test_short_memory_halves_the_batch_and_says_so():
    class Short(Threshold):
        def forward(self, x):
            if len(x) > 5:
                raise torch.OutOfMemoryError
            return super().forward(x)

    segmenter = a_segmenter(Short())
    cine = a_cine(t=12, z=1)
    np.testing.assert_array_equal(segmenter.label(cine), (cine > 0).astype(np.uint8))
    assert max(segmenter.network.batches) <= 5
    assert any("batches of" in note for note in segmenter.notes)


def test_a_border_that_flickers_for_one_frame_is_steadied():
    """Blood at 0.55 in frame 3 only just loses against 0.5 elsewhere-bright neighbours."""
    cine = np.zeros((8, 1, 64, 64), np.float32)
    cine[:, :, 20:40, 20:40] = 1.0
    cine[3, :, 30, 30:40] = 0.45
    labels = a_segmenter().label(cine)
    assert (labels[:, 0, 20:40, 20:40] == 1).all()


def test_how_far_the_ventricles_may_lie_apart_is_a_length():
    segmenter = a_segmenter()
    cine = a_cine(t=2, z=1)
    apart = [segmenter.view(cine, spacing_mm=(8.0, p, p)).apart for p in (0.7, 1.1, 2.2)]
    assert apart == [16, 10, 5]
