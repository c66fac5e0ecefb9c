"""Trained models as folders: a card, weights, and how to run them."""

DEFAULT_SEGMENTER = "heart-unet"
"""Name of the bundle that labels a study where nobody chose another."""
