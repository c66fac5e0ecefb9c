"""One whole study of 12 x 20 x 256 x 256 through the default segmenter, in a process of its own."""

import json
import subprocess
import sys

CHILD = """
import dataclasses, json, resource, sys
import numpy as np
from napari_cardioxai import studies
from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.samples import sample_path

scan = load_scan(sample_path())
rows, columns = scan.data.shape[2:]
padding = ((0, 0), (0, 0), (0, 256 - rows), (0, 256 - columns))
whole = dataclasses.replace(scan, data=np.pad(scan.data, padding))
result = studies.segment(whole, device="cpu")
unit = 1024 if sys.platform != "darwin" else 1024 * 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
print(json.dumps({"seconds": result.seconds, "peak_mib": peak, "pictures": 20 * 12}))
"""


def run() -> dict[str, float]:
    """Seconds of labelling (model loading apart) and peak memory of the whole process."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
