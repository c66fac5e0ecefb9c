"""Recipes of latent hearts: data, loss, stages, bundle, evaluation."""
