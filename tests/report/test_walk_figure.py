import numpy as np
import pytest

from napari_cardioxai.concepts.traverse import Step
from napari_cardioxai.report.walk_figure import walk_figure


def a_step(alpha, *, per, kept):
    """A square cavity of 10 x 10 pixels in each slice; `kept` of its ten rows at end-systole."""
    cycle = np.zeros((6, 3, 20, 20), np.uint8)
    cycle[..., 5:15, 5:15] = 1
    cycle[2, :, 5 + kept : 15, 5:15] = 2
    return Step(alpha, cycle, cycle, {"per_edv_s": per, "ef_percent": np.nan}, 0.5)


@pytest.fixture
def figure():
    steps = [a_step(-2.0, per=4.04, kept=8), a_step(0.0, per=2.7, kept=5)]
    return walk_figure(steps, concept="low PER", biomarker="per_edv_s", es_frame=2)


def test_every_alpha_has_a_column_with_its_measurements(figure):
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 2 and len(figure.axes) == 6
    assert "-2" in titles[0] and "PER~4.0~EDV/s" in titles[0], "the concept's own comes in bold"
    assert "EF –" in titles[0], "what could not be measured is not invented"
    assert "reconstruction" in titles[1] and "PER~2.7~EDV/s" in titles[1]


def test_frames_are_end_diastole_and_end_systole_of_the_middle_slice(figure):
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [int((p == 1).sum()) for p in pictures] == [100, 100, 80, 50]


def test_volumes_are_shares_of_the_unchanged_heart_at_end_diastole(figure):
    walked, unchanged = (axes for axes in figure.axes if axes.lines)
    assert len(walked.lines) == 2 and len(unchanged.lines) == 1
    np.testing.assert_allclose(walked.lines[1].get_ydata(), [100, 100, 80, 100, 100, 100, 100])
    np.testing.assert_allclose(walked.lines[0].get_ydata(), [100, 100, 50, 100, 100, 100, 100])
