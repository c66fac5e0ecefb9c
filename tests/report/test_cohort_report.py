"""The page of a cohort, and its figures at the width of a page and of a dock."""

import json
import re

import pandas as pd
import pytest

from napari_cardioxai.cohorts.describe import CohortDescription, Spread
from napari_cardioxai.cohorts.shortcuts import TOGETHER, Shortcut
from napari_cardioxai.cohorts.threats import CohortWarning, Concept
from napari_cardioxai.report.cohort_figures import (
    PICTURES,
    concepts_figure,
    correlation_figure,
    missing_figure,
    png,
    recording_figure,
    shares_figure,
    shortcuts_figure,
    structures_figure,
    three_digits,
    ventricle_figure,
)
from napari_cardioxai.report.cohort_report import description_page, write_description

COUNT = 8


def a_description(**changes) -> CohortDescription:
    """Eight subjects of two classes; pixel sizes that belong to a site."""
    subjects = [f"p{k}" for k in range(COUNT)]
    properties = pd.DataFrame(
        {
            "pixel_mm": [1.2] * 4 + [1.6] * 4,
            "lv_down_mm": range(COUNT),
            "lv_right_mm": range(COUNT),
            "edv_ml": range(100, 108),
            "lv_share": [0.1] * COUNT,
            "rv_share": [0.2] * COUNT,
        },
        index=subjects,
    ).astype(float)
    groups = pd.DataFrame({"class": ["NOR", "CAD"] * 4, "site": ["A"] * 4 + ["B"] * 4}, subjects)
    values = {
        "name": "cohort <1>.csv",
        "subjects": COUNT,
        "splits": {"train": 6, "test": 2},
        "label": {"0": 4, "1": 4, "blank": 0},
        "classes": {"NOR": 4, "CAD": 4},
        "sites": {"A": 4, "B": 4},
        "missing": {"age": 3, "labels": 0},
        "properties": properties,
        "groups": groups,
        "spreads": (Spread("", "all", "pixel_mm", COUNT, 1.4, 0.21, 1.4, 1.2, 1.6),),
        "concepts": (Concept("flash", 3, 4, 1, (0.25, 0.5)),),
        "correlations": pd.DataFrame([[1.0, 0.3], [0.3, 1.0]], ["a", "b"], ["a", "b"]),
        "shortcuts": (
            Shortcut("site", 0.9, 1e-4, "logistic regression", COUNT, True, True),
            Shortcut(TOGETHER, 0.6, 0.3, "logistic regression", COUNT, False, False),
        ),
        "warnings": (CohortWarning("shortcut", "warning", "Site <tells> it.", "site"),),
        "failed": {"p9": "p9.nii.gz is gone & lost."},
    }
    return CohortDescription(**(values | changes))


def texts(axes) -> list[str]:
    return [text.get_text().strip() for text in axes.texts]


def test_the_page_says_first_what_threatens_and_escapes_what_it_was_given():
    page = description_page(a_description())
    assert page.index("Site &lt;tells&gt; it.") < page.index("Who is in it")
    assert "cohort &lt;1&gt;.csv" in page and "<tells>" not in page
    assert "p9.nii.gz is gone &amp; lost." in page
    assert "http://" not in re.sub(r"data:[^\"']+", "", page), "nothing is fetched"
    assert page.count("<img ") == len(PICTURES)


def test_what_is_not_there_has_no_section():
    empty = pd.DataFrame(index=[f"p{k}" for k in range(COUNT)])
    bare = a_description(
        properties=empty, groups=empty, concepts=(), shortcuts=(), warnings=(), failed={},
        correlations=pd.DataFrame(), missing={}, label={}, sites={}, classes={}, spreads=(),
    )  # fmt: skip
    page = description_page(bare)
    assert page.count("<img ") == 1 and "Who is in it" in page
    assert "Nothing threatens." in page
    for title in ("Concepts</h2>", "Shortcuts</h2>", "Not readable</h2>"):
        assert title not in page


def test_page_and_json_are_written_side_by_side_and_the_same_each_time(tmp_path):
    files = write_description(tmp_path / "out", a_description())
    assert [file.name for file in files] == ["description.json", "description.html"]
    assert json.loads(files[0].read_text())["label"] == {"0": 4, "1": 4, "blank": 0}
    before = files[1].read_bytes()
    write_description(tmp_path / "out", a_description())
    assert files[1].read_bytes() == before


def test_shares_are_bars_with_their_counts():
    figure = shares_figure(a_description())
    by_title = {axes.get_title(loc="left"): texts(axes) for axes in figure.axes}
    assert by_title["Split"] == ["6 (75%)", "2 (25%)"]
    assert by_title["Label"] == ["4 (50%)", "4 (50%)"], "nobody is blank"


def test_boxes_are_drawn_for_every_group_and_places_as_points():
    figure = ventricle_figure(a_description())
    volume, place = figure.axes
    assert [t.get_text() for t in volume.get_yticklabels()] == ["CAD", "NOR"]
    assert [len(points.get_offsets()) for points in place.collections] == [4, 4]
    assert place.yaxis_inverted(), "down is down, as in the picture"
    sites = recording_figure(a_description()).axes[0]
    assert [t.get_text() for t in sites.get_yticklabels()] == ["site A", "site B"]
    assert {axes.get_title(loc="left") for axes in structures_figure(a_description()).axes} == {
        "LV cavity (part of voxels)", "RV cavity (part of voxels)",
    }  # fmt: skip


def test_concepts_show_how_many_have_them_and_by_label():
    counts, shares = concepts_figure(a_description()).axes
    widths = [bars[0].get_width() for bars in counts.containers]
    assert widths == [3, 4, 1]
    assert [line.get_xdata()[0] for line in shares.lines] == [0.25, 0.5]


def test_shortcuts_run_from_chance_and_only_certain_ones_are_marked():
    axes = shortcuts_figure(a_description()).axes[0]
    assert texts(axes) == ["0.90", "0.60"]
    first, second = axes.containers[0]
    assert first.get_x() + first.get_width() == pytest.approx(0.9)
    assert first.get_facecolor() != second.get_facecolor()


def test_only_columns_with_blanks_are_missing():
    axes = missing_figure(a_description()).axes[0]
    assert texts(axes) == ["3 (38%)"]
    assert missing_figure(a_description(missing={"age": 0})) is None


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.title)
def test_every_picture_keeps_to_the_width_of_a_dock(picture):
    figure = picture.draw(a_description(), width_in=3.6)
    assert figure.get_size_inches()[0] <= 3.6 + 1e-6
    assert png(figure, dots_per_inch=50).startswith(b"\x89PNG")


def test_numbers_are_left_out_of_cells_that_are_too_small_for_them():
    names = [f"c{k}" for k in range(9)]
    table = pd.DataFrame(0.5, names, names)
    wide, narrow = (
        correlation_figure(a_description(correlations=table), width_in=w).axes[0]
        for w in (9.4, 3.6)
    )
    assert len(wide.texts) == 81 and not narrow.texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (25.0, "25"),
        (0.0, "0"),
        (18.28, "18.3"),
        (0.07514, "0.0751"),
        (123.4, "123"),
        (-1.256, "-1.26"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert three_digits(value) == text
