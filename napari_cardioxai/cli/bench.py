"""Speed and memory, as ratios within one run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cardioxai.cli.console import print_json
from napari_cardioxai.cli.options import Json
from napari_cardioxai.errors import CardioxaiError

app = typer.Typer()


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark; each lies in tests/benchmarks.")],
    as_json: Json = False,
) -> None:
    """Measure speed or memory as ratios within one run; needs the source checkout."""
    figures = _benchmark(name)()
    if as_json:
        print_json({"name": name, "figures": figures, "machine": _machine()})
        return
    for row in figures.pop("rows", []):
        print("  ".join(f"{_figure(value):<24}" for value in row.values()))
    for key, value in figures.items():
        print(f"{key:<28} {value:.4g}")
    print(", ".join(f"{key} {value}" for key, value in _machine().items()))


def _benchmark(name: str) -> Callable[[], dict[str, Any]]:
    """The `run` function of tests/benchmarks/bench_NAME.py in the source checkout."""
    import importlib.util

    folder = Path(__file__).parents[2] / "tests" / "benchmarks"
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


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _machine() -> dict[str, Any]:
    import platform

    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
