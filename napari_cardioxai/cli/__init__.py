"""`cardioxai`: the main job without a screen, and the door to the window.

Results go to standard output, everything else to standard error. A command
ends with 0, with 2 and one sentence for input that it cannot take, or with
130 when it was interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from napari_cardioxai import __version__
from napari_cardioxai.cli import (
    attribute,
    bench,
    classify,
    cohort,
    concepts,
    evaluate,
    evaluate_attribution,
    evaluate_images,
    evaluate_maps,
    phantom,
    project,
    study,
    train,
    train_image,
    window,
)
from napari_cardioxai.cli.console import fail, say
from napari_cardioxai.errors import CardioxaiError

app = typer.Typer(
    help="Explainable cardiac MRI: load, segment, measure, report. For research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group in (study, classify, attribute, concepts, window, phantom, bench):
    app.add_typer(group.app)
train.app.command("image")(train_image.train_image)
train.app.command("networks")(train_image.train_networks)
cohort.app.command("map")(project.map_cohort)
evaluate.app.command("images")(evaluate_images.evaluate_images)
evaluate.app.command("maps")(evaluate_maps.evaluate_maps)
evaluate.app.command("attribution")(evaluate_attribution.evaluate_attribution)
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(cohort.app, name="cohort")


def main() -> None:
    """Run the command line; the entry point of the `cardioxai` script."""
    try:
        code = app(standalone_mode=False)
    except CardioxaiError as error:
        fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        say("Interrupted; nothing was written.")
        sys.exit(130)
    except OSError as error:  # a full disk behind standard output, a drive that went away
        where = f"{error.filename}: " if error.filename else ""
        fail(f"The system refused to read or write: {where}{error.strerror or error}.")
    except Exception as error:
        # typer raises click's own usage errors when it does not run standalone.
        if not (hasattr(error, "format_message") and hasattr(error, "exit_code")):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":  # a group alone: its message is the help
            print(error.format_message())
            sys.exit(0)
        said = " ".join(error.format_message().split()).rstrip(".")
        fail(f"{said}; see `cardioxai --help`.")
    if code == 130:  # typer turns Ctrl-C into this
        say("Interrupted; nothing was written.")
    sys.exit(code if isinstance(code, int) else 0)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"cardioxai {__version__}")
        raise typer.Exit
