"""A page to try a model on: drop a picture, see its depth, its classes and its points."""
