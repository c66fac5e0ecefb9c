"""What labels mean: structures, curves, volumes, walls and their quality."""
