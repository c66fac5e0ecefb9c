"""`cardioxai`: the main job without a screen, and the door to the window.

Results go to standard output, everything else to standard error. A command
ends with 0, with 2 and one sentence for input that it cannot take, or with
130 when it was interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cardioxai import __version__
from napari_cardioxai.errors import CardioxaiError, OutputError
from napari_cardioxai.progress import Progress as OnProgress

app = typer.Typer(
    help="Explainable cardiac MRI: load, segment, measure, report. For research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
train_app = typer.Typer(help="Train models.", no_args_is_help=True)
evaluate_app = typer.Typer(help="Judge models on what they never saw.", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")

StudyPath = Annotated[Path, typer.Argument(help="DICOM folder or file, NIfTI, PNG, JPEG or NPY.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Model = Annotated[
    str, typer.Option(help="Name or folder of a model; `cardioxai models` lists them.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Series = Annotated[
    int | None, typer.Option(help="Index from `cardioxai info`; the default series when left out.")
]
DEFAULT_MODEL = "lv-unet"


def main() -> None:
    """Run the command line; the entry point of the `cardioxai` script."""
    try:
        code = app(standalone_mode=False)
    except CardioxaiError as error:
        _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        _say("Interrupted; nothing was written.")
        sys.exit(130)
    except Exception as error:
        # typer raises click's own usage errors when it does not run standalone.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            _fail(f"{error.format_message()} See `cardioxai --help`.")
        raise
    if code == 130:  # typer turns Ctrl-C into this
        _say("Interrupted; nothing was written.")
    sys.exit(code if isinstance(code, int) else 0)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"cardioxai {__version__}")
        raise typer.Exit


@app.command()
def info(path: StudyPath, as_json: Json = False) -> None:
    """List the series of a study: kind, size, spacing, times, warnings."""
    from napari_cardioxai.scans.catalogue import find_series

    with _progress() as on_progress:
        catalogue = find_series(path, on_progress=on_progress)
    if as_json:
        _print_json(catalogue.as_json())
        return
    for index, entry in enumerate(catalogue.entries):
        frames, slices, rows, columns = entry.shape
        spacing = (
            " x ".join(f"{s:.3g}" for s in entry.spacing_mm) + " mm"
            if entry.spacing_mm
            else "unknown"
        )
        mark = "*" if index == catalogue.default else " "
        print(f"{mark} {index}  {entry.kind:<16}  {entry.name}")
        print(f"     {frames} frames, {slices} slices of {rows} x {columns}; spacing {spacing}")
        if entry.order_rule:
            print(f"     frames ordered by {entry.order_rule}")
        for warning in entry.warnings:
            print(f"     ! {warning}")
    for warning in catalogue.warnings:
        print(f"! {warning}")


@app.command()
def segment(
    path: StudyPath,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Label file (.nii.gz), or a folder for pictures.")
    ],
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    series: Series = None,
) -> None:
    """Label every frame and slice: 1 LV cavity, 2 myocardium, 3 RV cavity."""
    from napari_cardioxai import studies
    from napari_cardioxai.anatomy.label_files import write_labels
    from napari_cardioxai.scans.catalogue import load_scan
    from napari_cardioxai.scans.images import is_picture_folder

    with _progress() as on_progress:
        if is_picture_folder(path):
            count, notes = studies.segment_pictures(
                path, output, model=model, device=device, on_progress=on_progress
            )
            _say(f"{count} pictures labelled into {output}.")
        else:
            _check_label_name(output)
            scan = load_scan(path, series=series, on_progress=on_progress)
            result = studies.segment(scan, model=model, device=device, on_progress=on_progress)
            write_labels(output, result.labels)
            notes = (*scan.provenance.warnings, *result.notes)
            frames, slices = result.labels.data.shape[:2]
            _say(
                f"{frames} x {slices} pictures labelled in {result.seconds:.1f} s on {result.device}; "
                f"labels in {output}."
            )
    for note in notes:
        _say(f"! {note}")


@app.command()
def measure(
    labels: Annotated[Path, typer.Argument(help="Label file: NIfTI, or PNG of one slice.")],
    scan: Annotated[
        Path | None, typer.Option(help="The scan, for frame times and to check the grid.")
    ] = None,
    height_cm: Annotated[float | None, typer.Option(help="For indices per body surface.")] = None,
    weight_kg: Annotated[float | None, typer.Option(help="For indices per body surface.")] = None,
    as_json: Json = False,
) -> None:
    """Volumes, function, walls and quality from labels."""
    from napari_cardioxai.anatomy.label_files import read_labels
    from napari_cardioxai.anatomy.measurements import measure as measure_labels
    from napari_cardioxai.anatomy.quality import check
    from napari_cardioxai.scans.catalogue import load_scan

    with _progress() as on_progress:
        on_progress(0, 0, "reading")
        loaded = None if scan is None else load_scan(scan, on_progress=on_progress)
        read = read_labels(labels, scan=loaded)
        on_progress(0, 0, "measuring")
        result = measure_labels(read, height_cm=height_cm, weight_kg=weight_kg)
        quality = check(read, scan=loaded)
    if as_json:
        _print_json({**result.as_json(), "quality": quality.as_json()})
        return
    _print_rows(result)
    for finding in quality.findings:
        _say(f"{'!' if finding.severity == 'warning' else 'i'} {finding.sentence}")


@app.command()
def analyze(
    path: StudyPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    series: Series = None,
) -> None:
    """Segment, measure and report one study: labels, JSON, CSV and a self-contained HTML file."""
    from napari_cardioxai.report.results import write_results
    from napari_cardioxai.studies import analyze as analyze_study

    with _progress() as on_progress:
        study = analyze_study(
            path, series=series, model=model, device=device, on_progress=on_progress
        )
        files = write_results(study, output, on_progress=on_progress)
    _print_rows(study.measurements)
    for file in files:
        _say(str(file))


@app.command()
def models(as_json: Json = False) -> None:
    """List the models that come with the program and your own."""
    from napari_cardioxai.bundles.bundle import available_bundles, load_card

    cards = {name: load_card(folder) for name, folder in available_bundles().items()}
    if as_json:
        _print_json({name: card.as_json() for name, card in cards.items()})
        return
    for name, card in cards.items():
        print(f"{name:<16} {card.kind:<10} {card.title}")


@app.command()
def phantom(
    spec: Annotated[
        str, typer.Argument(help="Built-in name such as `mixed`, or a TOML or JSON file.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the cohort.")],
    subjects: Annotated[int, typer.Option(min=1)] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    images: Annotated[bool, typer.Option("--images", help="Simulate bSSFP images too.")] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="Export them as a scanner would.")] = False,
) -> None:
    """Make a cohort of beating hearts whose truth is known in closed form."""
    from napari_cardioxai.phantom.cohort import generate

    with _progress() as on_progress:
        manifest = generate(
            spec,
            output,
            subjects=subjects,
            seed=seed,
            images=images or dicom,
            dicom=dicom,
            on_progress=on_progress,
        )
    print(manifest)


@app.command()
def gui(path: Annotated[Path | None, typer.Argument(help="A study to open.")] = None) -> None:
    """Open the window."""
    from napari_cardioxai.app.window import launch

    launch(path)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("demo-output"),
    window: Annotated[bool, typer.Option(help="Show the window and leave it open.")] = True,
) -> None:
    """The main job on the shipped sample: results and a screenshot, and the window to look at."""
    from napari_cardioxai.app.window import screenshot_main_job, show_main_job
    from napari_cardioxai.report.results import write_results
    from napari_cardioxai.scans.samples import sample_path
    from napari_cardioxai.studies import analyze as analyze_study

    with _progress() as on_progress:
        study = analyze_study(sample_path(), on_progress=on_progress)
        files = write_results(study, output, on_progress=on_progress)
    _print_rows(study.measurements)
    for file in files:
        print(file)
    if window and not os.environ.get("CARDIOXAI_VIRTUAL_DISPLAY"):
        show_main_job(sample_path())
    else:
        print(screenshot_main_job(sample_path(), output / "screenshot.png"))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark; each lies in tests/benchmarks.")],
    as_json: Json = False,
) -> None:
    """Measure speed or memory as ratios within one run; needs the source checkout."""
    figures = _benchmark(name)()
    if as_json:
        _print_json({"name": name, "figures": figures, "machine": _machine()})
        return
    for key, value in figures.items():
        print(f"{key:<28} {value:.4g}")
    print(", ".join(f"{key} {value}" for key, value in _machine().items()))


@train_app.command("segmenter")
def train_segmenter(
    data: Annotated[Path, typer.Option(help="Folder with images/ and lv_masks/ of Sunnybrook.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    network: Annotated[str, typer.Option(help="unet, lv-fcn or alexnet-fcn.")] = "unet",
    exclude: Annotated[
        list[str] | None, typer.Option(help="Patient to keep out; repeatable.")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="evaluation.json of the cross-validation, for the card.")
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Checkpoints, from which an interrupted run goes on [runs/NAME]."),
    ] = None,
    epochs: Annotated[int | None, typer.Option()] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    decay_rate: Annotated[float | None, typer.Option()] = None,
    decay_steps: Annotated[int | None, typer.Option()] = None,
    device: Device = "auto",
) -> None:
    """Train a slice segmenter on every patient but the excluded ones and write its bundle."""
    from napari_cardioxai.training.segmenter_bundle import make_segmenter_bundle

    make_segmenter_bundle(
        _recipe(network, epochs, learning_rate, decay_rate, decay_steps),
        data,
        output,
        exclude=exclude or [],
        evaluation=evaluation,
        run_dir=run_dir or Path("runs") / output.name,
        device=device,
        command=_command(),
    )
    _say(f"Model in {output}.")


@evaluate_app.command("segmenter")
def evaluate_segmenter(
    data: Annotated[Path, typer.Option(help="Folder with images/ and lv_masks/ of Sunnybrook.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for folds and results.")],
    network: Annotated[str, typer.Option(help="unet, lv-fcn or alexnet-fcn.")] = "unet",
    folds: Annotated[int, typer.Option()] = 5,
    pixel_mm: Annotated[
        list[str] | None, typer.Option(help="PATIENT=MM where the pixel size is known; repeatable.")
    ] = None,
    doubtful: Annotated[
        list[str] | None, typer.Option(help="Patient whose contours are wrong; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option()] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    decay_rate: Annotated[float | None, typer.Option()] = None,
    decay_steps: Annotated[int | None, typer.Option()] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Cross-validate a segmenter patient by patient."""
    from napari_cardioxai.cohorts.slices import sunnybrook_pairs
    from napari_cardioxai.training.cross_validation import cross_validate
    from napari_cardioxai.training.segmentation_scores import markdown_table

    known: dict[str, float] = {}
    for item in pixel_mm or []:
        patient, _, value = item.partition("=")
        try:
            known[patient] = float(value)
        except ValueError:
            _fail(f"--pixel-mm takes PATIENT=MM, not {item!r}.")
    with _progress() as on_progress:
        result = cross_validate(
            _recipe(network, epochs, learning_rate, decay_rate, decay_steps),
            sunnybrook_pairs(data),
            run_dir=output,
            folds=folds,
            pixel_mm=known,
            doubtful=doubtful or [],
            device=device,
            on_progress=on_progress,
        )
    if as_json:
        _print_json(result)
    else:
        tables: dict[str, Any] = {network: result}
        if "without_doubtful" in result:
            tables[f"{network}, without {', '.join(doubtful or [])}"] = result["without_doubtful"]
        print(markdown_table(tables))


def _recipe(
    network: str,
    epochs: int | None,
    learning_rate: float | None,
    decay_rate: float | None,
    decay_steps: int | None,
) -> Any:
    from napari_cardioxai.training.segmenter import recipe_for

    given = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "decay_rate": decay_rate,
        "decay_steps": decay_steps,
    }
    return recipe_for(network, **{k: v for k, v in given.items() if v is not None})


def _benchmark(name: str) -> Callable[[], dict[str, float]]:
    """The `run` function of tests/benchmarks/bench_NAME.py in the source checkout."""
    import importlib.util

    folder = Path(__file__).parents[1] / "tests" / "benchmarks"
    known = sorted(p.stem.removeprefix("bench_") for p in folder.glob("bench_*.py"))
    if not known:
        raise CardioxaiError(
            "benchmarks need the source checkout with its tests/benchmarks folder."
        )
    if name not in known:
        raise CardioxaiError(f"there is no benchmark {name!r}; known are {', '.join(known)}.")
    spec = importlib.util.spec_from_file_location(f"bench_{name}", folder / f"bench_{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run


def _machine() -> dict[str, Any]:
    import platform

    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _command() -> str:
    """The command as typed, paths cut to their last part: folders of a machine tell nobody anything."""
    import shlex

    words = [Path(word).name if "/" in word or "\\" in word else word for word in sys.argv[1:]]
    return shlex.join(["cardioxai", *words])


def _check_label_name(path: Path) -> None:
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise OutputError(f"{path.name} must end in .nii.gz or .nii: labels are written as NIfTI.")


@contextmanager
def _progress() -> Iterator[OnProgress]:
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


def _print_rows(measurements: Any) -> None:
    """Numbers on standard output, what must be known to read them on standard error."""
    for name, value, unit in measurements.as_rows():
        print(f"{name:<42} {value} {unit}".rstrip())
    for note in measurements.notes:
        _say(f"! {note}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain, allow_nan=False))


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays, and paths, as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _fail(sentence: str) -> None:
    _say(sentence)
    sys.exit(2)
