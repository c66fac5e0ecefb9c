"""Sections say what was measured, and in one line why something was not."""

import re
from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import measure
from napari_cardioxai.anatomy.quality import Override, check
from napari_cardioxai.report.function_section import function_section
from napari_cardioxai.report.pictures import frame_around
from napari_cardioxai.report.quality_section import amount, quality_line, quality_section
from napari_cardioxai.report.wall_section import wall_section
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.scan import Scan
from tests.anatomy.test_quality import heart_data, labels_of, scan_of

REASON = "papillary muscle <left out> on purpose"


@pytest.fixture(scope="module")
def heart() -> Labels:
    """Both ventricles and the muscle over 20 frames."""
    return labels_of(heart_data())


def text_of(html: str) -> str:
    without = re.sub(r"<(svg|style).*?</\1>", " ", html, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", without).split())


def only(labels: Labels, *structures: int) -> Labels:
    return replace(labels, data=np.where(np.isin(labels.data, structures), labels.data, 0))


# Function ---------------------------------------------------------------------


def test_both_ventricles_have_a_derivative_and_a_column_of_rates(heart):
    html = function_section(heart, measure(heart), check(heart))
    assert html.count('aria-label="LV rate of volume change"') == 1
    assert html.count('aria-label="RV rate of volume change"') == 1
    measured = measure(heart)
    row = f"Peak ejection rate (PER) {measured.per_ml_s:.0f} {measured.rv_per_ml_s:.0f} mL/s"
    assert row in text_of(html)


def test_one_filling_wave_is_not_separable_and_the_reason_stands_below(heart):
    # The cavities follow sin², so each fills in one wave.
    text = text_of(function_section(heart, measure(heart), check(heart)))
    assert "Peak atrial filling rate (PAFR) not separable not separable mL/s" in text
    assert "LV and RV: Fused (E/A not separable)" in text


def test_missing_right_ventricle_is_one_line_and_no_empty_column(heart):
    labels = only(heart, 1, 2)
    html = function_section(labels, measure(labels), check(labels))
    text = text_of(html)
    assert "The right ventricle (label 3) is not labelled" in text
    assert "RV end-diastolic volume" not in text
    assert 'aria-label="RV rate' not in html
    assert '<th class="number">RV</th>' not in html


def test_value_beside_healthy_ones_carries_an_arrow_and_the_range(heart):
    measured = replace(measure(heart), ef_percent=22.0)
    html = function_section(heart, measured, check(heart))
    # Petersen 2017: men 58 ± 5, women 61 ± 5; 58 - 1.96 * 5 = 48.2 and 61 + 1.96 * 5 = 70.8.
    assert "LV ejection fraction 22 ↓ % 48–71" in text_of(html)
    assert "papillary muscles counted as muscle" in text_of(html)


def test_range_is_left_out_where_the_rule_cannot_be_judged(heart):
    labels = replace(heart, data=heart.data.copy())
    labels.data[:, :3], labels.data[:, 6:] = 0, 0  # three slices are no whole ventricle
    text = text_of(function_section(labels, measure(labels), check(labels)))
    assert re.search(r"LV ejection fraction \d+ % – ", text)
    assert "which is no whole ventricle" in text


def test_too_few_labelled_frames_give_the_reason_in_place_of_a_derivative(heart):
    data = np.zeros_like(heart.data)
    data[[0, 10]] = heart.data[[0, 10]]
    labels = replace(heart, data=data)
    html = function_section(labels, measure(labels), check(labels))
    assert "18 of 20 frames have no volume, so there are no rates." in text_of(html)
    assert "LV rate of volume change" in text_of(html)
    assert 'aria-label="LV rate' not in html


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"geometry": Geometry(None)}, "the pixel size is unknown"),
        ({"frames": 1}, "there is one frame only"),
    ],
)
def test_no_curve_is_one_line(heart, change, said):
    labels = heart
    if "frames" in change:
        labels = replace(heart, data=heart.data[:1], frame_times_ms=None, cycle_ms=None)
    else:
        labels = replace(heart, **change)
    html = function_section(labels, measure(labels), check(labels))
    assert said in text_of(html) and "<svg" not in html


# Walls ------------------------------------------------------------------------


def test_wall_shows_both_bullseyes_curves_of_every_third_and_units(heart):
    measured = measure(heart)
    html = wall_section(heart, measured)
    assert html.count("data-segment=") == 2 * 17
    for ring in ("basal", "mid", "apical"):
        assert f'aria-label="Wall thickness over the heart cycle, {ring}"' in html
    assert f"Myocardial mass {measured.lvm_g:.0f} g" in text_of(html)
    assert f"Dyssynchrony index (SDI) {measured.sdi_percent:.1f} % of cycle" in text_of(html)


def test_wall_curves_are_those_of_the_labelled_ring():
    """A ring that grows from 20 to 15 mm inside 30 mm: 10 mm thick at ED, 15 mm at ES."""
    frames, size = 10, 90
    y, x = np.mgrid[:size, :size] - 45.0
    radius = np.hypot(y, x)
    inner = 20.0 - 5.0 * np.sin(np.pi * np.arange(frames) / frames) ** 2
    data = np.zeros((frames, 6, size, size), np.uint8)
    data[:, :, (x < -20) & (radius < 40)] = 3
    data[:, :, radius < 30] = 2
    for t in range(frames):
        data[t, :, radius < inner[t]] = 1
    times = 80.0 * np.arange(frames)
    labels = Labels(data, Geometry((8.0, 1.0, 1.0)), times, 800.0)
    html = wall_section(labels, measure(labels))
    svg = re.search(r'<svg [^>]*cycle, mid".*?</svg>', html, re.S)[0]
    zero, ten = (
        float(re.search(rf'y="(\S+)" text-anchor="end"[^>]*>{tick}</text>', svg)[1]) - 5
        for tick in ("0", "10")
    )
    for path in re.findall(r'<polyline points="([^"]+)"', svg):
        down = np.array([pair.split(",")[1] for pair in path.split()], float)
        thickness = 10.0 * (zero - down) / (zero - ten)
        np.testing.assert_allclose(thickness, 30.0 - inner, atol=0.4)


def test_missing_myocardium_is_one_line(heart):
    labels = only(heart, 1, 3)
    html = wall_section(labels, measure(labels))
    assert "The myocardium (label 2) is not labelled" in text_of(html)
    assert "<svg" not in html and "<table" not in html


def test_mass_stays_where_only_the_right_ventricle_is_missing(heart):
    labels = only(heart, 1, 2)
    measured = measure(labels)
    html = wall_section(labels, measured)
    assert f"Myocardial mass {measured.lvm_g:.0f} g" in text_of(html)
    assert "draw what is missing: RV cavity" in text_of(html)
    assert "<svg" not in html


def test_single_phase_has_thickness_but_no_thickening(heart):
    labels = replace(heart, data=heart.data[:1], frame_times_ms=None, cycle_ms=None)
    html = wall_section(labels, measure(labels))
    assert html.count("data-segment=") == 17
    assert "There is one phase only: no thickening" in text_of(html)


# Quality ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def holed(heart) -> Labels:
    """A hole of 5 x 5 pixels in slice 5 of frame 3."""
    data = heart.data.copy()
    assert (data[2, 4, 38:43, 63:68] == 1).all()
    data[2, 4, 38:43, 63:68] = 0
    return replace(heart, data=data)


def quality_html(labels: Labels, report, scan: Scan | None = None) -> str:
    scan = scan_of(labels.data) if scan is None else scan
    return quality_section(
        report,
        scan=scan,
        labels=labels,
        frame=frame_around(labels, scan.data[:1]),
        ed_frame=0,
        private=lambda text: text.replace("DOE", "the source"),
    )


def test_a_finding_comes_with_value_threshold_slice_and_frame(holed):
    html = quality_html(holed, check(holed))
    row = next(row for row in re.findall(r"<tr.*?</tr>", html, re.S) if "A hole of 25" in row)
    assert re.findall(r'<td class="number">([^<]+)</td>', row) == ["25 px", "≤ 3 px", "5", "3"]
    assert 'class="warning"' in row and "Warning" in row


def test_kinds_are_apart_and_an_empty_one_is_one_line(heart, holed):
    low = replace(holed, data=np.where(holed.data == 1, 1, holed.data))
    text = text_of(quality_html(low, check(low)))
    technical, unusual = text.index("Technical faults"), text.index("Unusual physiology")
    assert technical < text.index("A hole of 25") < unusual
    assert "No technical fault was found." in text_of(quality_html(heart, check(heart)))


def test_overruled_finding_is_struck_through_with_the_reason_and_not_pictured(holed):
    decision = Override("holes", 4, 2, f"{REASON}, DOE", "2026-01-02T03:04:05+00:00")
    report = check(holed).with_overrides([decision])
    html = quality_html(holed, report)
    struck = re.search(r"<s>(.*?)</s>", html)[1]
    assert "A hole of 25 pixels" in struck
    assert "Overruled 2026-01-02: papillary muscle &lt;left out&gt; on purpose, the source" in html
    assert "fill it.</p></figure>" not in html
    assert "1 overruled by a reviewer" in quality_line(report)


def test_worst_finding_is_pictured_with_contours_circle_and_sentence(holed):
    html = quality_html(holed, check(holed))
    figure = re.search(r'<div class="worst"><figure>(.*?)</figure>', html, re.S)[1]
    assert 'data-finding="5 3"' in figure
    assert "Slice 5, 32 mm, frame 3 of 20 at 90 ms" in figure
    assert 'stroke="#f4502f"' in figure and "<ellipse" in figure
    assert figure.rstrip().endswith("in slice 5, frame 3: fill it.</p>")


def test_a_jump_is_pictured_beside_the_frame_before(heart):
    labels = replace(heart, data=heart.data.copy())
    labels.data[12, 2:8] = np.where(labels.data[12, 2:8] == 1, 2, labels.data[12, 2:8])
    labels.data[12, 2:8, 40:42, 64:66] = 1  # a little of the cavity is left
    html = quality_html(labels, check(labels))
    (jump,) = (p for p in re.findall(r"<figure>.*?</figure>", html, re.S) if "from frame" in p)
    frames = re.findall(r'data-finding="\d+ (\d+)"', jump)
    assert f"from frame {frames[0]} to {frames[1]}" in jump
    assert int(frames[1]) == int(frames[0]) + 1


def test_image_that_the_source_lacks_is_said_in_its_picture(heart):
    scan = replace(scan_of(heart.data), missing=((4, 3),))
    html = quality_html(heart, check(heart, scan=scan), scan)
    assert "frame 5 not in the source" in html


def test_unchecked_labels_are_not_called_good(heart):
    html = quality_html(heart, None)
    assert "The quality of labels and images was not checked." in text_of(html)
    assert "No technical fault" not in html
    assert quality_line(None) == ""


def test_decision_about_nothing_found_any_more_is_counted(heart):
    report = check(heart).with_overrides([Override("holes", 4, 2, REASON)])
    text = text_of(quality_html(heart, report))
    assert "Decisions of the reviewer about what is no longer found: 1." in text


def test_rules_that_could_not_be_judged_come_with_the_reason(heart):
    labels = only(heart, 1)
    text = text_of(quality_html(labels, check(labels)))
    assert "Could not be judged" in text and "No Myocardium is labelled: " in text


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.4651, "part", "46.5 %"),
        (0.1, "part", "10 %"),
        (1.0, "slices", "1 slice"),
        (4.0, "slices", "4 slices"),
        (1.0, "ms", "1 ms"),
        (160.6, "mL", "161 mL"),
        (0.5923, "radius", "0.592 radius"),
        (None, "px", "–"),
    ],
)
def test_amounts_have_units_and_no_more_digits_than_tell(value, unit, words):
    assert amount(value, unit) == words
