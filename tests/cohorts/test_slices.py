import numpy as np
import pytest
from imageio.v3 import imwrite

from napari_cardioxai.cohorts.augmentation import slice_augmentation
from napari_cardioxai.cohorts.slices import (
    SliceDataset,
    normalise,
    patient_folds,
    sunnybrook_pairs,
)
from napari_cardioxai.errors import CohortError


def write_picture(folder, name, value=200):
    picture = np.zeros((64, 64), np.uint8)
    picture[20:40, 24:44] = value
    for sub in ("images", "lv_masks"):
        (folder / sub).mkdir(exist_ok=True)
        imwrite(folder / sub / name, picture)


def test_normalising_is_blind_to_gain_and_offset():
    rng = np.random.default_rng(0)
    image = rng.gamma(2.0, 100.0, (3, 2, 40, 40))
    np.testing.assert_allclose(normalise(image), normalise(7 * image + 30), atol=1e-5)
    assert np.percentile(normalise(image), 99) == pytest.approx(1, abs=1e-3)
    assert normalise(image).max() <= 1.5


def test_each_slice_of_a_cine_is_scaled_over_its_whole_cycle():
    cine = np.random.default_rng(1).random((5, 2, 30, 30))
    cine[:, 1] *= 10
    scaled = normalise(cine, axes=(0, 2, 3))
    np.testing.assert_allclose(scaled[:, 1], normalise(cine[:, 1]), atol=1e-6)


def test_a_constant_image_becomes_zero():
    assert not normalise(np.full((8, 8), 5)).any()


def test_slice_and_phase_follow_from_the_name(tmp_path):
    write_picture(tmp_path, "SC-HF-NI-03-IM-0001-0048.png")
    (pair,) = sunnybrook_pairs(tmp_path)
    assert (pair.patient, pair.slice_index, pair.phase) == ("SC-HF-NI-03", 2, 7)


def test_a_missing_mask_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(CohortError, match="no images"):
        sunnybrook_pairs(tmp_path)
    write_picture(tmp_path, "SC-N-02-IM-0001-0048.png")
    (tmp_path / "lv_masks" / "SC-N-02-IM-0001-0048.png").unlink()
    with pytest.raises(CohortError, match="0048"):
        sunnybrook_pairs(tmp_path)


def test_folds_hold_every_patient_once_and_spread_the_groups():
    patients = [f"SC-N-{k:02}" for k in range(6)] + [f"SC-HYP-{k:02}" for k in range(9)]
    folds = patient_folds(patients, 3)
    assert sorted(name for fold in folds for name in fold) == sorted(patients)
    assert [sum(name.startswith("SC-HYP") for name in fold) for fold in folds] == [3, 3, 3]


def test_augmentation_moves_image_and_mask_together(tmp_path):
    write_picture(tmp_path, "SC-N-02-IM-0001-0048.png")
    data = SliceDataset(sunnybrook_pairs(tmp_path), transform=slice_augmentation(64, seed=3))
    agreements = []
    for _ in range(20):
        item = data[0]
        bright, mask = item["image"][0].numpy() > 0.5, item["label"][0].numpy() == 1
        if mask.sum() > 50:
            agreements.append(2 * (bright & mask).sum() / (bright.sum() + mask.sum()))
    assert len(agreements) >= 10
    assert np.median(agreements) > 0.9
