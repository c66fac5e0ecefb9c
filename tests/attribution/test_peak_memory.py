import sys

import numpy as np
import pytest

from napari_cardioxai.attribution.peak_memory import peak_memory


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_memory_that_was_given_back_counts_and_what_was_there_before_does_not():
    kept = np.ones(8_000_000)
    with peak_memory() as found:
        taken = np.ones(16_000_000)  # 122 MiB
        del taken
    assert found.mib == pytest.approx(122, rel=0.25)
    with peak_memory() as little:
        kept += 1
    if sys.platform == "linux":
        assert little.mib < 40
