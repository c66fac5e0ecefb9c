import captum.attr
import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.morphology import ball, disk

from napari_cardioxai.attribution.oversegmentation import listed, oversegmentations, supervoxels
from napari_cardioxai.attribution.paths import IntegratedGradients
from napari_cardioxai.attribution.regions import (
    FastXrai,
    OcclusionMap,
    SupervoxelOcclusion,
    Xrai,
    keep_best,
    rank_fast,
    rank_regions,
)
from napari_cardioxai.errors import AttributionError
from tests.attribution.nets import a_network, an_image


def masks_of(label_images, *, radius=0):
    """Every region of every label image as its own mask, dilated by a ball."""
    masks = [labels == k for labels in label_images for k in range(labels.max() + 1)]
    if not radius:
        return masks
    footprint = disk(radius) if masks[0].ndim == 2 else ball(radius)
    return [ndimage.binary_dilation(mask, footprint) for mask in masks]


def xrai_of_the_paper(shares, masks, *, smallest, fast):
    """Algorithm 1 of Kapishnikov et al. 2019 with masks, looking at every region anew each time."""
    heat = np.full(shares.shape, -np.inf)
    taken = np.zeros(shares.shape, bool)
    remaining = list(masks)
    if fast:
        remaining.sort(key=lambda mask: -shares[mask].mean())
    while remaining:
        if fast:
            best = remaining.pop(0)
            if (best & ~taken).sum() < smallest:
                continue
        else:
            remaining = [mask for mask in remaining if (mask & ~taken).sum() >= smallest]
            if not remaining:
                break
            gains = [shares[mask & ~taken].mean() for mask in remaining]
            best = remaining.pop(int(np.argmax(gains)))
        new = best & ~taken
        heat[new] = shares[new].mean()
        taken |= best
    rest = np.isneginf(heat)
    if rest.any():
        heat[rest] = shares[rest].mean()
    return heat


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("radius", [0, 2])
@pytest.mark.parametrize("shape", [(24, 24), (10, 12, 8)])
def test_ranked_regions_are_those_of_the_literal_algorithm(shape, radius, fast):
    rng = np.random.default_rng(3)
    shares = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    cut = [
        supervoxels(rng.normal(size=(1, *shape)), count=n, spacing_mm=(1.0,) * len(shape))
        for n in (4, 12, 30)
    ]
    expected = xrai_of_the_paper(shares, masks_of(cut, radius=radius), smallest=8, fast=fast)
    ranked = rank_fast if fast else rank_regions
    heat = ranked(shares.ravel(), listed(cut, grown_by=radius), smallest=8)
    np.testing.assert_allclose(heat.reshape(shape), expected, atol=1e-9)


def test_overlapping_regions_by_hand():
    """Regions {0,1}, {2,3}, {0}, {1,2,3} with shares 4, 2, 3, 0.

    First {0} at 4; what {0,1} would still add has 2, {1,2,3} 5/3, {2,3} 1.5; so
    {1} at 2, then {2,3} at 1.5. Ranked once: {0} at 4, then {0,1}, then {1,2,3}.
    """
    first, second = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    shares = np.array([4.0, 2.0, 3.0, 0.0])
    regions = listed([first, second])
    assert rank_regions(shares, regions, smallest=1).tolist() == [4.0, 2.0, 1.5, 1.5]
    assert rank_fast(shares, regions, smallest=1).tolist() == [4.0, 2.0, 1.5, 1.5]
    # Regions that would add one voxel only are dropped, so {0,1} is the best.
    assert rank_regions(shares, regions, smallest=2).tolist() == [3.0, 3.0, 1.5, 1.5]


@pytest.mark.parametrize("method", [Xrai, FastXrai])
@pytest.mark.parametrize("dims", [2, 3])
def test_xrai_is_the_ranking_of_integrated_gradients(dims, method):
    network, x = a_network(dims), an_image(dims)
    shares = IntegratedGradients(network).attribute(x, 1)
    cut = oversegmentations(x[0].numpy(), spacing_mm=(1.0,) * dims)
    masks = masks_of(cut, radius=5 if dims == 2 else 0)
    expected = xrai_of_the_paper(
        shares[0, 0].numpy().astype(float), masks, smallest=20, fast=method is FastXrai
    )
    heat = method(network, smallest=20, keep_percent=100).attribute(x, 1)
    np.testing.assert_allclose(heat[0, 0].numpy(), expected, rtol=1e-4, atol=1e-6)
    given = method(network, smallest=20, keep_percent=100, attribution=shares).attribute(x, 1)
    torch.testing.assert_close(given, heat)


def test_the_best_thirty_percent_are_kept():
    heat = np.arange(100.0).reshape(10, 10) + 1
    kept = keep_best(heat, 30)
    assert (kept > 0).sum() == 30 and kept.max() == 100 and kept[kept > 0].min() == 71
    map_of_regions = FastXrai(a_network()).attribute(an_image(side=32), 1)
    assert 0.3 <= (map_of_regions != 0).float().mean() < 0.9


def test_given_segments_are_ranked_as_they_are():
    x = an_image(side=8)
    halves = np.zeros((8, 8), int)
    halves[:, 4:] = 7
    shares = torch.zeros(1, 1, 8, 8)
    shares[..., 4:] = 2
    heat = Xrai(a_network(), segments=[halves], attribution=shares, smallest=1).attribute(x, 1)
    torch.testing.assert_close(heat, shares)
    with pytest.raises(AttributionError, match="segments have shape"):
        Xrai(a_network(), segments=[halves[:4]], attribution=shares).attribute(x, 1)
    with pytest.raises(AttributionError, match="attribution to rank by"):
        Xrai(a_network(), attribution=shares[..., :4]).attribute(x, 1)


@pytest.mark.parametrize("shape", [(1, 20, 20), (1, 8, 12, 12), (1, 6, 3, 12, 12), (2, 6, 12, 12)])
def test_oversegmentations_cover_the_image_with_labels_without_gaps(shape):
    image = np.random.default_rng(0).normal(size=shape)
    spacing = (1.25,) * (len(shape) - 1)
    for labels in oversegmentations(image, spacing_mm=spacing):
        assert labels.shape == shape[1:]
        assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))


def test_slices_of_a_cine_share_no_region_and_frames_do():
    image = np.random.default_rng(0).normal(size=(1, 6, 2, 16, 16))
    coarse = oversegmentations(image, spacing_mm=(None, 8.0, 1.25, 1.25))[0]
    assert not np.intersect1d(coarse[:, 0], coarse[:, 1]).size
    assert np.intersect1d(coarse[0, 0], coarse[1, 0]).size


def test_supervoxels_are_round_in_mm():
    image = np.zeros((1, 16, 64, 64))
    labels = supervoxels(image, count=64, spacing_mm=(4.0, 1.0, 1.0))
    extents = np.array(
        [[s.stop - s.start for s in box] for box in ndimage.find_objects(labels + 1)]
    )
    mm = np.median(extents, axis=0) * (4.0, 1.0, 1.0)
    assert mm.max() < 1.7 * mm.min()


@pytest.mark.parametrize("dims", [2, 3])
def test_occlusion_equals_captums(dims):
    network, x = a_network(dims), an_image(dims, side=8, examples=2)
    expected = captum.attr.Occlusion(network).attribute(
        x, (1, *(4,) * dims), strides=(1, *(2,) * dims), baselines=0.3, target=torch.tensor([0, 2])
    )
    told = OcclusionMap(network, window_percent=50).explain(x, [0, 2], baselines=0.3)
    torch.testing.assert_close(told.heat, expected.float())


def test_the_window_is_a_cube_in_mm_and_time_is_counted_in_frames():
    windows = {}

    class Watched(OcclusionMap):
        def window(self, job):
            windows["sides"] = super().window(job)
            return windows["sides"]

    x = an_image(3, side=8)
    Watched(a_network(3), window_percent=50).attribute(x, 1, spacing_mm=(4.0, 1.0, 1.0))
    assert windows["sides"] == [1, 4, 4]
    Watched(a_network(3), window_percent=50).attribute(x, 1, spacing_mm=(None, 2.0, 1.0))
    assert windows["sides"] == [4, 2, 4]


def test_occlusion_of_structures_is_the_fall_of_the_number_without_each():
    network, x = a_network(), an_image(side=8, examples=2)
    labels = np.zeros((8, 8), int)
    labels[2:5, 2:5] = 4
    heat = SupervoxelOcclusion(network, labels=labels).attribute(x, 1, baselines=0.2)
    for region in (labels == 0, labels == 4):
        covered = x.clone()
        covered[..., torch.from_numpy(region)] = 0.2
        fall = (network(x) - network(covered))[:, 1]
        for row in range(2):
            values = heat[row, 0][torch.from_numpy(region)]
            torch.testing.assert_close(values, fall[row].expand_as(values))


@pytest.mark.parametrize("dims", [2, 3])
def test_occlusion_by_supervoxel_is_constant_within_each(dims):
    network, x = a_network(dims), an_image(dims)
    heat = SupervoxelOcclusion(network, count=20).attribute(x, 1)
    labels = supervoxels(x[0].numpy(), count=20, spacing_mm=(1.0,) * dims)
    for region in range(labels.max() + 1):
        assert heat[0, 0][labels == region].unique().numel() == 1
