"""Self-contained reports of a study."""
