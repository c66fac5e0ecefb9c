"""Trainings as processes of their own: `python -m napari_cardioxai.training.jobs JOB.json`."""
