import json

import numpy as np
import pytest
from PIL import Image

from napari_cardioxai.concepts.heart import STOPS
from napari_cardioxai.report.concept_figures import (
    curves_figure,
    hearts_figure,
    write_concepts_json,
    write_figures,
)
from tests.concepts.moved_heart import moved_heart


@pytest.fixture(scope="module")
def heart():
    return moved_heart()


@pytest.fixture(scope="module")
def walks(heart):
    return {name: heart.walked(name) for name in heart.walks}


def test_curves_are_those_that_were_measured(heart, walks):
    figure = curves_figure(heart, walks)
    assert [axes.get_title("left") for axes in figure.axes] == ["low EF", "low PFR"]
    line = figure.axes[0].lines[0]
    assert np.array_equal(line.get_xdata(), STOPS)
    assert np.array_equal(line.get_ydata(), walks["low EF"].curve("ef_percent"))
    assert figure.axes[0].get_ylabel() == "EF (%)"


def test_hearts_carry_what_was_measured_of_them(heart):
    figure = hearts_figure(heart, "low EF", alphas=(-1.0, 0.0))
    latent = heart.at({"low EF": -1.0})
    readout = heart.readout(heart.cycle(latent), latent)
    titles = [axes.get_title() for axes in figure.axes]
    for title, values in ((titles[0], readout.biomarkers), (titles[1], heart.redrawn.biomarkers)):
        assert rf"EF~{values['ef_percent']:.0f}~\%" in title
    assert "-1" in titles[0] and "reconstruction" in titles[1]


def test_figures_and_table_are_written(heart, walks, tmp_path):
    one = {"low EF": walks["low EF"]}
    files = write_figures(tmp_path / "figures", heart, one)
    assert [file.name for file in files] == ["curves.png", "low-EF.png"]
    for file in files:
        with Image.open(file) as picture:
            assert min(picture.size) > 300
    write_concepts_json(tmp_path / "table.json", heart, one, {"low EF": 1.0, "low PFR": 0.0})
    told = json.loads((tmp_path / "table.json").read_text("utf-8"))["heart"]
    assert told["alphas"] == {"low EF": 1.0}
    assert told["walks"]["low EF"]["alphas"] == STOPS.tolist()
    there = told["walks"]["low EF"]["biomarkers"]["ef_percent"][8]
    assert STOPS[8] == 1 and there == told["decoded"]["biomarkers"]["ef_percent"]
    assert told["redrawn"]["logit"] == heart.redrawn.logit
