"""Pseudo-labels by a teacher."""
