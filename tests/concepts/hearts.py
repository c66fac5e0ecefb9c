"""A model whose every part is known: latents are EF and PFR, the decision depends on EF alone.

Unit 0 of each frame's latent is the ejection fraction in steps of 5 % from 60 %,
unit 1 the peak filling rate in steps of 0.5 EDV/s from 3 EDV/s, the others do
nothing. Decoded hearts are cylinders that follow the phantom's volume curve.
The logit is minus the mean of unit 0.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from napari_cardioxai.bundles.card import LatentCard
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.cohorts.normalisation import NormalisationSpec
from napari_cardioxai.concepts.biomarkers import BIOMARKERS, Ruler
from napari_cardioxai.concepts.layers import read_layer
from napari_cardioxai.networks.latent import LatentHeart
from napari_cardioxai.phantom.volume_curve import VolumeCurve
from napari_cardioxai.scans.geometry import Geometry

FRAMES, UNITS = 25, 6
EF, PFR = 0, 1
EDV_ML, SLICE_MM, PIXEL_MM, CYCLE_MS = 120.0, 12.0, 1.25, 1000.0
LIFT = 50.0  # keeps the ReLU before the decision in its linear part
RULER = Ruler(
    Geometry((SLICE_MM, PIXEL_MM, PIXEL_MM)), np.arange(FRAMES) * CYCLE_MS / FRAMES, CYCLE_MS
)


def ef_percent(z):
    return 60.0 + 5.0 * z


def pfr_edv_s(z):
    return 3.0 + 0.5 * z


class KnownHeart(LatentHeart):
    """Linear in the latents, decoded by the phantom's curve."""

    def __init__(self):
        super().__init__(latent=UNITS, channels=(4, 4), frame_units=2, hidden=(), dropout=0.0)
        frame = self.frame_layer
        with torch.no_grad():
            for layer in (frame, self.concept_layer, self.decision[2]):
                layer.weight.zero_()
                layer.bias.zero_()
            frame.weight[0, EF] = frame.weight[1, PFR] = 1.0
            frame.bias[:] = LIFT
            self.concept_layer.weight[0, 0::2] = 1 / FRAMES  # mean of EF
            self.concept_layer.weight[1, 1::2] = 1 / FRAMES  # mean of PFR
            self.decision[2].weight[0, 0] = -1.0
            self.decision[2].bias[:] = LIFT

    def decode(self, z):
        hearts = [known_cycle(*np.round(one.mean(0)[:2].tolist(), 4)) for one in z]
        labels = torch.from_numpy(np.stack(hearts)).long()
        return torch.nn.functional.one_hot(labels, 4).permute(0, 1, 2, 5, 3, 4).float()


@lru_cache(maxsize=512)
def known_cycle(ef, pfr):
    share = ef_percent(ef) / 100
    curve = VolumeCurve(edv_ml=EDV_ML, esv_ml=EDV_ML * (1 - share))
    faster = curve.truth().pfr_ml_s / EDV_ML / pfr_edv_s(pfr)
    curve = replace(curve, e_duration_ms=curve.e_duration_ms * faster)
    area_mm2 = curve.volume_ml(RULER.frame_times_ms) * 1000 / (3 * SLICE_MM)
    yy, xx = np.mgrid[:80, :80] - 39.5
    distance = np.hypot(yy, xx) * PIXEL_MM
    cycle = np.zeros((FRAMES, 3, 80, 80), np.uint8)
    for t, radius in enumerate(np.sqrt(area_mm2 / np.pi)):
        cycle[t, :, distance < radius + 8] = 2
        cycle[t, :, distance < radius] = 1
    return cycle


def known_card(**changes):
    fields = {
        "name": "known",
        "title": "known",
        "network": "latent-heart",
        "network_params": {},
        "normalisation": NormalisationSpec(),
        "classes": ("healthy", "diseased"),
        "threshold": {"value": 0.5},
        "data": "",
        "licence": "",
        "split": "",
        "results": {},
        "command": "",
        "recipe": {},
        "versions": {},
        "limits": (),
    }
    return LatentCard(**{**fields, **changes})


def known_classifier():
    return LatentClassifier(known_card(), KnownHeart().eval(), "cpu", {})


def latents(count, *, seed=0, correlation=0.0):
    """Subjects whose EF and PFR are normal with a correlation; the other units are noise."""
    rng = np.random.default_rng(seed)
    both = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], count)
    z = 0.05 * rng.normal(size=(count, FRAMES, UNITS))
    z[..., :2] += both[:, None]
    return z.astype(np.float32)


def biomarkers(z):
    """What a perfect measurement finds, shape (n, b); NaN for all but EF and PFR."""
    table = np.full((len(z), len(BIOMARKERS)), np.nan)
    mean = z.mean(1)
    table[:, list(BIOMARKERS).index("ef_percent")] = ef_percent(mean[:, EF])
    table[:, list(BIOMARKERS).index("pfr_edv_s")] = pfr_edv_s(mean[:, PFR])
    return table


def reading(z, layer="concept_layer"):
    return read_layer(known_classifier(), z, layer)
