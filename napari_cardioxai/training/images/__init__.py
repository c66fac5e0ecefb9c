"""Recipes of image classifiers, in 2-D and 3-D: training, folds, table, bundle."""
