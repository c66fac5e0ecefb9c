"""The report says what was measured, shows where, and carries nothing from outside."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import dask
import dask.array
import imageio.v3 as imageio
import numpy as np
import pydicom
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import Measurements, measure
from napari_cardioxai.anatomy.quality import Override, check
from napari_cardioxai.errors import LabelError
from napari_cardioxai.report.study_report import write_study_report
from napari_cardioxai.report.style import LV_COLOUR, MYO_COLOUR
from napari_cardioxai.scans.contours import contour_masks
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.samples import sample_path
from napari_cardioxai.scans.scan import Kind, Provenance, Scan
from tests.anatomy.test_quality import heart_data, labels_of, scan_of

VOID = {"meta", "br", "hr", "img", "link", "input"}
SPACING_MM = (8.0, 1.5, 2.0)


class Page(HTMLParser):
    """Tags with their attributes and text; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)
        if self.open and self.open[-1] == "td":
            self.cells.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def having(self, attribute: str) -> list[dict[str, str]]:
        return [attrs for _, attrs in self.tags if attribute in attrs]


def heart(*, frames: int = 4, source: Path = Path("study"), warnings: tuple[str, ...] = ()):
    """A scan and labels of 3 slices: LV rows 10:16 and columns 12:18 in slice 1, less at ES."""
    data = np.random.default_rng(0).uniform(0, 100, (frames, 3, 40, 30)).astype(np.float32)
    values = np.zeros(data.shape, np.uint8)
    values[:, 1, 8:18, 10:20] = 2
    values[:, 1, 10:16, 12:18] = 1
    if frames > 2:
        values[2, 1, 10:12, 12:18] = 2  # 24 of 36 voxels are left in frame 2
    dz, dy, dx = SPACING_MM
    geometry = Geometry(SPACING_MM, np.diag([-dx, -dy, dz, 1.0]))
    times = 20.0 + 40.0 * np.arange(frames) if frames > 1 else None
    files = tuple(source / f"DOE^JOHN_{k}.dcm" for k in range(3 * frames))
    scan = Scan(
        data,
        geometry,
        Provenance(source, files, "TriggerTime", warnings),
        Kind.SHORT_AXIS,
        "Cine short axis",
        times,
        160.0 if frames > 1 else None,
    )
    return scan, Labels(values, geometry, times, scan.cycle_ms)


def report(tmp_path: Path, scan: Scan, labels: Labels, **said: str) -> tuple[Page, Measurements]:
    path = tmp_path / "report.html"
    measurements = measure(labels)
    write_study_report(path, scan=scan, labels=labels, measurements=measurements, provenance=said)
    return Page(path.read_text(encoding="utf-8")), measurements


def assert_self_contained(html: str) -> None:
    page = Page(html)
    for attribute in ("src", "href", "srcset", "data", "xlink:href"):
        for attrs in page.having(attribute):
            assert attrs[attribute].startswith("data:image/"), attrs[attribute][:60]
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert "http" not in html
    assert "@import" not in html
    assert "url(" not in html


def pictures(html: str) -> dict[tuple[str, str], str]:
    """(slice number, moment) to the picture's own markup."""
    found = re.findall(
        r'<div class="picture" data-slice="(\d+)" data-moment="(\w*)">(<svg.*?</svg>)', html, re.S
    )
    return {(number, moment): svg for number, moment, svg in found}


def test_every_slice_is_shown_once_at_each_moment(tmp_path):
    scan, labels = heart()
    page, _ = report(tmp_path, scan, labels)
    shown = [(attrs["data-slice"], attrs["data-moment"]) for attrs in page.having("data-slice")]
    assert shown == [(str(z), moment) for z in (1, 2, 3) for moment in ("ED", "ES")]


def test_numbers_are_those_of_a_hand_count(tmp_path):
    scan, labels = heart()
    page, measurements = report(tmp_path, scan, labels)
    # 36 and 24 voxels of 8 x 1.5 x 2 mm = 0.024 mL are 0.864 and 0.576 mL: EF 33 %.
    assert measurements.ef_percent == pytest.approx(100 / 3)
    assert "Ejection fraction 33 %" in page.text
    assert "Heart rate 375 bpm" in page.text  # 160 ms
    assert "ED = end-diastole, frame 1 of 4 at 20 ms" in page.text
    assert "ES = end-systole, frame 3 of 4 at 100 ms" in page.text
    assert "Slice 3, 16 mm" in page.text
    assert page.cells[:2] == ["LV end-diastolic volume", "1"]


def test_table_holds_every_row_of_the_measurements(tmp_path):
    scan, labels = heart()
    page, measurements = report(tmp_path, scan, labels)
    for row in measurements.as_rows():
        start = page.cells.index(row[0])
        assert page.cells[start + 1] == row[1]
        assert not row[2] or page.cells[start + 2] == row[2]


def test_file_needs_nothing_from_outside(tmp_path):
    report(tmp_path, *heart())
    assert_self_contained((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_names_of_source_files_and_folders_stay_out(tmp_path):
    source = tmp_path / "DOE^JOHN 1950"
    scan, labels = heart(
        source=source,
        warnings=(f"{source / 'DOE^JOHN_1.dcm'} was read twice", f"{source} holds two series"),
    )
    page, _ = report(tmp_path, scan, labels, command=f"cardioxai analyze {source}")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "DOE" not in html
    assert str(tmp_path) not in html
    assert "file 2 was read twice" in page.text
    assert "the source holds two series" in page.text
    assert "cardioxai analyze the source" in page.text


def test_numbers_stay_though_a_file_is_called_by_one(tmp_path):
    scan, labels = heart(warnings=("slices lie 10 mm apart; 10.dcm is missing; 110.dcm is short",))
    files = (Path("study/10"), Path("study/10.dcm"), Path("study/110.dcm"))
    scan = replace(scan, provenance=replace(scan.provenance, files=files))
    page, _ = report(tmp_path, scan, labels)
    assert "slices lie 10 mm apart; file 2 is missing; file 3 is short" in page.text


def test_what_was_said_is_printed_and_never_run(tmp_path):
    scan, labels = heart(warnings=("<script>alert(1)</script>",))
    page, _ = report(
        tmp_path,
        replace(scan, name="Cine <b>SAX</b>"),
        labels,
        model="lv-unet",
        device="cpu",
        **{"model card": "27 patients, Dice 0.93"},
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script>alert(1)</script>" in page.text
    assert "Cine <b>SAX</b>" in page.text
    assert "Segmentation: lv-unet 27 patients, Dice 0.93" in page.text
    assert "Device cpu" in page.text
    assert page.text.count("For research use only. Not a medical device.") == 2


def test_provenance_tells_order_spacing_and_files(tmp_path):
    page, _ = report(tmp_path, *heart())
    for sentence in (
        "Files read 12",
        "Frame order TriggerTime",
        "Pixel size 1.500 × 2.000 mm",
        "Slice distance 8.00 mm, from the positions of the slices along their normal",
        "Time between frames 40.0 ms",
        "Heart cycle as recorded 160 ms",
    ):
        assert sentence in page.text


def test_outlines_lie_on_the_edges_of_the_labelled_pixels(tmp_path):
    report(tmp_path, *heart())
    svg = pictures((tmp_path / "report.html").read_text(encoding="utf-8"))["2", "ED"]
    outline = {
        colour: np.array(
            [point.split() for point in re.split("[MLZ]+", path.strip("MLZ")) if point], float
        )
        for path, colour in re.findall(r'<path d="([^"]+)"[^>]*stroke="([^"]+)"', svg)
    }
    # The cut starts 20 mm before the labels in both directions: column 0, row 0.
    x, y = outline[LV_COLOUR].T
    assert (x.min(), x.max()) == (12 * 2.0, 18 * 2.0)
    assert (y.min(), y.max()) == (10 * 1.5, 16 * 1.5)
    x, y = outline[MYO_COLOUR].T
    assert (x.min(), x.max()) == (10 * 2.0, 20 * 2.0)


def test_pictures_have_the_aspect_of_the_body_not_of_the_pixels(tmp_path):
    report(tmp_path, *heart())
    svg = pictures((tmp_path / "report.html").read_text(encoding="utf-8"))["1", "ES"]
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    assert (width, height) == (60.0, 60.0)  # 30 columns of 2 mm, 40 rows of 1.5 mm
    encoded = re.search(r"base64,([^\"]+)", svg)[1]
    image = imageio.imread(base64.b64decode(encoded), extension=".jpg")
    assert image.shape == (300, 300)


def test_orientation_letters_stand_at_their_edges(tmp_path):
    report(tmp_path, *heart())  # columns run to the patient's left, rows to the back
    svg = pictures((tmp_path / "report.html").read_text(encoding="utf-8"))["1", "ED"]
    places = {
        text: (float(x), float(y))
        for x, y, text in re.findall(r'<text x="(\S+)" y="(\S+)"[^>]*>(\w+)</text>', svg)
    }
    assert set(places) == {"ED", "A", "P", "L", "R"}
    assert places["A"][1] < 10 < 50 < places["P"][1]
    assert places["R"][0] < 10 < 50 < places["L"][0]


def test_frame_that_the_source_lacks_is_marked(tmp_path):
    scan, labels = heart()
    report(tmp_path, replace(scan, missing=((2, 0),)), labels)
    shown = pictures((tmp_path / "report.html").read_text(encoding="utf-8"))
    marked = [place for place, svg in shown.items() if "not in the source" in svg]
    assert marked == [("1", "ES")]


def test_unknown_spacing_and_time_are_said_to_be_unknown(tmp_path):
    scan, labels = heart()
    bare = Geometry(None)
    scan = replace(scan, geometry=bare, frame_times_ms=None, cycle_ms=None)
    labels = replace(labels, geometry=bare, frame_times_ms=None, cycle_ms=None)
    page, _ = report(tmp_path, scan, labels)
    assert "Ejection fraction 33 %" in page.text
    assert "End-diastolic volume – not known" in page.text
    assert "Pixel size not known; nothing is in mL" in page.text
    assert "Time between frames not known" in page.text
    assert "Volume-time curve" not in {attrs["aria-label"] for attrs in page.having("aria-label")}
    assert not {"nan", "None"} & set(page.text.split())


def test_single_frame_is_shown_without_diastole_and_systole(tmp_path):
    page, _ = report(tmp_path, *heart(frames=1))
    assert [a["data-slice"] for a in page.having("data-slice")] == ["1", "2", "3"]
    assert "Ejection fraction – not known" in page.text
    assert "LV volume" in page.cells


def test_only_the_two_pictured_frames_are_read(tmp_path):
    scan, labels = heart(frames=4)
    read = []

    def frame(t: int) -> np.ndarray:
        read.append(t)
        return scan.data[t]

    lazy = dask.array.stack(
        [
            dask.array.from_delayed(dask.delayed(frame)(t), scan.data.shape[1:], scan.data.dtype)
            for t in range(4)
        ]
    )
    report(tmp_path, replace(scan, data=lazy), labels)
    assert sorted(read) == [0, 2]


def test_labels_of_another_grid_are_refused(tmp_path):
    scan, labels = heart()
    measurements = measure(labels)
    with pytest.raises(LabelError, match="made on this scan"):
        write_study_report(
            tmp_path / "report.html",
            scan=replace(scan, data=scan.data[:, :2]),
            labels=labels,
            measurements=measurements,
            provenance={},
        )
    assert not list(tmp_path.iterdir())


def sample_scan() -> Scan:
    """The shipped study, read with pydicom alone."""
    headers = [pydicom.dcmread(path) for path in sorted(sample_path().glob("*.dcm"))]
    data = np.stack([image.pixel_array for image in headers]).reshape(12, 20, 160, 160)
    affine = np.eye(4)  # placed for contours: LPS turned into RAS
    along_row, along_column = np.reshape(headers[0].ImageOrientationPatient, (2, 3)).astype(float)
    first, last = (np.array(headers[k].ImagePositionPatient, float) for k in (0, 220))
    spacing = float(headers[0].PixelSpacing[0])
    columns = (along_row * spacing, along_column * spacing, (last - first) / 11, first)
    affine[:3] = np.stack(columns, axis=1)
    affine[:2] *= -1
    return Scan(
        data.swapaxes(0, 1).astype(np.float32),
        Geometry((10.0, spacing, spacing), affine),
        Provenance(sample_path(), tuple(sorted(sample_path().glob("*.dcm"))), "TriggerTime"),
        Kind.SHORT_AXIS,
        str(headers[0].SeriesDescription),
        18.75 + 37.5 * np.arange(20),
        750.0,
    )


def test_report_of_the_shipped_sample_is_small_anonymous_and_complete(tmp_path):
    scan = sample_scan()
    masks = contour_masks(sample_path(), scan)
    values = np.zeros(scan.data.shape, np.uint8)
    for place, mask in masks.outer.items():
        values[place][mask] = 2
    for place, mask in masks.inner.items():
        values[place][mask] = 1
    labels = Labels(values, scan.geometry, scan.frame_times_ms, scan.cycle_ms)
    page, measurements = report(tmp_path, scan, labels)
    path = tmp_path / "report.html"
    html = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 3e6
    assert "SCD0000101" not in html
    assert str(sample_path().parent) not in html
    assert_self_contained(html)
    assert len(pictures(html)) == 2 * 12
    assert (measurements.ed_frame, measurements.es_frame) == (18, 7)
    assert "ED = end-diastole, frame 19 of 20 at 694 ms" in page.text
    # Only the two labelled frames are points of the curve.
    curve = re.search(r'<polyline points="([^"]+)"', html)[1]
    assert len(curve.split()) == 2


def test_tiles_and_table_follow_the_measurements_given(tmp_path):
    scan, labels = heart()
    given = replace(measure(labels), ef_percent=61.6, edv_ml=142.3, cardiac_output_l_min=5.57)
    path = tmp_path / "report.html"
    write_study_report(path, scan=scan, labels=labels, measurements=given, provenance={})
    text = Page(path.read_text(encoding="utf-8")).text
    assert "Ejection fraction 62 % End-diastolic volume 142 mL" in text
    assert "Cardiac output 5.6 L/min" in text


def whole_heart(source: Path) -> tuple[Scan, Labels]:
    """Both ventricles, muscle and a hole in the cavity of slice 5, frame 3."""
    values = heart_data()
    values[2, 4, 38:43, 63:68] = 0
    labels = labels_of(values)
    scan = scan_of(values, name="Cine short axis", kind=Kind.SHORT_AXIS)
    files = (source / "DOE^JOHN_1.dcm",)
    return replace(scan, provenance=Provenance(source, files)), labels


def write(tmp_path: Path, scan: Scan, labels: Labels, overrides: tuple[Override, ...] = ()) -> str:
    path = tmp_path / "report.html"
    quality = check(labels).with_overrides(overrides)
    write_study_report(
        path,
        scan=scan,
        labels=labels,
        measurements=measure(labels),
        provenance={},
        quality=quality,
    )
    return path.read_text(encoding="utf-8")


def test_report_of_a_whole_heart_is_one_well_formed_file(tmp_path):
    html = write(tmp_path, *whole_heart(tmp_path))
    assert_self_contained(html)
    titles = re.findall(r"<h2>([^<]+)</h2>", html)
    assert titles[:3] == [
        "Function over the heart cycle",
        "Wall of the left ventricle",
        "Quality control",
    ]
    assert not {"nan", "None", "inf"} & set(Page(html).text.split())


def test_quality_is_summed_up_at_the_top(tmp_path):
    html = write(tmp_path, *whole_heart(tmp_path))
    line = re.search(r'<p class="quality-line alert">([^<]+)</p>', html)
    assert line and re.match(r"Quality: [1-9]\d* open warnings?, ", line[1])
    assert line.start() < html.index("<h2>")


def test_reason_of_a_reviewer_is_printed_without_names_of_the_source(tmp_path):
    scan, labels = whole_heart(tmp_path / "DOE^JOHN 1950")
    decision = Override("holes", 4, 2, "as DOE^JOHN_1.dcm of DOE^JOHN 1950 shows")
    html = write(tmp_path, scan, labels, (decision,))
    assert "as file 1 of the source shows" in html
    assert "DOE" not in html


def test_frames_of_the_worst_findings_are_read_and_no_others(tmp_path):
    scan, labels = whole_heart(tmp_path)
    read = set()

    def frame(t: int) -> np.ndarray:
        read.add(t)
        return scan.data[t]

    shape, kind = scan.data.shape[1:], scan.data.dtype
    frames = [
        dask.array.from_delayed(dask.delayed(frame)(t), shape, kind) for t in range(len(scan.data))
    ]
    html = write(tmp_path, replace(scan, data=dask.array.stack(frames)), labels)
    shown = re.findall(r'data-finding="\d+ (\d+)"', html)
    measured = measure(labels)
    assert "3" in shown
    assert read == {measured.ed_frame, measured.es_frame, *(int(t) - 1 for t in shown)}
