"""Models in the MLflow registry."""
