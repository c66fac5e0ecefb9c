"""Every attribution method on a 3-D residual network, beside the best library that has it.

Ours and theirs run in turn in one process, with the same number of gradient
passes. A ratio is that of the least processor times: the clock on the wall
tells what else the machine was doing.
"""

import ctypes
import gc
import os
import resource
import subprocess
import sys
import time
import warnings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads would count as work
from collections.abc import Callable
from pathlib import Path
from statistics import median

import captum.attr
import numpy as np
import torch
from monai.networks.nets import ResNet
from monai.visualize import GradCAMpp
from torch import Tensor, nn
from torch.nn import functional

from napari_cardioxai.attribution.oversegmentation import listed, supervoxels
from napari_cardioxai.attribution.peak_memory import peak_memory
from napari_cardioxai.attribution.regions import rank_regions
from napari_cardioxai.attribution.registry import METHODS, make_method

SIDE = int(os.environ.get("CARDIOXAI_BENCH_SIDE", "64"))
REPEATS = int(os.environ.get("CARDIOXAI_BENCH_REPEATS", "3"))
ONLY = os.environ.get("CARDIOXAI_BENCH_METHODS", "").split()
LARGE = int(os.environ.get("CARDIOXAI_BENCH_LARGE", "0"))  # side of a volume, such as 128
TARGET = 1
STEPS = 32
SAMPLES = 25
AT_ONCE = 4
SUPERVOXELS = (50, 100, 200)
LAYER = "layer2"

FEW: dict[str, dict] = {
    "smoothgrad": {"samples": 4},
    "smoothgrad-squared": {"samples": 4},
    "gradient-shap": {"samples": 4},
    "ig": {"steps": 4, "tolerance_percent": 0},
    "blur-ig": {"steps": 4, "tolerance_percent": 0},
    "guided-ig": {"steps": 2},
    "smooth-ig": {"steps": 2, "samples": 4},
    "smooth-blur-ig": {"steps": 2, "samples": 4},
    "smooth-guided-ig": {"steps": 2, "samples": 4},
    "smooth-blur-guided": {"steps": 2, "samples": 4},
    "occlusion": {"window_percent": 50.0, "stride_percent": 100.0},
    "supervoxel-occlusion": {"count": 10},
}
"""For large volumes, where memory is asked for and not time."""

SETTINGS: dict[str, dict] = {
    "ig": {"steps": STEPS, "tolerance_percent": 0},
    "blur-ig": {"steps": STEPS, "tolerance_percent": 0},
    "guided-ig": {"steps": STEPS},
    "smooth-ig": {"steps": 8, "samples": 4},
    "smooth-blur-ig": {"steps": 8, "samples": 4},
    "smooth-guided-ig": {"steps": 8, "samples": 4},
    "smooth-blur-guided": {"steps": 8, "samples": 4},
    "xrai": {"steps": STEPS},
    "fast-xrai": {"steps": STEPS},
}


def run() -> dict:
    """Seconds and peak memory of every method, and ratios of time against its reference.

    `rows`: method, seconds, peak_mib, reference, ratio; without a library that
    has the method for volumes the reference is what its gradients cost there.
    `ig_memory_ratio`: peak with 8 times the steps against without.

    With CARDIOXAI_BENCH_LARGE=128 the rows are the memory of whole processes
    that make one map each of a volume of that side, with few steps. With
    CARDIOXAI_BENCH_METHODS="ig lrp ranking" only those.
    """
    if LARGE:
        return {"rows": [large_row(name) for name in METHODS if not ONLY or name in ONLY]}
    warnings.filterwarnings("ignore")
    network, x = a_network(), a_volume()
    rows = []
    for name in METHODS:
        if ONLY and name not in ONLY:
            continue
        method = make_method(name, network, **settings_of(name, SETTINGS))
        label, reference = references(network, x).get(name, ("", None))
        rows.append(row(name, lambda m=method: m.attribute(x, TARGET), label, reference))
        print(rows[-1], file=sys.stderr, flush=True)
    if ONLY and "ranking" not in ONLY:
        return {"rows": rows}
    rows.append(ranking_row(x))
    few, many = (
        peak_of(
            lambda s=steps: make_method(
                "ig", network, steps=s, tolerance_percent=0, memory_mib=256
            ).attribute(x, TARGET)
        )
        for steps in (16, 128)
    )
    return {"rows": rows, "ig_memory_ratio": many / few}


def settings_of(name: str, settings: dict[str, dict]) -> dict:
    """Of a method, with the layer where it takes one."""
    return {**settings.get(name, {}), **({"layer": LAYER} if METHODS[name].uses_layer else {})}


def large_row(name: str) -> dict:
    """Memory of a process of its own, Python and torch included."""
    environment = {**os.environ, "CARDIOXAI_BENCH_SIDE": str(LARGE), "CARDIOXAI_BENCH_LARGE": "0"}
    said = subprocess.run(
        [sys.executable, str(Path(__file__)), name],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    wall, mib = map(float, said.stdout.split()[-2:])
    found = {"method": f"{name}, {LARGE}³", "seconds": wall, "peak_mib": mib}
    print(found, file=sys.stderr, flush=True)
    return {**found, "reference": None, "ratio": None}


def one_map(name: str) -> None:
    """Make one map with few steps, and say what it took: seconds, and the process's memory in MiB."""
    warnings.filterwarnings("ignore")
    network, x = a_network(), a_volume()
    method = make_method(name, network, **settings_of(name, FEW))
    wall, _ = seconds(lambda: method.attribute(x, TARGET))
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def a_network() -> nn.Module:
    """A residual network of 0.9 million weights, as its batch norms leave training."""
    torch.manual_seed(0)
    network = ResNet(
        "basic",
        [1, 1, 1, 1],
        [16, 32, 64, 64],
        spatial_dims=3,
        n_input_channels=1,
        conv1_t_size=3,
        conv1_t_stride=2,
        no_max_pool=True,
        num_classes=3,
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
        elif isinstance(module, nn.ReLU):
            module.inplace = False  # captum's hooks ask for that
    return network.eval()


def a_volume() -> Tensor:
    """Noise with a bright ball."""
    generator = torch.Generator().manual_seed(0)
    x = 0.3 * torch.randn(1, 1, SIDE, SIDE, SIDE, generator=generator)
    axes = torch.meshgrid(*[torch.arange(SIDE) - SIDE // 2] * 3, indexing="ij")
    x[0, 0][sum(a.square() for a in axes) < (SIDE // 6) ** 2] += 2
    return x


def references(network: nn.Module, x: Tensor) -> dict[str, tuple[str, Callable[[], object]]]:
    """The same map from the library that has it, by method."""
    layer = dict(network.named_modules())[LAYER]
    window, step = SIDE // 4, SIDE // 8
    leaf = x.clone().requires_grad_()

    def gradients(count: int) -> tuple[str, Callable[[], object]]:
        saliency = captum.attr.Saliency(network)
        return f"captum, {count} gradients", lambda: [
            saliency.attribute(leaf, target=TARGET, abs=False) for _ in range(count)
        ]

    def path(steps: int, times: int = 1) -> tuple[str, Callable[[], object]]:
        ig = captum.attr.IntegratedGradients(network)
        return f"captum IG, {times} x {steps} steps", lambda: [
            ig.attribute(
                x, target=TARGET, n_steps=steps, internal_batch_size=AT_ONCE, method="gausslegendre"
            )
            for _ in range(times)
        ]

    def noisy(kind: str) -> tuple[str, Callable[[], object]]:
        tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(network))
        return "captum NoiseTunnel", lambda: tunnel.attribute(
            leaf,
            nt_type=kind,
            nt_samples=SAMPLES,
            nt_samples_batch_size=AT_ONCE,
            stdevs=0.15 * float(x.max() - x.min()),
            target=TARGET,
            abs=False,
        )

    def noisy_path(steps: int, samples: int) -> tuple[str, Callable[[], object]]:
        tunnel = captum.attr.NoiseTunnel(captum.attr.IntegratedGradients(network))
        return f"captum NoiseTunnel of IG, {samples} x {steps} steps", lambda: tunnel.attribute(
            x,
            nt_type="smoothgrad",
            nt_samples=samples,
            nt_samples_batch_size=1,
            stdevs=0.15 * float(x.max() - x.min()),
            target=TARGET,
            n_steps=steps,
            internal_batch_size=AT_ONCE,
            method="gausslegendre",
        )

    def cam() -> Tensor:
        maps = captum.attr.LayerGradCam(network, layer).attribute(
            x, target=TARGET, relu_attributions=True
        )
        return functional.interpolate(maps, x.shape[2:], mode="trilinear")

    guided_cam = captum.attr.GuidedGradCam(network, layer)
    labels = torch.from_numpy(supervoxels(x[0].numpy(), count=200, spacing_mm=(1.0,) * 3)).long()

    def ablation() -> Tensor:
        supervoxels(x[0].numpy(), count=200, spacing_mm=(1.0,) * 3)
        return captum.attr.FeatureAblation(network).attribute(
            x, feature_mask=labels[None, None], target=TARGET, perturbations_per_eval=AT_ONCE
        )

    return {
        "gradient": ("captum Saliency", gradients(1)[1]),
        "input-x-gradient": (
            "captum InputXGradient",
            lambda: captum.attr.InputXGradient(network).attribute(leaf, target=TARGET),
        ),
        "smoothgrad": noisy("smoothgrad"),
        "smoothgrad-squared": noisy("smoothgrad_sq"),
        "guided-backprop": (
            "captum GuidedBackprop",
            lambda: captum.attr.GuidedBackprop(network).attribute(leaf, target=TARGET),
        ),
        "gradient-shap": (
            "captum GradientShap",
            lambda: captum.attr.GradientShap(network).attribute(
                x, torch.zeros_like(x), n_samples=SAMPLES, target=TARGET
            ),
        ),
        "ig": path(STEPS),
        "smooth-ig": noisy_path(8, 4),
        "guided-ig": gradients(STEPS),
        "smooth-guided-ig": gradients(32),
        "blur-ig": path(STEPS),
        "smooth-blur-ig": path(8, 4),
        "smooth-blur-guided": gradients(32),
        "grad-cam": ("captum LayerGradCam", cam),
        "grad-cam++": (
            "MONAI GradCAMpp",
            lambda: GradCAMpp(nn_module=network, target_layers=LAYER)(x, class_idx=TARGET),
        ),
        "guided-grad-cam": (
            "captum GuidedGradCam",
            lambda: guided_cam.attribute(leaf, target=TARGET, interpolate_mode="trilinear"),
        ),
        "lrp": gradients(2),
        "occlusion": (
            "captum Occlusion",
            lambda: captum.attr.Occlusion(network).attribute(
                x,
                sliding_window_shapes=(1, *(window,) * 3),
                strides=(1, *(step,) * 3),
                target=TARGET,
                perturbations_per_eval=AT_ONCE,
            ),
        ),
        "supervoxel-occlusion": ("captum FeatureAblation and SLIC", ablation),
    }


def row(
    name: str, ours: Callable[[], object], label: str, reference: Callable[[], object] | None
) -> dict:
    """Median seconds; the ratio is of least processor times, which a busy machine changes least."""
    peak = peak_of(ours)
    if reference is not None:
        reference()
    mine: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    # What takes milliseconds is repeated until a second has been spent on it.
    while len(mine) < REPEATS or (sum(cpu for _, cpu in mine) < 1 and len(mine) < 10 * REPEATS):
        if reference is not None:
            theirs.append(seconds(reference))
        mine.append(seconds(ours))
    return {
        "method": name,
        "seconds": median(wall for wall, _ in mine),
        "peak_mib": peak,
        "reference": label or None,
        "ratio": min(cpu for _, cpu in mine) / min(cpu for _, cpu in theirs) if theirs else None,
    }


def ranking_row(x: Tensor) -> dict:
    """XRAI's ranking against looking at every mask anew, on the same regions."""
    image = x[0].numpy()
    cut = [supervoxels(image, count=n, spacing_mm=(1.0,) * 3) for n in SUPERVOXELS]
    shares = np.random.default_rng(0).normal(size=image.shape[1:])
    masks = [labels == k for labels in cut for k in range(labels.max() + 1)]
    found: list[np.ndarray] = []
    _, slow = seconds(lambda: found.append(rank_literally(shares, masks)))

    def ours() -> np.ndarray:
        return rank_regions(shares.ravel(), listed(cut), smallest=50)

    runs = [seconds(ours) for _ in range(REPEATS)]
    quick = median(cpu for _, cpu in runs)
    np.testing.assert_allclose(ours().reshape(shares.shape), found[0], atol=1e-9)
    return {
        "method": "xrai, ranking",
        "seconds": median(wall for wall, _ in runs),
        "peak_mib": peak_of(ours),
        "reference": f"literal loop over {len(masks)} masks, {slow:.3g} s",
        "ratio": quick / slow,
    }


def rank_literally(shares: np.ndarray, masks: list[np.ndarray]) -> np.ndarray:
    """Algorithm 1 of Kapishnikov et al. 2019, word for word."""
    heat, taken = np.full(shares.shape, -np.inf), np.zeros(shares.shape, bool)
    remaining = list(masks)
    while True:
        new = [mask & ~taken for mask in remaining]
        keep = [k for k, mask in enumerate(new) if mask.sum() >= 50]
        if not keep:
            break
        best = max(keep, key=lambda k: shares[new[k]].mean())
        heat[new[best]] = shares[new[best]].mean()
        taken |= new[best]
        remaining = [remaining[k] for k in keep if k != best]
    rest = np.isneginf(heat)
    if rest.any():
        heat[rest] = shares[rest].mean()
    return heat


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the clock on the wall, and of the processors."""
    wall, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processors


def peak_of(work: Callable[[], object]) -> float:
    """Memory that the work takes at its highest, in MiB; -1 where the system does not tell."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # or freed memory would hide the peak
    with peak_memory() as peak:
        work()
    return -1.0 if peak.mib is None else peak.mib


if __name__ == "__main__":
    one_map(sys.argv[1])
