"""Small synthetic MR files whose pixels tell which slice and phase they are."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

STUDY, SERIES = generate_uid(entropy_srcs=["study"]), generate_uid(entropy_srcs=["series"])
ROWS, COLUMNS = 6, 5
# An oblique short-axis plane: unit row and column vectors, perpendicular.
ROW = np.array([0.6, 0.64, -0.48])
COLUMN = np.array([-0.8, 0.48, -0.36])
NORMAL = np.cross(ROW, COLUMN)
ORIGIN = np.array([-40.0, 25.0, 60.0])
SPACING = [1.5, 1.25]  # between rows, between columns
GAP_MM = 9.0
STEP_MS = 40.0


def picture(t: int, z: int, shape: tuple[int, int] = (ROWS, COLUMNS)) -> np.ndarray:
    """Pixels of phase t of slice z, none of which occurs in another one."""
    return (np.arange(shape[0] * shape[1]).reshape(shape) + 1000 * z + 40 * t + 7).astype(np.int16)


def stack(frames: int, slices: int) -> np.ndarray:
    """What a whole cine must read as, shape (t, z, y, x)."""
    return np.array([[picture(t, z) for z in range(slices)] for t in range(frames)])


def frame(t: int, z: int, **tags: object) -> Dataset:
    """Phase t of slice z; a tag given as None is left out."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = MRImageStorage
    ds.SOPInstanceUID = generate_uid()
    ds.Modality = "MR"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM"]
    ds.PatientName, ds.PatientID = "Somebody^Real", "4711-0815"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.SeriesNumber, ds.SeriesDescription = 5, "cine SAX"
    ds.InstanceNumber = 100 * z + t + 1
    ds.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + z * GAP_MM * NORMAL]
    ds.ImageOrientationPatient = [f"{v:.6f}" for v in (*ROW, *COLUMN)]
    ds.SliceLocation, ds.SliceThickness = 3.3 * z, 6  # wrong on purpose
    ds.PixelSpacing = SPACING
    ds.TriggerTime = STEP_MS * t + z  # differs between slices
    ds.NominalInterval = 800
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    set_pixels(ds, picture(t, z))
    for keyword, value in tags.items():
        if value is not None:
            setattr(ds, keyword, value)
        elif keyword in ds:
            delattr(ds, keyword)
    return ds


def set_pixels(ds: Dataset, pixels: np.ndarray) -> None:
    """Give a dataset pixels and their size."""
    ds.Rows, ds.Columns = pixels.shape
    ds.PixelData = pixels.tobytes()


def save(ds: Dataset, path: Path) -> Path:
    """Write a dataset as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(path, enforce_file_format=True)
    return path


def write_cine(
    folder: Path,
    *,
    frames: int = 8,
    slices: int = 4,
    skip: Collection[tuple[int, int]] = (),
    edit: Callable[[Dataset, int, int], None] | None = None,
    seed: int = 3,
) -> Path:
    """Write a cine under shuffled names without meaning; `edit(ds, t, z)` changes each file."""
    places = [(t, z) for z in range(slices) for t in range(frames) if (t, z) not in skip]
    names = np.random.default_rng(seed).permutation(len(places))
    for (t, z), name in zip(places, names, strict=True):
        ds = frame(t, z)
        if edit:
            edit(ds, t, z)
        save(ds, folder / f"{name:05x}")
    return folder


def item(**tags: object) -> Dataset:
    """A sequence item."""
    ds = Dataset()
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return ds


def enhanced(frames: int, slices: int, *, seed: int = 1) -> Dataset:
    """One enhanced file with all frames in shuffled order, times in functional groups."""
    ds = frame(0, 0, SOPClassUID=EnhancedMRImageStorage, TriggerTime=None, NominalInterval=None)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(ds, keyword)
    shared = Dataset()
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=[*ROW, *COLUMN])]
    shared.PixelMeasuresSequence = [item(PixelSpacing=SPACING, SliceThickness=6)]
    ds.SharedFunctionalGroupsSequence = [shared]
    places = [(t, z) for t in range(frames) for z in range(slices)]
    order = np.random.default_rng(seed).permutation(len(places))
    groups, pixels = [], []
    for t, z in (places[k] for k in order):
        group = Dataset()
        position = [f"{v:.6f}" for v in ORIGIN + z * GAP_MM * NORMAL]
        group.PlanePositionSequence = [item(ImagePositionPatient=position)]
        group.CardiacSynchronizationSequence = [
            item(NominalCardiacTriggerDelayTime=STEP_MS * t, RRIntervalTimeNominal=900.0)
        ]
        group.PixelValueTransformationSequence = [
            item(RescaleSlope=z + 1, RescaleIntercept=-3, RescaleType="US")
        ]
        groups.append(group)
        pixels.append(picture(t, z))
    ds.PerFrameFunctionalGroupsSequence = groups
    ds.NumberOfFrames = len(pixels)
    ds.PixelData = np.array(pixels).tobytes()
    return ds
