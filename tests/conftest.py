"""What tests of every room may ask for."""

import sys

import pytest

from napari_cardioxai import cli


@pytest.fixture
def cardioxai(monkeypatch, capsys):
    """Run the command line; exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["cardioxai", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return run
