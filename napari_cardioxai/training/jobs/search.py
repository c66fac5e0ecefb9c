"""Parameter searches: one job for every combination of values, and what came of them."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_cardioxai.errors import TrainingError
from napari_cardioxai.files import replacing
from napari_cardioxai.training.jobs.folder import RunFolder, TrainingJob, check_name

MOST_RUNS = 100
BUNDLE = "model"


def search_jobs(job: TrainingJob, values: Mapping[str, Sequence[Any]]) -> list[TrainingJob]:
    """One job for every combination of values, those of the last field changing fastest.

    Parameters
    ----------
    job
        What all have in common; its output's name becomes the name of the search.
    values
        Field to the values that it is to have.

    Raises
    ------
    TrainingError
        When there is nothing to search, or too much.
    """
    count = 1
    for tried in values.values():
        count *= len(tried)
    if count < 2:
        raise TrainingError("a search needs a field with two values or more.")
    if count > MOST_RUNS:
        raise TrainingError(
            f"{count} combinations are more than the {MOST_RUNS} that one search may have."
        )
    return [
        replace(
            job,
            values={**job.values, **dict(zip(values, combination, strict=True))},
            search=job.output.name,
            varied=tuple(values),
        )
        for combination in itertools.product(*values.values())
    ]


def write_runs(jobs: Sequence[TrainingJob], root: Path) -> list[RunFolder]:
    """Write the folder of every job; that of a single one has the name of its model.

    The runs of a search are numbered and keep their models in their folders,
    from where `keep_model` takes the one that is wanted.

    Raises
    ------
    TrainingError
        When there is a run or model of that name already.
    OutputError
        When the folder cannot be written to.
    """
    runs = []
    for number, job in enumerate(jobs, start=1):
        name = check_name(job.output.name)
        if job.search:
            name = f"{name}-{number:0{len(str(len(jobs)))}}"
        run = RunFolder(root / name)
        if run.path.exists():
            raise TrainingError(
                f"there is a run named {name} already; resume it, delete it or choose another name."
            )
        if not job.search and job.output.exists():
            raise TrainingError(f"there is a model named {name} already; choose another name.")
        output = run.path / BUNDLE if job.search else job.output
        runs.append((run, replace(job, output=output)))
    for run, job in runs:
        run.write_job(job)
    return [run for run, _ in runs]


def keep_model(run: RunFolder, folder: Path) -> None:
    """Copy the finished model of a search's run to a folder of its own, under its name.

    Raises
    ------
    TrainingError
        When the run has no model yet, or there is one of that name.
    """
    model = run.read_job().output
    card = model / "card.json"
    if not card.is_file():
        raise TrainingError(f"{run.name} has no finished model.")
    check_name(folder.name)
    if folder.exists():
        raise TrainingError(f"there is a model named {folder.name} already; choose another name.")
    folder.mkdir(parents=True)
    for file in sorted(model.iterdir(), key=lambda f: f.name == card.name):  # the card comes last
        if file != card:
            shutil.copy2(file, folder / file.name)
    said = {**json.loads(card.read_text("utf-8")), "name": folder.name}
    with replacing(folder / card.name) as beside:
        beside.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", "utf-8")


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """The name that was wanted, with a number where it is taken."""
    numbered = (f"{wanted}-{number}" for number in itertools.count(1))
    return next(name for name in numbered if name not in taken)
