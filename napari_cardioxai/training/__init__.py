"""Recipes that make models, and the statistics that judge them."""
