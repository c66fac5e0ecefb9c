"""Many subjects: images and labels made ready for networks."""
