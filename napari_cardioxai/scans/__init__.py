"""What was acquired: arrays with geometry, time and provenance."""
