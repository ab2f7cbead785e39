"""What a training run is really doing: `symbio status`."""
