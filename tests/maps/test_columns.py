from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.maps.columns import (
    OF_MODEL,
    Column,
    class_column,
    in_order,
    manifest_columns,
)


def columns(**cells):
    count = len(next(iter(cells.values())))
    index = pd.Index([f"p{k}" for k in range(count)], name="subject", dtype=object)
    table = pd.DataFrame({"labels": ["x"] * count, **cells}, index=index)
    manifest = Manifest(Path("cohort.csv"), table)
    return manifest_columns(manifest, manifest.subjects, classes=("healthy", "diseased"))


def test_classes_and_numbers_are_told_apart():
    found = columns(label=[0, 1, np.nan, 1], site=["A", "B", None, "A"], age=[61.0, 44, 50, 70])
    assert found["label"].classes == ("healthy", "diseased")
    assert found["label"].known.tolist() == [True, True, False, True]
    assert found["site"].classes == ("A", "B")
    assert not found["age"].is_class and found["age"].text(1) == "age 44"


def test_zero_and_one_are_no_and_yes():
    found = columns(flash=[0, 1, 0, np.nan])
    assert found["flash"].classes == ("no", "yes")
    assert found["flash"].text(1) == "flash yes" and found["flash"].text(3) == "flash unknown"


def test_what_tells_nobody_apart_is_no_column():
    found = columns(same=[1, 1, 1, 1], note=[f"{k}" for k in "abcd"], empty=[None] * 4)
    assert set(found) == {"note"}
    many = columns(name=[f"n{k}" for k in range(13)])
    assert not many, "thirteen names are no classes"


def test_colours_of_numbers_leave_out_the_outliers():
    values = np.r_[np.linspace(0, 100, 101), 1e6]
    low, high = Column("EF", values, False, "measured").limits()
    assert (low, high) == pytest.approx(tuple(np.percentile(values, [2, 98])))
    assert high < 101
    assert Column("EF", np.array([3.0, 3.0]), False, "measured").limits() == (2.5, 3.5)


def test_a_group_is_summed_up():
    kinds = class_column("label", [0, 1, 1, np.nan], origin=OF_MODEL, names=("well", "sick"))
    assert kinds.summary(np.array([0, 1, 2, 3])) == "well 1, sick 2"
    assert kinds.summary(np.array([3])) == "label unknown"
    ef = Column("EF", np.array([40.0, 50, 60, np.nan]), False, "measured", "%", 0)
    assert ef.summary(np.array([0, 2, 3])) == "EF 50 ± 10 %"
    assert ef.title == "EF (%) – measured"


def test_the_most_telling_columns_come_first():
    found = columns(age=[1.0, 2, 3, 4], site=["A", "B", "A", "B"])
    assert list(in_order(found, ("label", "site"))) == ["site", "age"]
