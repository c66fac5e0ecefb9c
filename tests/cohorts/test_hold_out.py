import numpy as np
import pytest

from napari_cardioxai.cohorts.hold_out import hold_out, hold_out_run
from napari_cardioxai.errors import CohortError

CLASSES = np.repeat(["a", "b", "c"], [100, 60, 40])


def test_every_class_has_its_share_and_the_seed_decides():
    test = hold_out(CLASSES, share=0.2, seed=3)
    assert [int(test[c == CLASSES].sum()) for c in "abc"] == [20, 12, 8]
    assert (hold_out(CLASSES, share=0.2, seed=3) == test).all()
    assert (hold_out(CLASSES, share=0.2, seed=4) != test).any()


def test_groups_are_never_divided():
    rng = np.random.default_rng(0)
    groups = np.concatenate([100 * k + rng.integers(0, 20, n) for k, n in enumerate([100, 60, 40])])
    test = hold_out(CLASSES, groups=groups, seed=1)
    assert not set(groups[test]) & set(groups[~test])
    for c, n in zip("abc", [100, 60, 40], strict=True):
        assert test[c == CLASSES].sum() / n == pytest.approx(0.2, abs=0.1)


def test_a_run_is_unbroken_in_the_order_given():
    position = np.random.default_rng(0).permutation(200)
    test = hold_out_run(CLASSES, position, share=0.25, seed=2)
    for c, n in zip("abc", [25, 15, 10], strict=True):
        inside = test[c == CLASSES][np.argsort(position[c == CLASSES])]
        assert inside.sum() == n
        assert np.abs(np.diff(inside.astype(int))).sum() <= 2


def test_what_cannot_be_held_out_is_said():
    with pytest.raises(CohortError, match=r"up to 0\.5"):
        hold_out(CLASSES, share=0.9)
    with pytest.raises(CohortError, match="the class c has 3 groups; 5 are needed"):
        hold_out(CLASSES, groups=np.where(CLASSES == "c", np.arange(200) % 3, np.arange(200)))
    with pytest.raises(CohortError, match="too few"):
        hold_out_run(["a", "b"], [0, 1])
