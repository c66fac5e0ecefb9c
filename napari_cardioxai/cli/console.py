"""Results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from napari_cardioxai.progress import Progress as OnProgress


def command_line() -> str:
    """The command as typed, paths cut to their last part: folders of a machine tell nobody anything."""
    import shlex

    words = [Path(word).name if "/" in word or "\\" in word else word for word in sys.argv[1:]]
    return shlex.join(["cardioxai", *words])


@contextmanager
def progress() -> Iterator[OnProgress]:
    """A progress bar on standard error that shows only where a person looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("starting", total=None)

        def report(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total or None, description=what)

        yield report


def print_rows(measurements: Any) -> None:
    """Numbers on standard output, what must be known to read them on standard error."""
    for name, value, unit in measurements.as_rows():
        print(f"{name:<42} {value} {unit}".rstrip())
    for note in measurements.notes:
        say(f"! {note}")


def say_findings(quality: Any) -> None:
    """What looks wrong, on standard error; what a reviewer overruled comes with the reason."""
    for finding in quality.findings:
        if finding.overruled is not None:
            say(f"- {finding.sentence} Overruled: {finding.overruled.reason}")
        else:
            say(f"{'!' if finding.severity == 'warning' else 'i'} {finding.sentence}")


def print_json(value: Any) -> None:
    """One JSON value on standard output; not-a-number is refused, as JSON has none."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain, allow_nan=False))


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays, and paths, as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def say(sentence: str) -> None:
    """A sentence on standard error."""
    print(sentence, file=sys.stderr)


@contextmanager
def resumable(run_dir: Path, *, by: str = "the same command") -> Iterator[None]:
    """Say after Ctrl-C in a training how it goes on."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"Interrupted; {by} goes on from the last whole epoch in {run_dir}.")
        sys.exit(130)


def fail(sentence: str) -> NoReturn:
    """End with the exit code for input that cannot be taken."""
    say(sentence)
    sys.exit(2)
