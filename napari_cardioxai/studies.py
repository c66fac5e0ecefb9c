"""The pipeline for one study: scan, labels, measurements.

The command line and the window both call what is written here, once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_cardioxai.anatomy.base import beyond_base, without_pictures
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import Measurements, measure
from napari_cardioxai.anatomy.quality import Override, QualityReport, check
from napari_cardioxai.anatomy.volumes import LV
from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.errors import MeasurementError, OutputError, ScanError
from napari_cardioxai.files import replacing_files_in
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.images import list_images, read_image
from napari_cardioxai.scans.scan import Kind, Scan

if TYPE_CHECKING:  # torch comes with it
    from napari_cardioxai.bundles.opinion import SecondOpinion


@dataclass(frozen=True)
class SegmentationResult:
    """Labels with how they came about.

    Attributes
    ----------
    labels
        On the scan's own grid, all frames and slices.
    model, device
        Bundle name or folder as asked for, and the processor that finished the work.
    seconds
        Wall time of the segmentation.
    notes
        Sentences that a reader must see: fallbacks, doubts about the input.
    opinion
        How sure the model is of these labels; None when nothing was labelled.
    """

    labels: Labels
    model: str
    device: str
    seconds: float
    notes: tuple[str, ...] = ()
    opinion: SecondOpinion | None = None


def available_models() -> list[str]:
    """Names of the segmentation models, the default first."""
    from napari_cardioxai.bundles.bundle import available_cards

    names = [name for name, card in available_cards()[0].items() if card.kind == "segmenter"]
    return sorted(names, key=lambda name: (name != DEFAULT_SEGMENTER, name))


def available_devices() -> list[str]:
    """Devices to offer, "auto" first."""
    from napari_cardioxai.bundles import devices

    return ["auto", *devices.available_devices()]


def segment(
    scan: Scan,
    *,
    model: str | Path = DEFAULT_SEGMENTER,
    device: str = "auto",
    on_progress: Progress = silent,
) -> SegmentationResult:
    """Label every frame and slice of a scan.

    Parameters
    ----------
    scan
        Data of shape (t, z, y, x).
    model
        Name or folder of a segmentation bundle.
    device
        "auto", "cpu", "cuda" or "mps".
    on_progress
        Called per batch; may raise `Cancelled`.

    Raises
    ------
    BundleError
        When the model or the device cannot be had.
    """
    from napari_cardioxai.bundles.segmenter import Segmenter

    on_progress(0, 0, "loading the model")
    segmenter = Segmenter.load(model, device=device)
    started = time.perf_counter()
    data = segmenter.label(scan.data, spacing_mm=scan.geometry.spacing_mm, on_progress=on_progress)
    notes = list(segmenter.notes)
    if not _may_be_short_axis(scan):
        notes.append(
            f"{segmenter.card.name} was trained on short-axis slices; on a {scan.kind} "
            "its labels are not to be trusted."
        )
    if not data.any():
        notes.append("No heart was found in this scan.")
    whole = Labels(
        data=data,
        geometry=scan.geometry,
        frame_times_ms=scan.frame_times_ms,
        cycle_ms=scan.cycle_ms,
    )
    beyond = beyond_base(whole)
    labels = without_pictures(whole, beyond)
    notes += _said_of_the_base(beyond)
    opinion = None
    if labels.data.any():
        opinion = segmenter.opinion(
            scan.data,
            data,
            spacing_mm=scan.geometry.spacing_mm,
            frames=_fullest_and_emptiest(labels.data),
            on_progress=on_progress,
        )
        notes.append(opinion.note)
    seconds = time.perf_counter() - started
    return SegmentationResult(labels, str(model), segmenter.device, seconds, tuple(notes), opinion)


def _said_of_the_base(beyond: np.ndarray) -> list[str]:
    """What was left unlabelled beyond the base, (t, z), as sentences."""
    said = []
    if whole := np.flatnonzero(beyond.all(0)).tolist():
        said.append(
            "Left unlabelled beyond the base, because the cavity there has no wall, lies aside or "
            f"does not follow the ventricle's cycle: slice {' and '.join(str(z + 1) for z in whole)}."
        )
    frames = beyond.sum(0)
    if passed := np.flatnonzero((frames > 0) & (frames < len(beyond))).tolist():
        slices = " and ".join(f"{z + 1} in {frames[z]} of {len(beyond)} frames" for z in passed)
        said.append(
            "Left unlabelled around end-systole, because the wall opens there as the valve plane "
            f"descends: slice {slices}."
        )
    return said


def _fullest_and_emptiest(labels: np.ndarray) -> list[int]:
    """The frames with the most and the least cavity: end-diastole and end-systole as labelled."""
    cavity = np.count_nonzero(labels == LV, axis=(1, 2, 3))
    return sorted({int(cavity.argmax()), int(cavity.argmin())})


def _may_be_short_axis(scan: Scan) -> bool:
    """Whether slices lie as a segmenter knows them; a volume of thick slices may be one phase."""
    if scan.kind is Kind.VOLUME and scan.geometry.spacing_mm is not None:
        z, y, x = scan.geometry.spacing_mm
        return z > 2 * max(y, x)
    return scan.kind in (Kind.SHORT_AXIS, Kind.IMAGE)


def segment_pictures(
    folder: Path,
    out_folder: Path,
    *,
    model: str | Path = DEFAULT_SEGMENTER,
    device: str = "auto",
    on_progress: Progress = silent,
) -> tuple[int, tuple[str, ...]]:
    """Label every 2-D picture of a folder, one PNG of equal name each, values 0 to 3.

    Returns
    -------
    How many pictures were labelled, and notes.

    Raises
    ------
    ScanError
        When the folder holds no pictures, or two that would get the same name.
    OutputError
        When the labels would replace the pictures.
    """
    from imageio.v3 import imwrite

    from napari_cardioxai.bundles.segmenter import Segmenter

    pictures = list_images(folder)
    if not pictures:
        raise ScanError(f"{folder} holds no PNG, JPEG or NPY picture.")
    if Path(out_folder).resolve() == Path(folder).resolve():
        raise OutputError(
            f"the labels would replace the pictures in {folder}; choose another folder."
        )
    names = [picture.with_suffix(".png").name for picture in pictures]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ScanError(f"two pictures in {folder} would both become {twice[0]}; rename one.")
    on_progress(0, len(pictures), "loading the model")
    segmenter = Segmenter.load(model, device=device)
    with replacing_files_in(out_folder) as beside:
        for done, (picture, name) in enumerate(zip(pictures, names, strict=True)):
            on_progress(done, len(pictures), picture.name)
            data = np.asarray(read_image(picture).data)
            if data.shape[:2] != (1, 1):
                raise ScanError(f"{picture.name} is not a single 2-D picture.")
            imwrite(beside / name, segmenter.label(data)[0, 0], extension=".png")
        on_progress(len(pictures), len(pictures), "writing")
    return len(pictures), tuple(segmenter.notes)


@dataclass(frozen=True)
class Study:
    """One analysed study: input and results.

    Attributes
    ----------
    scan, segmentation, measurements
        What was loaded, labelled and measured.
    quality
        What the rules found in scan and labels, with the reviewer's overrides.
    """

    scan: Scan
    segmentation: SegmentationResult
    measurements: Measurements
    quality: QualityReport

    def provenance(self) -> dict[str, str]:
        """How the results came about, in words for a report."""
        return provenance_of(self.segmentation)


def analyze(
    path: Path | Sequence[Path],
    *,
    series: int | None = None,
    model: str | Path = DEFAULT_SEGMENTER,
    device: str = "auto",
    overrides: Sequence[Override] = (),
    on_progress: Progress = silent,
) -> Study:
    """Load, segment, measure and check one study.

    Parameters
    ----------
    path
        Anything that `scans.catalogue.load_scan` takes.
    series
        Index in the catalogue; the default series when None.
    model, device, on_progress
        As in `segment`.
    overrides
        A reviewer's decisions from an earlier look at the same study.

    Raises
    ------
    MeasurementError
        When no left ventricle was found.
    """
    scan = load_scan(path, series=series, on_progress=on_progress)
    result = segment(scan, model=model, device=device, on_progress=on_progress)
    if not (result.labels.data == LV).any():
        raise MeasurementError(
            f"{model} found no left ventricle in {scan.name}; choose another series or model."
        )
    measurements = measure(result.labels)
    measurements = replace(measurements, notes=(*result.notes, *measurements.notes))
    on_progress(0, 0, "checking quality")
    quality = check(result.labels, scan=scan).with_overrides(overrides)
    return Study(scan, result, measurements, quality)


def provenance_of(result: SegmentationResult) -> dict[str, str]:
    """Model, its card in a line, device and time of a segmentation, for a report."""
    from napari_cardioxai.bundles.bundle import find_bundle, load_card

    card = load_card(find_bundle(result.model))
    return {
        "model": card.name,
        "model card": f"{card.title}. Trained on {card.data} ({card.licence}).",
        "device": result.device,
        "segmentation": f"{result.seconds:.1f} s",
    }
