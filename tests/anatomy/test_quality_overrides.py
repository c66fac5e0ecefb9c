"""A reviewer's decision marks the finding, stays with it and survives the disk."""

import json

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality import (
    Override,
    QualityError,
    check,
    read_overrides,
    write_overrides,
)
from napari_cardioxai.scans.geometry import Geometry

REASON = "papillary muscle, left out on purpose"


def labels(holes=((0, 2),)):
    """A ring in four frames of three slices, with holes in its cavity at (frame, slice)."""
    data = np.zeros((4, 3, 40, 40), np.uint8)
    data[:, :, 5:35, 5:35] = 2
    data[:, :, 10:30, 10:30] = 1
    for t, z in holes:
        data[t, z, 18:21, 18:21] = 0
    return Labels(data, Geometry(None))


def holes(report):
    return [finding for finding in report.findings if finding.rule == "holes"]


def test_an_overruled_finding_stays_and_carries_the_reason():
    report = check(labels())
    (before,) = holes(report)
    overruled = report.with_overrides([Override("holes", 2, 0, REASON, "2026-01-02T03:04:05")])
    (finding,) = holes(overruled)
    assert finding.overruled.reason == REASON and not finding.passed
    assert before in report.open and finding not in overruled.open
    entry = next(f for f in overruled.as_json()["findings"] if f["rule"] == "holes")
    assert entry["overruled"] == {"reason": REASON, "when": "2026-01-02T03:04:05"}
    assert overruled.as_json()["open_warnings"] == report.as_json()["open_warnings"] - 1


@pytest.mark.parametrize(
    ("place", "covered"),
    [((2, 0), True), ((2, None), True), ((None, None), True), ((1, 0), False), ((2, 3), False)],
)
def test_an_override_holds_where_it_was_given(place, covered):
    report = check(labels()).with_overrides([Override("holes", *place, REASON)])
    assert (holes(report)[0].overruled is not None) is covered


def test_an_override_of_another_rule_or_structure_does_not_hold():
    others = [Override("specks", 2, 0, REASON), Override("holes", 2, 0, REASON, structure=3)]
    assert holes(check(labels()).with_overrides(others))[0].overruled is None


def test_taking_an_override_back_reopens_the_finding():
    report = check(labels()).with_overrides([Override("holes", 2, 0, REASON)])
    assert holes(report.with_overrides([]))[0].overruled is None


def test_overrides_go_on_to_hold_after_an_edit():
    earlier = check(labels()).with_overrides([Override("holes", 2, 0, REASON)])
    report = check(labels(holes=((0, 2), (1, 0))), earlier=earlier)
    assert {f.slice: f.overruled is not None for f in holes(report)} == {2: True, 0: False}
    assert report.overrides == earlier.overrides


def test_an_override_needs_a_reason():
    with pytest.raises(QualityError, match="needs a reason"):
        Override("holes", 2, 0, "  ")


def test_overrides_survive_the_disk(tmp_path):
    path = tmp_path / "labels.quality.json"
    decisions = (
        Override("holes", 2, 0, REASON, "2026-01-02T03:04:05+00:00"),
        Override("stroke_volumes", None, None, "known mitral regurgitation", structure=1),
    )
    write_overrides(path, decisions)
    assert read_overrides(path) == decisions
    assert json.loads(path.read_text())["version"] == 1


def test_no_file_means_no_overrides(tmp_path):
    assert read_overrides(tmp_path / "none.json") == ()


MARK = '"what": "napari-cardioxai quality overrides"'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"what": "else", "version": 1, "overrides": []}', "no quality overrides"),
        (f'{{{MARK}, "version": 99, "overrides": []}}', "update napari-cardioxai"),
        (f'{{{MARK}, "version": 1, "overrides": [{{"rule": "holes"}}]}}', "incomplete"),
        (
            f'{{{MARK}, "version": 1, "overrides": [{{"rule": "holes", "slice": "2", "frame": 1, "reason": "x", "when": "y"}}]}}',
            "incomplete",
        ),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path, content, says):
    path = tmp_path / "labels.quality.json"
    path.write_text(content)
    with pytest.raises(QualityError, match=says):
        read_overrides(path)
