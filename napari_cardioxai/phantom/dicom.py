"""A phantom cine as a scanner exports it: one series per slice, one file per frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_cardioxai.files import replacing
from napari_cardioxai.phantom.images import Scanner
from napari_cardioxai.phantom.rasterise import Faults, Grid

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

# UIDs come from these words, so the same subject always gets the same ones.
UID_ROOT = "napari-cardioxai phantom"
STUDY_DATE = "20240101"


@dataclass(frozen=True)
class Patient:
    """Who was scanned; nobody."""

    name: str
    height_cm: float
    weight_kg: float


def write_dicom(
    folder: Path,
    images: np.ndarray,
    grid: Grid,
    *,
    times_ms: np.ndarray,
    cycle_ms: float,
    scanner: Scanner,
    patient: Patient,
    seed: int,
    faults: Faults | None = None,
) -> list[Path]:
    """Write a cine as MR Image Storage files.

    Parameters
    ----------
    folder
        Gets `IM-SSSS-FFFF.dcm`, series and frame counted from 1.
    images
        Grey values, shape (t, z, y, x), non-negative int16.
    times_ms, cycle_ms
        Trigger time of each frame and the nominal RR interval in ms.
    seed
        Of the cohort; with the patient's name it makes the UIDs.
    faults
        Lost slices are not written.

    Returns
    -------
    The files, in writing order.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    import pydicom.uid

    def uid(*words: object) -> str:
        sources = [UID_ROOT, str(seed), patient.name, *(str(word) for word in words)]
        return str(pydicom.uid.generate_uid(entropy_srcs=sources))

    lost = faults.missing if faults else ()
    written = []
    for index in range(images.shape[1]):
        if index in lost:
            continue
        for frame, time_ms in enumerate(times_ms):
            dataset = _dataset(uid, index, frame)
            _describe_patient(dataset, patient)
            _describe_acquisition(dataset, scanner, grid)
            _describe_place(dataset, grid, index)
            _describe_time(dataset, frame, float(time_ms), cycle_ms, times_ms)
            _set_pixels(dataset, images[frame, index])
            path = folder / f"IM-{index + 1:04d}-{frame + 1:04d}.dcm"
            with replacing(path) as beside:
                dataset.save_as(beside, enforce_file_format=True)
            written.append(path)
    return written


def _dataset(uid: Callable[..., str], index: int, frame: int) -> FileDataset:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = uid("image", index, frame)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = uid("study")
    dataset.SeriesInstanceUID = uid("series", index)
    dataset.FrameOfReferenceUID = uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = STUDY_DATE
    dataset.ContentDate = STUDY_DATE
    dataset.StudyTime = "090000"
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = f"09{index:02d}00"
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.Modality = "MR"
    dataset.Manufacturer = "napari-cardioxai phantom"
    dataset.ManufacturerModelName = "beating heart"
    dataset.StudyDescription = "Cardiac phantom"
    dataset.SeriesDescription = "cine_bssfp_retro SA"
    dataset.ProtocolName = dataset.SeriesDescription
    dataset.StudyID = "1"
    dataset.SeriesNumber = index + 1
    dataset.AcquisitionNumber = 1
    dataset.InstanceNumber = frame + 1
    return dataset


def _describe_patient(dataset: FileDataset, patient: Patient) -> None:
    dataset.PatientName = f"Phantom^{patient.name}"
    dataset.PatientID = patient.name
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.PatientSize = f"{patient.height_cm / 100:.3f}"
    dataset.PatientWeight = f"{patient.weight_kg:.1f}"
    dataset.PatientPosition = "HFS"
    dataset.BodyPartExamined = "HEART"


def _describe_acquisition(dataset: FileDataset, scanner: Scanner, grid: Grid) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "RETRO"]
    dataset.ScanningSequence = "GR"
    dataset.SequenceVariant = "SS"
    dataset.ScanOptions = "CG"
    dataset.MRAcquisitionType = "2D"
    dataset.SequenceName = "bssfp"
    dataset.RepetitionTime = f"{2 * scanner.te_ms:.2f}"
    dataset.EchoTime = f"{scanner.te_ms:.2f}"
    dataset.EchoTrainLength = 1
    dataset.FlipAngle = f"{scanner.flip_deg:.0f}"
    dataset.MagneticFieldStrength = "1.5"
    dataset.ImagedNucleus = "1H"
    dataset.NumberOfAverages = "1"
    dataset.SliceThickness = f"{scanner.slice_share * grid.slice_distance_mm:.3f}"
    dataset.SpacingBetweenSlices = f"{grid.slice_distance_mm:.4f}"
    dataset.PixelSpacing = [f"{grid.pixel_mm:.6f}"] * 2


def _describe_place(dataset: FileDataset, grid: Grid, index: int) -> None:
    row, column, normal = grid.directions
    origin = grid.slice_origin_mm(index)
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in origin]
    dataset.ImageOrientationPatient = [f"{value:.9f}" for value in (*row, *column)]
    dataset.SliceLocation = f"{float(origin @ normal):.4f}"


def _describe_time(
    dataset: FileDataset, frame: int, time_ms: float, cycle_ms: float, times_ms: np.ndarray
) -> None:
    dataset.TriggerTime = f"{time_ms:.3f}"
    dataset.NominalInterval = round(cycle_ms)
    dataset.HeartRate = round(60_000 / cycle_ms)
    dataset.CardiacNumberOfImages = len(times_ms)
    dataset.NumberOfTemporalPositions = len(times_ms)
    dataset.TemporalPositionIdentifier = frame + 1


def _set_pixels(dataset: FileDataset, image: np.ndarray) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = "450", "900"
    dataset.PixelData = np.ascontiguousarray(image, "<u2").tobytes()
