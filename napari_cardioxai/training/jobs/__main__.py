"""Run a training job from its file: `python -m napari_cardioxai.training.jobs JOB.json`.

The window starts this as a process of its own, so that it stays smooth and a
crash of the training does not take it along. Exit codes are 0 for done, 3 for
cancelled and 2 for failed; the last line of `events.jsonl` says the same in a
sentence. With `--recipes` it prints what can be trained, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from napari_cardioxai.errors import CardioxaiError, TrainingError
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.training.jobs.control import (
    JobControl,
    stay_in_background,
    threads_beside_the_window,
)
from napari_cardioxai.training.jobs.events import EventLog, TrainingState, read_run
from napari_cardioxai.training.jobs.folder import PRINTED, Order, RunFolder

EXIT_CODES = {TrainingState.DONE: 0, TrainingState.FAILED: 2, TrainingState.CANCELLED: 3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job that the arguments name; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m napari_cardioxai.training.jobs")
    parser.add_argument("job", nargs="?", type=Path, help="job.json; its folder receives the run")
    parser.add_argument("--recipes", action="store_true", help="print what can be trained")
    parser.add_argument(
        "--attached",
        action="store_true",
        help="stop when standard input ends, and leave time to whoever holds it",
    )
    given = parser.parse_args(arguments)
    if given.recipes:
        from napari_cardioxai.training.jobs.recipes import describe

        print(json.dumps(describe()))
        return 0
    if given.job is None:
        parser.error("give a job.json, or --recipes")
    if given.attached:
        stay_in_background()
        os.environ["OMP_NUM_THREADS"] = str(threads_beside_the_window())
        import torch

        torch.set_num_threads(threads_beside_the_window())
    try:
        state, text = run_job(given.job, attached=given.attached)
    except CardioxaiError as error:
        state, text = TrainingState.FAILED, str(error)
    print(text, file=sys.stderr)
    return EXIT_CODES[state]


def run_job(file: Path, *, attached: bool = False) -> tuple[TrainingState, str]:
    """Train as a `job.json` says, going on where its folder was left.

    Parameters
    ----------
    file
        The job, or the folder that holds it; checkpoints, events and previews
        are written beside it.
    attached
        As for `JobControl`.

    Returns
    -------
    How it ended (done, cancelled or failed), and one sentence.

    Raises
    ------
    TrainingError
        When the file is no job, or another process works on it.
    """
    run = RunFolder(file if file.is_dir() else file.parent)
    job = run.read_job()
    if run.is_alive:
        raise TrainingError(f"{run.name} is being trained by another process; wait for its end.")
    log = EventLog(run)
    with JobControl(run, attached=attached) as control:
        log.state(TrainingState.RUNNING, "Preparing …")
        try:
            from napari_cardioxai.training.jobs.recipes import JobContext, find_recipe

            recipe = find_recipe(job.recipe)
            recipe.run(JobContext(job, run, log, control), recipe.checked(job.values))
        except (Cancelled, KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C into an exit
            ended = TrainingState.CANCELLED, _cancelled(run)
        except CardioxaiError as error:
            ended = TrainingState.FAILED, _sentence(str(error))
        except Exception as error:  # noqa: BLE001  the window must not be left waiting
            traceback.print_exc()
            what = _sentence(f"{type(error).__name__}: {error}".splitlines()[0])
            ended = TrainingState.FAILED, f"{what} {PRINTED} in {run.path} has the details."
        else:
            ended = TrainingState.DONE, f"The model {job.output.name} is ready."
        log.state(*ended)
        run.tell(Order.RUN)
    return ended


def _cancelled(run: RunFolder) -> str:
    if not run.has_checkpoint:
        return "Cancelled before the first epoch was complete; Resume begins again."
    epoch = read_run(run.path).epoch
    return f"Cancelled after epoch {epoch}; Resume goes on from there."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


if __name__ == "__main__":
    sys.exit(main())
