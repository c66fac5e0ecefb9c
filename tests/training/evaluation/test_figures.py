import numpy as np
import pytest
from scipy.special import expit

from napari_cardioxai.training.evaluation.calibration import judge_calibration
from napari_cardioxai.training.evaluation.figures import (
    NamedRoc,
    confusion_figure,
    markdown_table,
    reliability_figure,
    roc_figure,
)
from napari_cardioxai.training.evaluation.roc import auc, judge_decisions, roc_band, roc_curve
from tests.training.evaluation.cases import binormal


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(0)
    labels, scores = binormal(rng, 50, 100)
    band = roc_band(labels, scores, rng=rng, resamples=20)
    return labels, scores, NamedRoc(roc_curve(labels, scores), band, auc(labels, scores))


def shown(axes):
    return [child for child in axes if child.get_visible()]


def test_roc_figure_draws_every_model_with_its_area(scored):
    *_, roc = scored
    bare = NamedRoc(roc.curve, None, roc.auc)
    axes = roc_figure({"latent": roc, "forest": bare}).axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [line.split("\n")[0] for line in legend] == ["latent", "forest"]
    assert f"AUC {roc.auc.value:.3f}" in legend[0]
    assert len(axes.collections) == 1, "one of the two has a band"
    _, latent, forest = axes.lines
    assert np.array_equal(latent.get_ydata(), roc.curve.true_positive_rate)
    assert latent.get_color() != forest.get_color()
    assert latent.get_linestyle() != forest.get_linestyle()


def test_reliability_figure_has_a_diagram_and_counts_for_each_model(scored):
    labels, scores, _ = scored
    before = judge_calibration(labels, expit(3 * scores))
    after = judge_calibration(labels, expit(scores))
    names = [f"model {k}" for k in range(4)]
    axes = shown(
        reliability_figure(
            {name: (before, after if name == "model 1" else None) for name in names}
        ).axes
    )
    assert len(axes) == 8
    titles = [a.get_title(loc="left").split("\n") for a in axes if a.get_title(loc="left")]
    assert [title[0] for title in titles] == names
    error = before.equal_mass.expected_calibration_error
    assert titles[0][1] == f"ECE {error:.3f}"
    assert titles[1][1].startswith(f"ECE {error:.3f}, after temperature 0.")
    assert [len(a.containers) for a in axes if a.get_ylabel() != "Subjects"] == [1, 2, 1, 1]
    counts = next(a for a in axes if a.get_ylabel() == "Subjects")
    assert sum(bar.get_height() for bar in counts.patches) == 150


def test_confusion_figure_has_true_classes_in_rows():
    decisions = judge_decisions([0, 0, 0, 1, 1], [0, 0, 1, 1, 1])
    figure = confusion_figure({"latent": decisions}, classes=("normal", "CAD"))
    axes = shown(figure.axes)[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    # x is what was decided, y what is true.
    assert texts == {(0, 0): "2\n67 %", (1, 0): "1\n33 %", (0, 1): "0\n0 %", (1, 1): "2\n100 %"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["normal", "CAD"]
    assert "balanced accuracy 83.3 %" in axes.get_title(loc="left")


def test_markdown_table_is_one():
    assert markdown_table(["model", "AUC"], [["a", "0.9"], ["b", "0.8"]]).splitlines() == [
        "| model | AUC |",
        "| --- | ---: |",
        "| a | 0.9 |",
        "| b | 0.8 |",
    ]
