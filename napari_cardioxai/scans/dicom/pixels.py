"""Pixels of DICOM pictures as intensities.

Uncompressed pixels are read straight from where the header ended, which saves
parsing every file a second time; everything else goes through pydicom and the
pylibjpeg decoders.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian

from napari_cardioxai.errors import ScanError
from napari_cardioxai.scans.dicom.header import UNREADABLE, Header

if TYPE_CHECKING:
    from napari_cardioxai.scans.dicom.frame import Frame

# "" stands for files without file meta information.
_PLAIN_SYNTAXES = {"", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
_PIXEL_DATA = (0x7FE0, 0x0010)
_PIXEL_ELEMENTS = {(0x7FE0, 0x0008), (0x7FE0, 0x0009), _PIXEL_DATA}
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Pixels:
    """How the pixels of a file are stored.

    Attributes
    ----------
    offset
        Byte at which plain uncompressed grey values begin; None when pydicom must decode them.
    stored
        Type of a stored value.
    bits
        How many bits of it count.
    grey
        Whether there is one value a pixel.
    inverted
        Whether low means bright (MONOCHROME1).
    whole
        How many frames are wholly there; None when only decoding tells.
    """

    offset: int | None
    stored: np.dtype
    bits: int
    grey: bool = True
    inverted: bool = False
    whole: int | None = None

    @property
    def fit_int16(self) -> bool:
        """Whether every stored value is one of int16."""
        return self.grey and self.bits <= (16 if self.stored.kind == "i" else 15)

    @property
    def lowest_plus_highest(self) -> int:
        """What a stored value is subtracted from to turn dark into bright."""
        return -1 if self.stored.kind == "i" else (1 << self.bits) - 1


def describe_pixels(file: BinaryIO, header: Header) -> Pixels | None:
    """Describe the pixels of the file whose header was just read; None when it has none.

    Parameters
    ----------
    file
        Positioned where reading the header stopped.
    """
    order = "<" if header.little else ">"
    syntax = str(header.dataset.file_meta.get("TransferSyntaxUID", ""))
    allocated = int(header.number("BitsAllocated", 16))
    bits = int(header.number("BitsStored", allocated))
    samples = int(header.number("SamplesPerPixel", 1))
    photometric = header.text("PhotometricInterpretation").upper() or "MONOCHROME2"
    pixels = Pixels(
        offset=None,
        stored=np.dtype(
            f"{order}{'i' if header.number('PixelRepresentation') == 1 else 'u'}"
            f"{1 if allocated <= 8 else 2 if allocated <= 16 else 4}"
        ),
        bits=bits,
        grey=samples == 1 and photometric.startswith("MONOCHROME"),
        inverted=photometric == "MONOCHROME1",
    )
    if syntax == DeflatedExplicitVRLittleEndian:
        return pixels  # the data set is packed as a whole and has no offsets
    start = file.tell()
    head = file.read(12)
    element = struct.unpack(f"{order}HH", head[:4]) if len(head) == 12 else None
    if element not in _PIXEL_ELEMENTS:
        return None
    if syntax not in _PLAIN_SYNTAXES:
        return pixels
    # A length is even, so its bytes never read like one of these.
    explicit = head[4:6] in (b"OW", b"OB", b"OF", b"OD", b"UN")
    (length,) = struct.unpack(f"{order}I", head[8:12] if explicit else head[4:8])
    offset = start + (12 if explicit else 8)
    present = min(length, os.fstat(file.fileno()).st_size - offset)
    frame_bytes = header.number("Rows") * header.number("Columns") * samples * allocated / 8
    plain = (
        element == _PIXEL_DATA
        and pixels.grey
        and allocated in ((8, 16) if header.little else (16,))
        and header.number("HighBit", bits - 1) == bits - 1
    )
    return Pixels(
        offset=offset if plain else None,
        stored=pixels.stored,
        bits=bits,
        grey=pixels.grey,
        inverted=pixels.inverted,
        whole=int(present // frame_bytes) if frame_bytes > 0 else 0,
    )


def common_type(frames: Iterable[Frame]) -> np.dtype:
    """int16 where it holds every intensity of every frame exactly, else float32."""
    exact = all(
        f.slope == 1 and f.intercept == 0 and f.pixels is not None and f.pixels.fit_int16
        for f in frames
    )
    return np.dtype(np.int16 if exact else np.float32)


class PictureReader:
    """Reads pictures one by one; keeps the last file that needed pydicom."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._dataset: Dataset | None = None

    def read(self, frame: Frame) -> np.ndarray:
        """Intensities of one picture after slope and intercept, shape (y, x).

        Raises
        ------
        ScanError
            When they are not all there or cannot be decoded.
        """
        if frame.pixels is None or frame.is_cut:
            raise ScanError(
                f"{frame.path.name} is cut short: its pixels are not all there; export it again."
            )
        try:
            if frame.pixels.offset is None:
                stored = self._decoded(frame)
            else:
                stored = _plain(frame, frame.pixels, frame.pixels.offset)
            return _intensities(stored.reshape(frame.shape), frame, frame.pixels)
        except UNREADABLE as error:
            raise ScanError(
                f"{frame.path.name} cannot be decoded: its pixels are damaged or compressed in an "
                "unknown way."
            ) from error

    def _decoded(self, frame: Frame) -> np.ndarray:
        if self._path != frame.path:
            self._dataset = pydicom.dcmread(frame.path, force=True)
            self._path = frame.path
        stored = pixel_array(self._dataset, index=frame.number)
        if self._dataset and self._dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
            stored = apply_color_lut(stored, self._dataset)
            stored = stored / np.float32(257 if stored.dtype == np.uint16 else 1)
        return stored[..., :3] @ _LUMINANCE if stored.ndim == 3 else stored


def _plain(frame: Frame, pixels: Pixels, offset: int) -> np.ndarray:
    """Stored values straight from the file, unused bits cut off."""
    dtype, count = pixels.stored, frame.shape[0] * frame.shape[1]
    with frame.path.open("rb") as file:
        file.seek(offset + frame.number * count * dtype.itemsize)
        stored = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    unused = 8 * dtype.itemsize - pixels.bits
    if unused > 0:
        stored = (stored.astype(dtype.newbyteorder("=")) << unused) >> unused
    return stored


def _intensities(stored: np.ndarray, frame: Frame, pixels: Pixels) -> np.ndarray:
    if pixels.inverted:
        stored = pixels.lowest_plus_highest - stored.astype(np.int32)
    if frame.slope == 1 and frame.intercept == 0:
        return stored
    return stored.astype(np.float32) * np.float32(frame.slope) + np.float32(frame.intercept)


def display_limits(frame: Frame) -> tuple[float, float] | None:
    """Lower and upper limit in the intensities that `PictureReader` gives, or None."""
    if frame.window is None or frame.pixels is None or not frame.pixels.inverted:
        return frame.window
    total = frame.slope * frame.pixels.lowest_plus_highest + 2 * frame.intercept
    return total - frame.window[1], total - frame.window[0]
