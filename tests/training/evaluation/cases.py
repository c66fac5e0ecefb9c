"""Scores drawn from known distributions."""

import numpy as np


def binormal(rng, positives, negatives, shift=1.0):
    """Normal scores of unit variance, those of positives higher by `shift`."""
    labels = np.repeat([1, 0], [positives, negatives])
    return labels, rng.normal(size=len(labels)) + shift * labels
