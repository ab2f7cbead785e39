"""Checkpoints: written beside training, verified before use, read on any ranks at any stage."""
