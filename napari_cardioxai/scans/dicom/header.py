"""Values of a DICOM header, decoded from their raw bytes.

pydicom builds an object for each value that is asked for; decoding the few
that an index needs directly takes a fraction of that time, which is most of
the time that opening a folder takes.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from pydicom.config import disable_value_validation
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag

# What pydicom raises on damaged files; there is no common base.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    InvalidDicomError,
    BytesLengthException,
)
MS_PER_DAY = 86_400_000.0

_KEYWORDS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "AcquisitionDate",
    "ContentDate",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
    "AccessionNumber",
    "SeriesDescription",
    "ProtocolName",
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "ComplexImageComponent",
    "SliceThickness",
    "EchoTime",
    "InversionTime",
    "FrameTime",
    "TriggerTime",
    "NominalInterval",
    "HeartRate",
    "CardiacNumberOfImages",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "TemporalPositionIdentifier",
    "TemporalResolution",
    "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "DimensionIndexSequence",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "WindowCenter",
    "WindowWidth",
    "RescaleIntercept",
    "RescaleSlope",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_TAG_OF = {keyword: tag_for_keyword(keyword) or 0 for keyword in _KEYWORDS}
_MOSAIC_CREATOR, _MOSAIC_COUNT = 0x00190010, 0x0019100A
TAGS = [BaseTag(tag) for tag in (*_TAG_OF.values(), _MOSAIC_CREATOR, _MOSAIC_COUNT)]
# Values that are not text, by their struct code.
_BINARY = {
    "Rows": "H",
    "Columns": "H",
    "SamplesPerPixel": "H",
    "BitsAllocated": "H",
    "BitsStored": "H",
    "HighBit": "H",
    "PixelRepresentation": "H",
    "NominalCardiacTriggerDelayTime": "d",
    "NominalPercentageOfCardiacPhase": "f",
}


class Header:
    """A dataset read with `TAGS`, asked by keyword."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.implicit, self.little = dataset.original_encoding
        self._values = {int(tag): element.value for tag, element in dataset.items()}

    def _raw(self, keyword: str) -> Any:
        return self._values.get(_TAG_OF[keyword])

    def text(self, keyword: str) -> str:
        """Its text, values apart by backslashes; "" when missing."""
        raw = self._raw(keyword)
        if isinstance(raw, bytes):
            return raw.decode("latin-1").strip(" \0")
        if raw is None or isinstance(raw, str):
            return (raw or "").strip(" \0")
        return "\\".join(map(str, np.atleast_1d(raw)))

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All its values; empty when missing or no finite numbers."""
        raw = self._raw(keyword)
        code = _BINARY.get(keyword)
        if not isinstance(raw, bytes):
            return _floats(self.text(keyword).encode("latin-1", "replace"))
        if code is None:
            return _floats(raw)
        count = len(raw) // struct.calcsize(code)
        values = struct.unpack_from(f"{'<' if self.little else '>'}{count}{code}", raw)
        return tuple(map(float, values))

    def number(self, keyword: str, default: float = np.nan) -> float:
        """Its first value, or `default`."""
        return next(iter(self.numbers(keyword)), default)

    def clock_ms(self, keyword: str) -> float:
        """Time of `<keyword>Date` and `<keyword>Time` in ms, nan when there is no time."""
        return clock_ms(self.text(f"{keyword}Date"), self.text(f"{keyword}Time"))

    @property
    def is_mosaic(self) -> bool:
        """Whether Siemens laid the slices of a volume side by side in one picture."""
        if "MOSAIC" in self.text("ImageType").upper().split("\\"):
            return True
        from_siemens = "SIEMENS" in str(self._values.get(_MOSAIC_CREATOR))
        return from_siemens and _MOSAIC_COUNT in self._values


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from complaining about each value of each file.

    The filter names pydicom only: should threads interleave here, nothing
    else can be silenced by what is left behind.
    """
    with warnings.catch_warnings(), disable_value_validation():
        warnings.filterwarnings("ignore", module="pydicom")
        yield


@lru_cache(maxsize=4096)
def _floats(raw: bytes) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in raw.strip(b" \0").split(b"\\") if part.strip(b" \0"))
    except ValueError:
        return ()
    return values if np.isfinite(values).all() else ()


def clock_ms(day: str, time: str) -> float:
    """Milliseconds of a DICOM date and time, nan when there is no time."""
    match = re.fullmatch(r"(\d\d)(\d\d)?(\d\d)?(\.\d+)?\.?", time.replace(":", ""))
    if not match:
        return np.nan
    hours, minutes, seconds, fraction = (float(part or 0) for part in match.groups())
    try:
        days = date(int(day[:4]), int(day[4:6]), int(day[6:8])).toordinal()
    except ValueError:
        days = 0  # some anonymisers write month and day 00
    return days * MS_PER_DAY + 1000 * (seconds + fraction + 60 * (minutes + 60 * hours))


def moment_ms(stamp: str) -> float:
    """Milliseconds of a DICOM date-time, its time zone left out; nan when it is none."""
    return clock_ms(stamp[:8], re.split(r"[+-]", stamp[8:])[0])
