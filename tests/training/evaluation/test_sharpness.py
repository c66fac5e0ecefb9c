import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.sharpness import radial_power, sharpness


def noise(count=40, side=80, seed=0):
    return np.random.default_rng(seed).normal(size=(count, side, side))


def test_a_wave_has_all_its_power_at_its_frequency():
    y = np.arange(80)
    wave = np.broadcast_to(np.sin(2 * np.pi * 10 * y / 80)[:, None], (80, 80))
    frequency, power = radial_power(wave)
    assert frequency[power.argmax()] == pytest.approx(10 / 80)
    near = np.abs(frequency - 10 / 80) < 2.5 / 80  # the window spreads it to its neighbours
    assert power[near].sum() > 0.999 * power.sum()


def test_of_pictures_that_are_the_same_all_power_is_kept():
    found = sharpness(noise(3), noise(3))
    assert found.resolved == 0.5
    assert list(found.bands.values()) == pytest.approx([1.0] * 3)


def test_blurred_white_noise_keeps_what_the_transfer_function_of_the_blur_lets_through():
    sharp = noise()
    blurred = gaussian_filter(sharp, (0, 1.0, 1.0), mode="wrap", truncate=6)
    found = sharpness(blurred, sharp)
    expected = np.exp(-4 * np.pi**2 * found.frequency**2)  # |H|^2 of a Gaussian of one pixel
    low = found.frequency < 0.2
    np.testing.assert_allclose(found.kept[low], expected[low], rtol=0.08)
    half = np.sqrt(np.log(2)) / (2 * np.pi)
    assert found.resolved == pytest.approx(half, abs=1.5 / 80)
    coarse, edges, finest = found.bands.values()
    assert coarse > edges > finest


def test_other_shapes_are_refused():
    with pytest.raises(CohortError, match="cannot be compared"):
        sharpness(noise(2), noise(3))
    with pytest.raises(CohortError, match="square"):
        sharpness(np.zeros((2, 8, 9)), np.zeros((2, 8, 9)))
