"""Testing five concepts, against captum's TCAV on the same sets, and how often chance passes.

The subjects are drawn, 5,000 to find concepts on and 500 to test, with 64
correlated units; the decision is the last part of a latent heart (a ReLU and a
linear layer). Both programs start from these activations; speed is compared on
five concepts and 95 random sets of the same size, which a test needs.
"""

import logging
import tempfile
import time
import warnings

import numpy as np
import torch
from captum.concept import TCAV, Classifier
from captum.concept import Concept as CaptumConcept
from sklearn.linear_model import LogisticRegression
from torch.utils.data import DataLoader

from napari_cardioxai.concepts.directions import find_direction
from napari_cardioxai.concepts.fitting import PENALTY
from napari_cardioxai.concepts.layers import LayerReading
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS, Concept
from napari_cardioxai.concepts.samples import ConceptSets, extremes, random_sets
from napari_cardioxai.concepts.significance import corrected, test_concepts
from napari_cardioxai.networks.latent import LatentHeart

POOL, TEST, UNITS, SIDE = 5000, 500, 64, 1000
TRIALS, RANDOM_SETS = 200, 95


def run() -> dict[str, float]:
    """Seconds of the whole test, captum's time over ours, their difference, and false positives."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    rng = np.random.default_rng(0)
    head = _head()
    pool, test = (_reading(head, count, rng) for count in (POOL, TEST))
    concepts = _concepts(pool, rng)

    start = time.perf_counter()
    test_concepts(pool, test, concepts, kinds=["linear"], rng=rng)
    for one in concepts:
        find_direction(pool, one, "linear", rng=rng)
    seconds = time.perf_counter() - start

    start = time.perf_counter()
    _scores(pool, test, concepts, rng, permutations=RANDOM_SETS)
    our_seconds = time.perf_counter() - start
    several = [*concepts, *_chance(rng, RANDOM_SETS)]
    start = time.perf_counter()
    _captum(head, pool, test, several, None)
    captum_seconds = time.perf_counter() - start
    ours = _scores(pool, test, several[:10], rng, permutations=1)
    theirs = _captum(head, pool, test, several[:10], _SameClassifier())

    trials = [_trial(pool, test, rng) for _ in range(TRIALS)]
    return {
        "seconds": seconds,
        "captum_seconds": captum_seconds,
        "speedup": captum_seconds / our_seconds,
        "max_abs_difference": float(np.max(np.abs(np.array(ours) - theirs))),
        "false_positive_rate": float(np.mean([share for share, _, _ in trials])),
        "family_wise_rate": float(np.mean([any_ for _, any_, _ in trials])),
        "t_test_false_positive_rate": float(np.mean([t for _, _, t in trials])),
    }


def _head() -> torch.nn.Module:
    torch.manual_seed(0)
    decision = LatentHeart(latent=8, channels=(4, 4)).decision
    return torch.nn.Sequential(torch.nn.Identity(), *decision).eval()


def _reading(head: torch.nn.Module, count: int, rng: np.random.Generator) -> LayerReading:
    mixing = np.random.default_rng(1).normal(size=(8, UNITS))
    h = rng.normal(size=(count, 8)) @ mixing + rng.normal(size=(count, UNITS))
    at = torch.tensor(h, dtype=torch.float32, requires_grad=True)
    logit = head(at)
    (gradients,) = torch.autograd.grad(logit.sum(), at)
    return LayerReading(
        "0",
        at.detach().double().numpy(),
        gradients.double().numpy(),
        logit.detach().double().numpy(),
    )


def _concepts(pool: LayerReading, rng: np.random.Generator) -> list[ConceptSets]:
    found = []
    for k, concept in enumerate(CLOUGH_CONCEPTS):
        values = pool.activations @ np.random.default_rng(10 + k).normal(size=UNITS)
        values += values.std() * rng.normal(size=POOL)
        found.append(extremes(concept, values, per_side=SIDE))
    return found


def _chance(rng: np.random.Generator, count: int) -> list[ConceptSets]:
    drawn = random_sets(POOL, (SIDE, SIDE), count=count, rng=rng).rows
    return [
        ConceptSets(Concept(f"chance {k}"), rows[:SIDE], rows[SIDE:])
        for k, rows in enumerate(drawn)
    ]


def _scores(
    pool: LayerReading,
    test: LayerReading,
    sets: list[ConceptSets],
    rng: np.random.Generator,
    *,
    permutations: int,
) -> list[float]:
    found = test_concepts(
        pool,
        test,
        sets,
        kinds=["linear"],
        rng=rng,
        permutations=permutations,
        bootstraps=1,
        t_test_runs=0,
    )
    return [one.score.value for one in found]


def _trial(
    pool: LayerReading, test: LayerReading, rng: np.random.Generator
) -> tuple[float, bool, float]:
    """Five random concepts: share that passes, whether any does, and share by the usual t-test."""
    found = corrected(
        test_concepts(
            pool, test, _chance(rng, 5), kinds=["pattern"], rng=rng, permutations=199, bootstraps=50
        )
    )
    passed = [one.p_holm <= 0.05 for one in found]
    return (
        float(np.mean(passed)),
        any(passed),
        float(np.mean([one.p_t_test <= 0.05 for one in found])),
    )


class _SameClassifier(Classifier):
    """The minimum of the same loss as "linear" has, by scikit-learn."""

    def __init__(self) -> None:
        self.machine = LogisticRegression(C=1 / (PENALTY * 2 * SIDE), tol=1e-9, max_iter=5000)

    def train_and_eval(self, dataloader: DataLoader, **_: object) -> dict[str, object]:
        parts = list(dataloader)
        x = torch.cat([x for x, _ in parts]).double().numpy()
        y = torch.cat([y for _, y in parts]).numpy()
        self.machine.fit((x - self.centre) / self.scale, y)
        return {}

    def weights(self) -> torch.Tensor:
        w = torch.tensor(self.machine.coef_[0])
        return torch.stack([-w, w])

    def classes(self) -> list[int]:
        return list(self.machine.classes_)


def _captum(
    head: torch.nn.Module,
    pool: LayerReading,
    test: LayerReading,
    sets: list[ConceptSets],
    classifier: _SameClassifier | None,
) -> list[float]:
    """Captum's sign count of every set, with its own classifier where none is given."""
    h = torch.tensor(pool.activations, dtype=torch.float32)
    if classifier is not None:
        classifier.centre = pool.activations.mean(0)
        classifier.scale = np.sqrt(np.mean((pool.activations - classifier.centre) ** 2))
    pairs = [
        [
            CaptumConcept(2 * k + side, f"{k}-{side}", DataLoader(h[rows], batch_size=SIDE))
            for side, rows in enumerate((one.positive, one.negative))
        ]
        for k, one in enumerate(sets)
    ]
    with tempfile.TemporaryDirectory() as folder:
        machine = TCAV(head, ["0"], model_id="bench", classifier=classifier, save_path=folder)
        inputs = torch.tensor(test.activations, dtype=torch.float32)
        scores = machine.interpret(inputs, pairs)
    return [float(scores[f"{a.id}-{b.id}"]["0"]["sign_count"][0]) for a, b in pairs]
