"""The files that an analysed study leaves behind."""

from __future__ import annotations

from pathlib import Path

from napari_cardioxai.anatomy.label_files import write_labels
from napari_cardioxai.files import replacing_files_in
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.report.study_report import write_study_report
from napari_cardioxai.report.table import write_measurements_csv, write_measurements_json
from napari_cardioxai.studies import Study

LABELS_FILE = "labels.nii.gz"  # a reviewer's overrides lie beside it


def write_results(
    study: Study, out_dir: Path, *, on_progress: Progress = silent
) -> tuple[Path, ...]:
    """Write `labels.nii.gz`, `measurements.json`, `measurements.csv` and `report.html`.

    All of them or, on error or cancel, none.

    Returns
    -------
    The written files.

    Raises
    ------
    OutputError
        When `out_dir` cannot be written to.
    """
    with replacing_files_in(out_dir) as beside:
        on_progress(0, 3, "writing labels")
        write_labels(beside / LABELS_FILE, study.segmentation.labels)
        on_progress(1, 3, "writing measurements")
        write_measurements_json(beside / "measurements.json", study.measurements, study.quality)
        write_measurements_csv(beside / "measurements.csv", study.measurements)
        on_progress(2, 3, "writing the report")
        write_study_report(
            beside / "report.html",
            scan=study.scan,
            labels=study.segmentation.labels,
            measurements=study.measurements,
            provenance=study.provenance(),
            quality=study.quality,
        )
        names = sorted(file.name for file in beside.iterdir())
        on_progress(3, 3, "done")
    return tuple(Path(out_dir) / name for name in names)
