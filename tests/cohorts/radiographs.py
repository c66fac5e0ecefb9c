"""Radiographs made up for tests, as DICOM files."""

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy import ndimage

CLASSES = {"CR": "1.2.840.10008.5.1.4.1.1.1", "DX": "1.2.840.10008.5.1.4.1.1.1.1"}


def write_radiograph(path, pixels, *, modality="DX", inverted=False):
    """A single-frame radiograph as a detector writes it, 12 of 16 bits."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CLASSES[modality]
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality = modality
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.ImagerPixelSpacing = [0.15, 0.15]
    stored = 4095 - pixels if inverted else pixels
    dataset.PixelData = stored.astype(np.uint16).tobytes()
    dataset.save_as(path, enforce_file_format=True)


def draw_chest(rng, *, is_opaque, size=(60, 50)):
    """A chest: bright body, two dark lungs, ribs and noise; in an opaque one a lung is full below."""
    y, x = np.mgrid[: size[0], : size[1]] / np.array(size)[:, None, None]
    shift = rng.uniform(-0.04, 0.04, 2)
    chest = 2400 * np.exp(-(((x - 0.5) / 0.5) ** 6))
    full_side = rng.choice((0.3, 0.7))
    for side in (0.3, 0.7):
        lung = ((x - side - shift[0]) / 0.15) ** 2 + ((y - 0.45 - shift[1]) / 0.33) ** 2 < 1
        chest -= 1500 * ndimage.gaussian_filter(lung.astype(float), 1)
        if is_opaque and side == full_side:
            full = lung & (y > 0.5 + shift[1])
            chest += 1300 * ndimage.gaussian_filter(full.astype(float), 1)
    chest += 120 * np.sin(40 * (y + 0.3 * (x - 0.5) ** 2)) + rng.normal(0, 60, size)
    return np.clip(chest * rng.uniform(0.8, 1.2), 0, 4095).astype(int)
