import numpy as np
import pytest

from napari_cardioxai.multiple_testing import holm


def test_holm_by_hand():
    # Ascending 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04; never falling.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])


def test_holm_does_not_count_what_is_not_defined():
    found = holm([0.01, np.nan, 0.2])
    assert found[[0, 2]] == pytest.approx([0.02, 0.2])
    assert np.isnan(found[1])


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_never_falls_back():
    assert holm([0.01, 0.04, 0.03, 0.5]).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.9]).tolist() == pytest.approx([1.0, 1.0])
