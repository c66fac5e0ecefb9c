"""Recipes of slice segmenters: training, cross-validation, scores, bundle."""
