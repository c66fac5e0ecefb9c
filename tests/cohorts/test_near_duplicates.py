import numpy as np
import pytest
from scipy import ndimage

from napari_cardioxai.cohorts.near_duplicates import THUMBNAIL, find_near_duplicates
from napari_cardioxai.cohorts.pictures import class_indices, find_pictures, load_images
from tests.shared_data import shared_data


def a_head(rng) -> np.ndarray:
    """A soft disc that all have in common, and a texture of one's own."""
    yy, xx = np.mgrid[:64, :64] - 31.5
    disc = ndimage.gaussian_filter((np.hypot(yy, xx) < 26).astype(float), 5)
    own = ndimage.gaussian_filter(rng.normal(size=(64, 64)), 1)
    return disc * (1 + 0.25 * own / own.std())


@pytest.fixture(scope="module")
def patients():
    """40 patients with 3 slices each that differ by noise, the last ones of another class."""
    rng = np.random.default_rng(0)
    heads = [a_head(rng) for _ in range(40)]
    slices = np.stack([h + 0.02 * rng.normal(size=h.shape) for h in heads for _ in range(3)])
    return slices, np.repeat(np.arange(40), 3), np.repeat([0, 1], 60)


def test_slices_of_a_patient_are_one_group_and_patients_are_apart(patients):
    slices, patient, classes = patients
    found = find_near_duplicates(slices, classes)
    assert (found.group == patient).all()
    assert len(found.links) == 40 * 3
    assert (found.sizes == 3).all()
    assert found.mixed(classes) == 0
    assert found.within.sum() + found.between.sum() == 120 * 119 // 2
    assert found.between.sum() == 60 * 60


def test_what_all_heads_share_does_not_make_them_alike(patients):
    slices, _, classes = patients
    raw = np.corrcoef(slices.reshape(len(slices), -1))
    assert raw[0, -1] > 0.5  # plain correlation is high between strangers
    found = find_near_duplicates(slices, classes)
    assert np.abs(found.edges[:-1][found.between > 0]).max() < 0.5


def test_straddling_counts_test_pictures_that_have_a_likeness_in_training(patients):
    slices, _, classes = patients
    found = find_near_duplicates(slices, classes)
    test = np.zeros(120, bool)
    test[[0, 1, 3]] = True  # of patients 0, 0 and 1
    assert found.straddling(test) == 3
    test[[2, 4, 5]] = True
    assert found.straddling(test) == 0


def test_groups_hang_together_through_others():
    """A chain: each alike to the next, the ends not alike."""
    rng = np.random.default_rng(1)
    textures = [a_head(rng) for _ in range(6)]
    chain = np.stack([textures[k] + textures[k + 1] for k in range(5)])
    found = find_near_duplicates(chain, [0, 0, 0, 1, 1], threshold=0.3)
    assert set(map(tuple, found.links.tolist())) == {(0, 1), (1, 2), (2, 3), (3, 4)}
    assert len(found.sizes) == 1
    assert found.mixed(np.array([0, 0, 0, 1, 1])) == 1


def test_the_threshold_is_what_few_strangers_reach():
    """With 2,500 pairs of strangers 1 in 100,000 is none, so it lies above all of them."""
    rng = np.random.default_rng(2)
    pictures = rng.normal(size=(100, 16, 16))
    found = find_near_duplicates(pictures, np.repeat([0, 1], 50))
    highest = found.edges[1:][found.between > 0].max()
    assert found.threshold == pytest.approx(highest)


def test_with_too_few_strangers_only_copies_are_linked_and_it_is_said():
    pictures = np.random.default_rng(0).normal(size=(10, 8, 8))
    pictures[7] = 2 * pictures[3] + 5
    found = find_near_duplicates(pictures, [0] * 5 + [1] * 5)
    assert found.is_surmised and found.links.tolist() == [[3, 7]]


def test_empty_pictures_are_alike_to_nothing():
    found = find_near_duplicates(np.zeros((3, 8, 8)), [0, 0, 1], threshold=0.5)
    assert len(found.links) == 0 and len(found.sizes) == 3


@pytest.mark.slow
def test_neighbouring_slices_of_real_tumours_are_found():
    folder = shared_data("brain-tumour-2d")
    manifest = find_pictures(folder)
    numbered = sorted(manifest.subjects, key=lambda s: int(s.split("/")[1]))[:400]
    images = load_images(manifest, numbered, THUMBNAIL, workers=1)
    classes, _ = class_indices(manifest, images.subjects)
    found = find_near_duplicates(images.data, classes, threshold=0.71)
    numbers = np.array([int(s.split("/")[1]) for s in images.subjects])
    apart = np.abs(numbers[found.links[:, 0]] - numbers[found.links[:, 1]])
    # Pictures are numbered patient by patient: what is alike lies close in the numbering.
    assert len(found.links) > 100
    assert (apart < 5).mean() > 0.8
