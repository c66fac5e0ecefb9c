"""The worst findings come first, and their pictures show the right place."""

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality import Finding, Override, QualityReport, check
from napari_cardioxai.report.worst import place_of, worst_findings
from napari_cardioxai.scans.geometry import Geometry


def finding(rule="holes", *, value=9.0, threshold=3.0, z=1, t=0, **more) -> Finding:
    said = {"kind": "technical", "severity": "warning", "unit": "px", **more}
    return Finding(
        rule=rule,
        value=value,
        threshold=threshold,
        slice=z,
        frame=t,
        sentence=f"{rule} {value}.",
        passed=False,
        **said,
    )


def report(*findings: Finding) -> QualityReport:
    return QualityReport(findings, (), ())


def ring_labels() -> Labels:
    """A cavity of 20 x 20 in a wall of 30 x 30, in 4 frames and 3 slices."""
    data = np.zeros((4, 3, 40, 40), np.uint8)
    data[:, :, 5:35, 5:35] = 2
    data[:, :, 10:30, 10:30] = 1
    return Labels(data, Geometry((8.0, 1.0, 1.0)))


def test_warnings_come_before_remarks_and_technical_faults_before_physiology():
    remark = finding("specks", severity="info", value=900.0)
    warning = finding("holes", value=4.0)
    unusual = finding("lv_ef_reference", kind="physiology", value=900.0)
    assert worst_findings(report(unusual, remark, warning)) == [warning, remark, unusual]


def test_among_equals_the_one_furthest_beyond_its_threshold_comes_first():
    small, large = finding("holes", value=6.0), finding("lv_on_rv", value=0.9, threshold=0.1)
    below = finding("components", value=0.05, threshold=0.95)
    assert worst_findings(report(small, large, below)) == [below, large, small]


def test_every_rule_has_its_turn_before_one_comes_again():
    holes = [
        finding("holes", value=value, z=z) for z, value in enumerate((90.0, 80.0, 70.0, 60.0, 50.0))
    ]
    other = finding("lv_on_rv", value=4.0)
    assert worst_findings(report(*holes, other)) == [*holes[:3], other]


def test_at_most_four_are_pictured():
    holes = [finding("holes", z=z) for z in range(9)]
    assert len(worst_findings(report(*holes))) == 4


def test_overruled_findings_and_those_without_a_place_are_not_pictured():
    decided = finding("holes", overruled=Override("holes", 1, 0, "seen"))
    nowhere = finding("frame_interval", z=None, t=None)
    assert worst_findings(report(decided, nowhere)) == []


def test_a_finding_without_a_frame_is_shown_at_end_diastole():
    place = place_of(finding("duplicate_slices", z=2, t=None), ring_labels(), ed_frame=3)
    assert (place.slice, place.frames) == (2, (3,))


def test_a_jump_is_shown_with_the_frame_before_where_the_area_changes_most():
    labels = ring_labels()
    labels.data[2, 1, 10:20, 10:30] = 2  # half of the cavity of slice 2
    labels.data[2, 0, 10:12, 10:30] = 2  # a tenth of slice 1
    jump = finding("volume_jump", z=None, t=2, structure=1)
    place = place_of(jump, labels, ed_frame=0)
    assert (place.slice, place.frames) == (1, (1, 2))


def test_the_end_of_the_cycle_is_shown_with_its_beginning():
    labels = ring_labels()
    labels.data[3, 2, 10:20] = 0
    place = place_of(finding("cycle_closure", z=None, t=3, structure=1), labels, ed_frame=1)
    assert (place.slice, place.frames) == (2, (0, 3))


def test_an_empty_frame_is_shown_where_the_heart_is_in_the_others():
    labels = ring_labels()
    labels.data[1] = 0
    labels.data[:, [0, 2]] = 0
    place = place_of(finding("presence", z=None, t=1), labels, ed_frame=0)
    assert (place.slice, place.frames) == (1, (1,))


def test_a_hole_is_circled():
    labels = ring_labels()
    labels.data[0, 1, 18:21, 22:25] = 0
    (found,) = (f for f in check(labels).findings if f.rule == "holes")
    row, column, radius = place_of(found, labels, ed_frame=0).circle
    assert (row, column) == (19, 23)
    assert 2**0.5 < radius < 5


@pytest.mark.parametrize("rule", ["specks", "components"])
def test_the_stray_piece_is_circled_and_not_the_heart(rule):
    labels = ring_labels()
    labels.data[2, 0, 1:3, 36:38] = 1
    row, column, _ = place_of(finding(rule, z=0, t=2, structure=1), labels, ed_frame=0).circle
    assert (row, column) == (1.5, 36.5)


def test_what_lies_along_a_whole_border_has_no_circle():
    assert place_of(finding("lv_on_rv", structure=1), ring_labels(), ed_frame=0).circle is None
