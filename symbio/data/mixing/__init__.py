"""Mixes: augmentations that compose a new frame of two."""
