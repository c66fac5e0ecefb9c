"""Make the shipped sample study from its original in the Sunnybrook Cardiac Data.

    python tools/make_sample.py ORIGINAL sample_data/sunnybrook-cine

ORIGINAL holds `dicom/`, `i-contours/` and `o-contours/` of SC-HF-I-1. Every
slice and phase is kept; the images are cut to a square around the heart and the
headers to what geometry, timing and display need. One version of pydicom writes the
same bytes every time.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

SIDE = 160  # pixels: the heart with the chest wall, liver and lung around it

# An allow list: what is not named here does not reach the sample.
KEPT = (
    "SpecificCharacterSet",
    "AcquisitionTime",
    "ContentTime",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "SliceThickness",
    "RepetitionTime",
    "EchoTime",
    "MagneticFieldStrength",
    "SpacingBetweenSlices",
    "EchoTrainLength",
    "TriggerTime",
    "NominalInterval",
    "IntervalsAcquired",
    "HeartRate",
    "CardiacNumberOfImages",
    "FlipAngle",
    "PatientPosition",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "ImageOrientationPatient",
    "TemporalResolution",
    "SliceLocation",
    "NominalCardiacTriggerDelayTime",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "WindowCenter",
    "WindowWidth",
)
# Replaced and not copied: some of the original's are invalid (a component with a leading zero).
UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
EMPTY = (  # required to be present, allowed to be empty
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "PositionReferenceIndicator",
    "Laterality",
)


def crop_corner(contours: list[Path]) -> tuple[int, int]:
    """First column and row of the square centred on all contours."""
    points = np.concatenate([np.loadtxt(path) for path in contours])
    centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
    x, y = np.round(centre - 0.5 * SIDE).astype(int)
    return int(x), int(y)


def cropped(original: Dataset, *, corner: tuple[int, int]) -> Dataset:
    """One image with a minimal, valid header, its position moved to the new first voxel."""
    x, y = corner
    sample = Dataset()
    for name in KEPT:
        if name in original:
            sample[name] = original[name]
    for name in UIDS:
        setattr(sample, name, generate_uid(entropy_srcs=[str(original[name].value)]))
    for name in EMPTY:
        setattr(sample, name, "")
    sample.SOPClassUID = MRImageStorage
    sample.ImageType = ["DERIVED", "PRIMARY", "CARDIAC", "NONE"]
    sample.DerivationDescription = "Cropped in plane; header reduced"
    sample.SeriesDescription = "Cine short axis"
    sample.PatientName = "Anonymous"
    sample.PatientID = "sample"
    sample.PatientIdentityRemoved = "YES"
    sample.DeidentificationMethod = "Allow list of elements, new UIDs"

    row_direction, column_direction = np.reshape(original.ImageOrientationPatient, (2, 3)).astype(
        float
    )
    between_rows, between_columns = (float(value) for value in original.PixelSpacing)
    position = np.array(original.ImagePositionPatient, float)
    position += x * between_columns * row_direction + y * between_rows * column_direction
    sample.ImagePositionPatient = [f"{value:.6f}" for value in position]
    pixels = original.pixel_array[y : y + SIDE, x : x + SIDE]
    sample.Rows, sample.Columns = pixels.shape
    sample.PixelData = np.ascontiguousarray(pixels.astype("<i2")).tobytes()
    sample["PixelData"].VR = "OW"

    sample.file_meta = FileMetaDataset()
    sample.file_meta.MediaStorageSOPClassUID = sample.SOPClassUID
    sample.file_meta.MediaStorageSOPInstanceUID = sample.SOPInstanceUID
    sample.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return sample


def shifted(text: str, *, corner: tuple[int, int]) -> str:
    """A contour file with its points counted from the crop's corner."""
    points = np.array([line.split() for line in text.splitlines() if line.strip()], float) - corner
    return "".join(f"{x:.2f} {y:.2f}\n" for x, y in points)


def make_sample(original: Path, sample: Path) -> None:
    """Write `sample` afresh from the `original` study."""
    contours = sorted(original.glob("[io]-contours/*.txt"))
    corner = crop_corner(contours)
    shutil.rmtree(sample, ignore_errors=True)
    (sample / "contours").mkdir(parents=True)
    for path in contours:
        (sample / "contours" / path.name).write_text(shifted(path.read_text(), corner=corner))
    for path in sorted((original / "dicom").glob("*.dcm")):
        image = cropped(pydicom.dcmread(path), corner=corner)
        image.save_as(sample / f"{int(path.stem):04d}.dcm", enforce_file_format=True)
    size = sum(path.stat().st_size for path in sample.rglob("*") if path.is_file())
    print(f"{sample}: cut at column {corner[0]}, row {corner[1]}; {size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("original", type=Path)
    parser.add_argument("sample", type=Path)
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the original's invalid UIDs
        make_sample(arguments.original, arguments.sample)
