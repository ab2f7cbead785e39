"""Scores by named protocols."""
