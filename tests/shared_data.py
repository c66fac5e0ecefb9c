"""The shared real data, which the tests must be able to do without."""

import os
from pathlib import Path

import pytest


def shared_data(*parts: str) -> Path:
    """A file or folder of the shared real data; skips the test where it is missing."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    data = Path(os.environ.get("CARDIOXAI_DATA", beside)).joinpath(*parts)
    if not data.exists():
        pytest.skip(f"no {'/'.join(parts)}: set CARDIOXAI_DATA to the folder of the shared data")
    return data
