import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from napari_cardioxai.cohorts.shortcuts import TOGETHER, find_shortcuts

COUNT = 60
LABEL = np.repeat([0.0, 1.0], COUNT // 2)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=COUNT)


def found(table: dict, label=LABEL) -> dict:
    return {s.name: s for s in find_shortcuts(pd.DataFrame(table), label)}


def test_a_number_is_judged_by_its_rank_as_scikit_learn_and_scipy_do():
    values = noise(1) + 0.8 * LABEL
    shortcut = found({"pixel_mm": values})["pixel_mm"]
    assert shortcut.auc == pytest.approx(roc_auc_score(LABEL, values))
    test = mannwhitneyu(values[LABEL == 1], values[LABEL == 0], method="asymptotic")
    assert shortcut.p_value == pytest.approx(test.pvalue)
    assert (shortcut.method, shortcut.subjects) == ("rank", COUNT)


def test_it_does_not_matter_which_way_a_number_tells_the_label():
    values = noise(2) + LABEL
    there, back = found({"frames": values})["frames"], found({"frames": -values})["frames"]
    assert back.auc == pytest.approx(there.auc) and there.auc > 0.6


def test_what_separates_the_label_threatens_and_noise_does_not():
    shortcuts = found({"pixel_mm": 1.2 + 0.3 * LABEL, "frames": noise(3)})
    assert shortcuts["pixel_mm"].auc == 1.0
    assert shortcuts["pixel_mm"].threatens and shortcuts["pixel_mm"].is_certain
    assert not shortcuts["frames"].threatens
    assert shortcuts[TOGETHER].auc > 0.95


def test_the_strongest_comes_first():
    table = pd.DataFrame({"a": noise(4), "b": noise(4) + 3 * LABEL, "c": noise(5) + LABEL})
    areas = [shortcut.auc for shortcut in find_shortcuts(table, LABEL)]
    assert areas == sorted(areas, reverse=True)


def test_a_site_is_a_name_and_is_judged_on_subjects_that_the_regression_never_saw():
    sick_from_one = np.where(LABEL == 1, "A", "B").astype(object)
    assert found({"site": sick_from_one})["site"].auc == 1.0
    own_name = np.array([f"site {k}" for k in range(COUNT)], object)
    alone = found({"site": own_name})["site"]
    assert alone.auc == pytest.approx(0.5) and not alone.threatens, "learnt by heart"


def test_that_a_value_is_missing_is_a_property_itself():
    values = np.where(LABEL == 1, np.nan, noise(6))
    values[:3] = np.nan
    shortcuts = found({"heart_rate_bpm": values})
    missing = shortcuts["heart_rate_bpm: is missing"]
    assert missing.threatens and missing.auc == pytest.approx(1 - 0.5 * 3 / 30)
    assert "heart_rate_bpm" not in shortcuts, "no sick subject has a value"


def test_chance_is_ruled_out_for_all_properties_together():
    values = noise(7) + 0.7 * LABEL
    alone = found({"a": values})["a"]
    assert alone.p_value < 0.05 and alone.is_certain
    many = {"a": values} | {f"n{k}": noise(20 + k) for k in range(30)}
    among = found(many)["a"]
    assert among.p_value == alone.p_value
    assert among.is_certain == (alone.p_value * 32 < 0.05)


def test_unknown_labels_are_left_out():
    values = noise(8) + LABEL
    label = LABEL.copy()
    label[::3] = np.nan
    shortcut = found({"a": values}, label)["a"]
    known = np.isfinite(label)
    assert shortcut.subjects == known.sum()
    assert shortcut.auc == pytest.approx(roc_auc_score(label[known], values[known]))


def test_too_few_of_a_label_and_what_never_varies_say_nothing():
    rare = np.zeros(COUNT)
    rare[:4] = 1
    assert find_shortcuts(pd.DataFrame({"a": noise(9)}), rare) == ()
    assert found({"rows": np.full(COUNT, 128.0)}) == {}


def test_one_property_is_not_given_a_second_time_as_all_together():
    assert set(found({"a": noise(10), "rows": np.full(COUNT, 128.0)})) == {"a"}
