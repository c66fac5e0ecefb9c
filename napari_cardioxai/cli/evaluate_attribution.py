"""`cardioxai evaluate attribution`: methods on trial where it is known what decides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.cli.console import fail, print_json, progress
from napari_cardioxai.cli.options import Json


def evaluate_attribution(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    task: Annotated[
        str,
        typer.Option(
            help="volumes (a planted ball), cine (images of a heart one of whose segments stands "
            "still) or latent (labels of such a heart, read by a shipped model)."
        ),
    ] = "volumes",
    architecture: Annotated[
        str | None,
        typer.Option(help="residual or dense for volumes; the task's first when left out."),
    ] = None,
    cases: Annotated[int, typer.Option(min=1, help="Images.")] = 50,
    networks: Annotated[int, typer.Option(min=1, help="Networks, trained from seeds 0, 1 ...")] = 3,
    method: Annotated[
        list[str] | None, typer.Option("--method", help="Only this one; repeatable.")
    ] = None,
    most_steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 300,
    side: Annotated[int, typer.Option(min=12, help="Voxels along each axis of the volumes.")] = 32,
    part: Annotated[
        str, typer.Option(help="K/N: only the K-th of N parts, for several processes at once.")
    ] = "1/1",
    as_json: Json = False,
) -> None:
    """Try attribution methods on networks of which it is known what they decide by.

    Networks are trained on the spot. A run that was interrupted goes on where
    it stopped.
    """
    first, _, last = part.partition("/")
    if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
        fail(f"--part takes K/N, such as 1/2, not {part!r}.")
    from napari_cardioxai.attribution.registry import METHODS
    from napari_cardioxai.attribution.trials.picture import draw_example
    from napari_cardioxai.attribution.trials.run import (
        EXAMPLE,
        Plan,
        accuracies_in,
        invalid_in,
        run_trials,
    )
    from napari_cardioxai.attribution.trials.table import answers_of, table_of, write_csv
    from napari_cardioxai.attribution.trials.tasks import make_task
    from napari_cardioxai.report.trials_page import sentence, write_page

    if unknown := [name for name in method or [] if name not in METHODS]:
        fail(f"there is no method {unknown[0]!r}; known are {', '.join(METHODS)}.")
    chosen = make_task(task, side=side)
    named = architecture or next(iter(chosen.build))
    if named not in chosen.build:
        fail(f"{task} has no {named!r} network; choose {', '.join(chosen.build)}.")
    plan = Plan(task, named, networks, cases, most_steps=most_steps, side=side)
    with progress() as on_progress:
        measured = run_trials(
            plan,
            chosen,
            output,
            methods=method,
            part=(int(first), int(last)),
            on_progress=on_progress,
        )
    rows = table_of(measured)
    answers = answers_of(rows)
    titles = {row.name: row.title for row in rows}
    accuracies, invalid = accuracies_in(output), invalid_in(output)
    facts = [
        (
            f"Evidence: {chosen.reason}. Pointing within {chosen.tolerance_mm:g} mm; methods and "
            f"scores compare with the baseline {chosen.baseline}."
        ),
        "Accuracy on unseen images: "
        + ", ".join(f"{name} {100 * value:.0f} %" for name, value in accuracies.items())
        + ".",
        *(f"Not used: {METHODS[name].title}. {reason}" for name, reason in invalid.items()),
    ]
    pictures = {}
    for home in sorted(path.parent for path in output.glob(f"*/{EXAMPLE}")):
        pictures[home.name] = home / "example.png"
        draw_example(pictures[home.name], home / EXAMPLE, title=f"{chosen.title}, {home.name}")
    write_csv(rows, output / "table.csv")
    write_page(
        output / "table.html",
        rows,
        answers,
        title=f"Attribution on trial: {chosen.title}",
        facts=facts,
        pictures=pictures,
    )
    if as_json:
        print_json(
            {
                "task": task,
                "architecture": named,
                "accuracy": accuracies,
                "rows": [row.as_json() for row in rows],
                "answers": answers,
                "invalid": invalid,
                "table": output / "table.csv",
                "page": output / "table.html",
            }
        )
        return
    for answer in answers.values():
        print(sentence(answer, titles))
    print(f"The whole table: {output / 'table.html'}")
