"""Trained models as folders: a card, weights, and how to run them."""
