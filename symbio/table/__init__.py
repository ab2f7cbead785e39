"""Registered models beside published results."""
