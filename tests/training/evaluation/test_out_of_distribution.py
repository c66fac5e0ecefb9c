from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import chi, kstest

from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.training.evaluation.out_of_distribution import (
    TrainingCloud,
    fit_training_cloud,
    latent_summary,
)

MIXING = np.array([[3.0, 0, 0], [1.0, 0.5, 0], [0, -0.2, 2.0]])


@pytest.fixture(scope="module")
def cloud():
    return fit_training_cloud(np.random.default_rng(0).normal(size=(4000, 3)) @ MIXING.T + 5)


def test_distance_is_that_of_the_known_normal_distribution(cloud):
    steps = np.array([[1.0, 0, 0], [0, 2, 0], [0, 3, 4]])
    found = cloud.strangeness(steps @ MIXING.T + 5)
    assert found.distance == pytest.approx([1, 2, 5], rel=0.05)
    # Distances of normal vectors in three dimensions follow the chi distribution.
    assert found.percentile == pytest.approx(100 * chi.cdf([1, 2, 5], 3), abs=3)
    assert found.times_typical == pytest.approx(np.array([1, 2, 5]) / chi.median(3), rel=0.06)


def test_the_mean_is_no_stranger_and_a_far_heart_is_beyond_all(cloud):
    found = cloud.strangeness([np.full(3, 5.0), np.full(3, 500.0)])
    assert found.percentile[0] < 1
    assert found.percentile[1] == 100
    assert found.times_typical[1] > 50


def test_unseen_subjects_of_the_same_kind_are_spread_evenly_even_with_few_for_many_units():
    rng = np.random.default_rng(1)
    scale = np.geomspace(0.1, 3, 60)
    percentiles = []
    for _ in range(8):
        cloud = fit_training_cloud(rng.normal(size=(100, 60)) * scale)
        unseen = cloud.strangeness(rng.normal(size=(100, 60)) * scale)
        percentiles.append(unseen.percentile)
    assert np.mean(percentiles) == pytest.approx(50, abs=6)
    assert kstest(np.concatenate(percentiles) / 100, "uniform").statistic < 0.1


def test_the_cloud_goes_into_safetensors_and_back(cloud, tmp_path):
    save_file(cloud.as_arrays(), tmp_path / "cloud.safetensors")
    arrays = load_file(tmp_path / "cloud.safetensors")
    back = TrainingCloud.from_arrays(arrays, where=tmp_path)
    subjects = np.random.default_rng(2).normal(size=(5, 3))
    assert np.array_equal(back.strangeness(subjects).distance, cloud.strangeness(subjects).distance)


def test_broken_arrays_are_refused(cloud):
    arrays = cloud.as_arrays()
    with pytest.raises(BundleError, match="do not fit together"):
        TrainingCloud.from_arrays(arrays | {"mean": np.zeros(4)}, where=Path("bundle"))
    del arrays["precision"]
    with pytest.raises(BundleError, match="bundle lacks the array 'precision'"):
        TrainingCloud.from_arrays(arrays, where=Path("bundle"))


def test_a_summary_is_mean_and_deviation_over_the_cycle():
    latent = np.array([[[1.0, 10], [3, 10]], [[0, 0], [0, 4]]])
    assert latent_summary(latent) == pytest.approx(np.array([[2, 10, 1, 0], [0, 2, 0, 2]]))
    with pytest.raises(CohortError, match="not \\(subjects, frames, units\\)"):
        latent_summary(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("summaries", "message"),
    [
        (np.zeros((9, 2)), "9 training subjects are too few"),
        (np.zeros((20, 2)), "the same latent summary"),
        (np.full((20, 2), np.nan), "cannot be placed"),
        (np.zeros(20), "cannot be placed"),
    ],
)
def test_what_makes_no_cloud_is_refused(summaries, message):
    with pytest.raises(CohortError, match=message):
        fit_training_cloud(summaries)


def test_summaries_of_another_model_are_refused(cloud):
    with pytest.raises(CohortError, match="4 numbers do not fit a cohort of 3"):
        cloud.strangeness(np.zeros((2, 4)))
