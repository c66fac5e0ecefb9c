import csv

import numpy as np
import pytest

from napari_cardioxai.attribution.trials.measure import Measured
from napari_cardioxai.attribution.trials.table import (
    Cell,
    Row,
    answers_of,
    mean_over_images,
    table_of,
    write_csv,
)


def row(name, *, control=False, **scores):
    cells = {k: Cell(mean, low, high, 9) for k, (mean, low, high) in scores.items()}
    return Row(name, name, control, None if control else 1.0, cells, {})


def test_the_mean_is_over_every_map_and_missing_ones_do_not_count():
    cell = mean_over_images(np.array([[1.0, 2.0], [3.0, np.nan]]), np.random.default_rng(0))
    assert cell.mean == pytest.approx(2.0)
    assert cell.maps == 3
    assert 1.0 <= cell.low <= 2.0 <= cell.high <= 3.0


def test_without_any_spread_the_interval_is_a_point():
    cell = mean_over_images(np.full((3, 10), 0.7), np.random.default_rng(0))
    assert (cell.low, cell.high) == pytest.approx((0.7, 0.7))


def test_of_one_network_the_interval_is_that_of_a_mean_of_images():
    values = np.random.default_rng(1).normal(0, 1, (1, 200))
    cell = mean_over_images(values, np.random.default_rng(0))
    half = 1.96 * values.std() / np.sqrt(200)
    assert cell.high - cell.low == pytest.approx(2 * half, rel=0.1)


def test_networks_that_disagree_widen_the_interval():
    images = np.random.default_rng(1).normal(0, 0.1, (3, 50))
    alike = mean_over_images(images, np.random.default_rng(0))
    apart = mean_over_images(images + np.array([[-1], [0], [1]]), np.random.default_rng(0))
    assert apart.high - apart.low > 5 * (alike.high - alike.low)


def test_rows_come_in_the_order_of_the_registry_and_controls_last():
    measured = [
        Measured("residual", seed, case, name, name == "edges", None, {"auprc": 0.1 * case})
        for name in ("edges", "lrp", "gradient")
        for seed in (0, 1)
        for case in (0, 1, 2)
    ]
    rows = table_of(measured)
    assert [one.name for one in rows] == ["gradient", "lrp", "edges"]
    assert rows[0].cells["auprc"].mean == pytest.approx(0.1)
    assert set(rows[0].by_network) == {"residual-0", "residual-1"}
    assert rows[0].by_network["residual-1"]["auprc"].maps == 3


def test_answers_name_the_best_those_like_it_and_those_behind_a_control():
    rows = [
        row("ig", auprc=(0.8, 0.7, 0.9)),
        row("occlusion", auprc=(0.75, 0.65, 0.85)),
        row("gradient", auprc=(0.3, 0.15, 0.4)),
        row("edges", control=True, auprc=(0.2, 0.1, 0.3)),
    ]
    answer = answers_of(rows)["auprc"]
    assert answer["best"] == "ig"
    assert answer["also"] == ["occlusion"]
    assert answer["no_better_than_controls"] == ["gradient"]


def test_where_lower_is_better_the_lowest_is_best():
    rows = [row("ig", infidelity=(0.2, 0.1, 0.3)), row("lrp", infidelity=(0.6, 0.5, 0.7))]
    rows.append(row("random", control=True, infidelity=(0.65, 0.6, 0.7)))
    answer = answers_of(rows)["infidelity"]
    assert (answer["best"], answer["also"]) == ("ig", [])
    assert answer["no_better_than_controls"] == ["lrp"]


def test_a_method_that_does_not_depend_on_the_weights_answers_nothing_else():
    rows = [
        row("guided-backprop", auprc=(0.9, 0.9, 0.9), randomised=(0.8, 0.7, 0.9)),
        row("ig", auprc=(0.5, 0.4, 0.6), randomised=(0.1, 0.0, 0.2)),
    ]
    answers = answers_of(rows)
    assert answers["auprc"]["best"] == "ig"
    assert answers["randomised"]["best"] == "ig"


def test_the_csv_leaves_blank_what_was_not_measured(tmp_path):
    write_csv([row("ig", auprc=(0.5, 0.4, 0.6))], tmp_path / "t.csv")
    (line,) = csv.DictReader((tmp_path / "t.csv").open())
    assert (line["auprc"], line["auprc_low"], line["auprc_high"]) == ("0.5", "0.4", "0.6")
    assert line["iou"] == line["iou_low"] == ""
    assert line["network"] == "all"
