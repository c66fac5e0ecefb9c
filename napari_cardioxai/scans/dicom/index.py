"""What DICOM files hold: one record a picture, pixels not touched.

Files are recognised by their content, never by their name. Patient identity
is looked at once, to keep it out of series names, and is not kept.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.uid import UID

from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.dicom.enhanced import enhanced_frames
from napari_cardioxai.scans.dicom.frame import (
    Frame,
    component_of,
    directions_of,
    pair_of,
    window_of,
)
from napari_cardioxai.scans.dicom.header import TAGS, UNREADABLE, Header, moment_ms, quiet_pydicom
from napari_cardioxai.scans.dicom.pixels import Pixels, describe_pixels

FILES_BETWEEN_REPORTS = 10
MOST_FRAMES = 10_000  # of one file; a larger number is damage
_STORAGE_CLASS = r"1\.2\.840\.10008\.5\.1\.4\.[\d.]{1,40}"
_DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass
class Index:
    """All pictures that were found, and what was found besides.

    Attributes
    ----------
    lost
        A sentence about each file whose pictures cannot be had.
    other_objects
        How many reports, segmentations and the like there were, by kind.
    """

    frames: list[Frame] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    other_objects: Counter[str] = field(default_factory=Counter)


def read_index(files: Sequence[Path], *, on_progress: Progress = silent) -> Index:
    """Headers of all DICOM files among `files`; what is no DICOM is passed over."""
    index = Index()
    names: dict[str, str] = {}
    with quiet_pydicom():
        for done, path in enumerate(files):
            if done % FILES_BETWEEN_REPORTS == 0:
                on_progress(done, len(files), "reading headers")
            magic: bool | None = None
            try:
                with path.open("rb") as file:
                    magic = _magic(file)
                    if magic is not None:
                        _read_file(path, file, index=index, names=names, has_magic=magic)
            except OSError as error:
                reason = error.strerror or "damaged"
                index.lost.append(f"{path.name} cannot be read ({reason}) and was left out.")
            except UNREADABLE:
                if magic:
                    index.lost.append(f"{path.name} is damaged and was left out; export it again.")
    on_progress(len(files), len(files), "reading headers")
    return index


def _magic(file: BinaryIO) -> bool | None:
    """True with DICOM's preamble, False when it may do without, None for anything else."""
    start = file.read(132)
    file.seek(0)
    if start[128:] == b"DICM":
        return True
    if len(start) < 16:
        return None
    group, element = struct.unpack("<HH", start[:4])
    little = group in (0x0002, 0x0008) and element < 0x0100
    return False if little or start[:3] == b"\x00\x08\x00" else None


def _read_file(
    path: Path, file: BinaryIO, *, index: Index, names: dict[str, str], has_magic: bool
) -> None:
    dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=TAGS)
    header = Header(dataset)
    kind = header.text("SOPClassUID") or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    if kind == _DICOMDIR:
        return
    if not re.fullmatch(_STORAGE_CLASS, kind):
        if has_magic:
            index.lost.append(f"{path.name} is cut short or damaged and was left out.")
        return
    pixels = describe_pixels(file, header)
    sized = header.number("Rows") > 0 and header.number("Columns") > 0
    if pixels is None and "Image Storage" not in UID(kind).name:
        index.other_objects[UID(kind).name.removesuffix(" Storage")] += 1
    elif header.is_mosaic:
        index.lost.append(
            f"{path.name} is a Siemens mosaic, which keeps all slices in one picture; "
            "export the series as single slices or as enhanced DICOM."
        )
    elif not sized:
        index.lost.append(f"{path.name} is cut short before its picture and was left out.")
    else:
        index.frames.extend(_frames(path, header, pixels, names))


def _frames(
    path: Path, header: Header, pixels: Pixels | None, names: dict[str, str]
) -> Iterator[Frame]:
    """The pictures of one file."""
    common = _common_values(path, header, pixels, names)
    count = header.number("NumberOfFrames")
    # Some archives add empty functional groups to plain objects, which have no number of frames.
    if count >= 1 and "PerFrameFunctionalGroupsSequence" in header.dataset:
        yield from enhanced_frames(header.dataset, common)
    elif count > 1:
        common["resolution_ms"] = header.number("FrameTime")
        for number in range(min(int(count), MOST_FRAMES)):
            common |= {"number": number, "keys": {"InstanceNumber": number + 1.0}}
            yield Frame(**common)
    else:
        yield Frame(**common)


def _common_values(
    path: Path, header: Header, pixels: Pixels | None, names: dict[str, str]
) -> dict[str, Any]:
    """Fields of `Frame` from the top level of a header."""
    series = header.text("SeriesInstanceUID") or f"number {header.text('SeriesNumber')}"
    if series not in names:
        names[series] = _harmless_name(header)
    keys = {
        keyword: header.number(keyword)
        for keyword in (
            "TemporalPositionIdentifier",
            "TriggerTime",
            "NominalPercentageOfCardiacPhase",
            "NominalCardiacTriggerDelayTime",
            "InstanceNumber",
            "AcquisitionNumber",
        )
    }
    keys["AcquisitionTime"] = header.clock_ms("Acquisition")
    if np.isnan(keys["AcquisitionTime"]):
        keys["AcquisitionTime"] = moment_ms(header.text("AcquisitionDateTime"))
    keys["ContentTime"] = header.clock_ms("Content")
    position = header.numbers("ImagePositionPatient")
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    cycle_ms, beats = header.number("NominalInterval"), header.number("HeartRate")
    return {
        "path": path,
        "number": 0,
        "uid": header.text("SOPInstanceUID"),
        "study": header.text("StudyInstanceUID"),
        "series": series,
        "series_number": header.number("SeriesNumber"),
        "name": names[series],
        "reference": header.text("FrameOfReferenceUID"),
        "component": component_of(header.text("ImageType"), header.text("ComplexImageComponent")),
        "shape": (int(header.number("Rows")), int(header.number("Columns"))),
        "pixel_mm": pair_of(header.numbers("PixelSpacing")),
        "thickness_mm": header.number("SliceThickness"),
        "position": np.array(position) if len(position) == 3 else None,
        "directions": directions_of(header.numbers("ImageOrientationPatient")),
        "keys": {keyword: value for keyword, value in keys.items() if np.isfinite(value)},
        "contrast": (header.number("EchoTime"), header.number("InversionTime")),
        "cycle_ms": 60_000 / beats if not cycle_ms > 0 and beats > 0 else cycle_ms,
        "resolution_ms": header.number("TemporalResolution"),
        "planned": header.number("CardiacNumberOfImages"),
        "slope": slope if np.isfinite(slope) and slope != 0 else 1.0,
        "intercept": intercept if np.isfinite(intercept) else 0.0,
        "window": window_of(header.numbers("WindowCenter"), header.numbers("WindowWidth")),
        "pixels": pixels,
    }


# Name -----------------------------------------------------------------------


def _harmless_name(header: Header) -> str:
    """Series description, unless it carries the patient's name, number or a date."""
    dataset, number = header.dataset, header.number("SeriesNumber")
    label = f"series {number:.0f}" if np.isfinite(number) else ""
    described = str(dataset.get("SeriesDescription") or dataset.get("ProtocolName") or "")
    described = "".join(c for c in described if c.isprintable()).strip()
    identity = " ".join(
        str(dataset.get(keyword, ""))
        for keyword in ("PatientName", "PatientID", "OtherPatientIDs", "AccessionNumber")
    )
    words = [word for word in re.split(r"[\W_]+", identity.lower()) if len(word) >= 3]
    dated = re.search(r"(19|20)\d\d[-./]?\d\d[-./]?\d\d", described)
    if not described or dated or any(word in described.lower() for word in words):
        return label.capitalize() or "Series"
    return f"{described} ({label})" if label else described
