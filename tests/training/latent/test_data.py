import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.latent.data import SequenceBatches, TrainingData, moved


def a_disc(radius: float = 9.0, size: int = 32) -> np.ndarray:
    yy, xx = np.mgrid[:size, :size]
    picture = ((yy - 14) ** 2 + (xx - 19) ** 2 < radius**2).astype(np.uint8)
    return np.broadcast_to(picture, (4, 3, size, size)).copy()


def test_a_shift_moves_all_frames_of_a_sequence_alike_by_whole_pixels():
    sequences = torch.from_numpy(np.stack([a_disc(), a_disc()]))
    generator = torch.Generator().manual_seed(0)
    found = moved(sequences, shift_px=5, turn_deg=0, generator=generator).numpy()
    middles = []
    for before, after in zip(sequences.numpy(), found, strict=True):
        places = [ndimage.center_of_mass(picture) for picture in after.reshape(-1, 32, 32)]
        step = np.subtract(places[0], ndimage.center_of_mass(before[0, 0]))
        np.testing.assert_allclose(places, np.broadcast_to(places[0], (12, 2)))
        np.testing.assert_allclose(step, np.rint(step), atol=1e-9)
        assert np.abs(step).max() <= 5 and np.abs(step).max() > 0
        assert after.sum() == before.sum()
        middles.append(tuple(step))
    assert middles[0] != middles[1]


def test_what_is_shifted_out_is_lost_and_background_comes_in():
    random = np.random.default_rng(0)
    sequences = random.integers(0, 4, (6, 2, 3, 16, 12), np.uint8)
    draws = 2 * torch.rand((6, 3), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    steps = ((draws[:, :2] - 1) * 20).round().numpy()
    assert (np.abs(steps) > 12).any(), "some leave the picture altogether"
    found = moved(
        torch.from_numpy(sequences),
        shift_px=20,
        turn_deg=0,
        generator=torch.Generator().manual_seed(2),
    )
    for before, after, step in zip(sequences, found.numpy(), steps, strict=True):
        expected = ndimage.shift(before, (0, 0, *step), order=0)
        np.testing.assert_array_equal(after, expected)


def test_a_turn_is_that_of_scipy():
    sequences = torch.from_numpy(a_disc()[None])
    generator = torch.Generator().manual_seed(3)
    angle = (2 * torch.rand((1, 3), generator=generator, dtype=torch.float64) - 1)[0, 2] * 40
    generator = torch.Generator().manual_seed(3)
    found = moved(sequences, shift_px=0, turn_deg=40, generator=generator)[0, 0, 0].numpy()
    turned = [
        ndimage.rotate(a_disc()[0, 0], sign * float(angle), reshape=False, order=0)
        for sign in (1, -1)
    ]
    assert min((found != one).sum() for one in turned) <= 4
    assert max((found != one).sum() for one in turned) > 40


def test_intensities_are_turned_as_labels_are():
    labels = torch.from_numpy(a_disc()[None])
    settings = {"shift_px": 4, "turn_deg": 30}
    one = moved(labels, generator=torch.Generator().manual_seed(5), **settings)
    other = moved(labels.float(), generator=torch.Generator().manual_seed(5), **settings)
    assert ((other > 0.5).byte() != one).float().mean() < 0.01


def test_batches_are_copies_of_the_rows_asked_for():
    data = TrainingData.of(
        np.arange(4 * 2 * 3 * 4 * 4, dtype=np.uint8).reshape(4, 2, 3, 4, 4),
        labels=[0, 1, np.nan, 1],
        concepts=[[0], [np.nan], [1], [1]],
        subjects=["a", "b", "c", "d"],
    )
    batch = SequenceBatches(data).__getitems__([3, 1])
    np.testing.assert_array_equal(batch["sequences"].numpy(), data.sequences[[3, 1]])
    assert batch["label"].tolist() == [1, 1]
    assert batch["concepts"][0].item() == 1 and batch["concepts"][1].isnan().item()
    assert data.rows([2]).subjects == ("c",)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"labels": [0, 2]}, "not 2"),
        ({"labels": [0, 1, 1]}, "do not go together"),
        ({"concepts": [[0.5], [1]]}, "not 0.5"),
    ],
)
def test_data_that_do_not_go_together_are_refused(change, complaint):
    with pytest.raises(CohortError, match=complaint):
        TrainingData.of(np.zeros((2, 4, 3, 8, 8), np.uint8), **change)
