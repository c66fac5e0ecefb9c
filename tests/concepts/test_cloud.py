import numpy as np
import pytest
import torch

from napari_cardioxai.concepts.cloud import LatentCloud, fit_cloud, principal_axes
from napari_cardioxai.errors import CohortError


def a_cohort(count=400, seed=0):
    """Two directions with deviations 3 and 2 in 40 dimensions, and noise of 0.1."""
    rng = np.random.default_rng(seed)
    table = 0.1 * rng.normal(size=(count, 40))
    table[:, 0] += 3 * rng.normal(size=count)
    table[:, 5] += 2 * rng.normal(size=count)
    return table.reshape(count, 4, 10)


def test_the_plane_holds_the_directions_in_which_the_cohort_varies():
    cloud = fit_cloud(a_cohort(), rng=np.random.default_rng(0))
    assert len(cloud.axes) == 2
    assert np.allclose(np.sqrt(cloud.variances), [3, 2], rtol=0.1)
    assert float(cloud.rest[0]) == pytest.approx(0.01, rel=0.2)


def test_distances_are_in_standard_deviations_along_the_plane_and_beside_it():
    cloud = fit_cloud(a_cohort(), rng=np.random.default_rng(0))
    far = np.zeros((1, 40))
    far[0, 0] = 9.0
    within, beside = cloud.distances(far + cloud.mean)
    deviation = a_cohort().reshape(400, 40)[:, 0].std()
    assert within[0] == pytest.approx(9 / deviation, rel=0.02) and beside[0] < 0.5
    off = np.zeros((1, 40))
    off[0, 20] = 1.0  # ten times the noise
    assert cloud.length(off)[0] == pytest.approx(10, rel=0.1)


def test_unseen_subjects_of_the_same_kind_are_near_and_strangers_are_not():
    cloud = fit_cloud(a_cohort(), rng=np.random.default_rng(0))
    assert cloud.is_near(a_cohort(seed=1)).mean() > 0.94
    stranger = a_cohort(1)
    stranger[0, 2, 3] += 3.0  # off the plane by 30 times the noise
    assert not cloud.is_near(stranger)[0]


def test_spreading_is_the_product_with_the_covariance():
    cohort = a_cohort()
    cloud = fit_cloud(cohort, rng=np.random.default_rng(0))
    gradient = torch.zeros(1, 40, dtype=torch.float64)
    gradient[0, 0] = gradient[0, 5] = 1.0
    expected = np.cov(cohort.reshape(len(cohort), -1).T) @ gradient[0].numpy()
    assert np.allclose(cloud.spread(gradient)[0].numpy(), expected, atol=0.1)


def test_a_cloud_comes_back_from_its_arrays(tmp_path):
    cloud = fit_cloud(a_cohort(), rng=np.random.default_rng(0))
    again = LatentCloud.from_arrays(cloud.as_arrays(), where=tmp_path)
    assert again.limits == cloud.limits


def test_too_few_subjects_are_refused():
    with pytest.raises(CohortError, match="12 subjects are too few"):
        fit_cloud(a_cohort(12), rng=np.random.default_rng(0))


def test_principal_axes_are_the_same_with_more_subjects_than_units_and_with_fewer():
    table = np.random.default_rng(2).normal(size=(12, 7)) * np.arange(1, 8)
    table -= table.mean(0)
    values, axes = principal_axes(table)
    wide_values, wide_axes = principal_axes(np.column_stack([table, np.zeros((12, 20))]))
    assert np.allclose(values, wide_values)
    assert np.allclose(np.abs(np.sum(axes * wide_axes[:, :7], 1)), 1)
    assert np.allclose(values, np.linalg.svd(table)[1] ** 2 / 11)
