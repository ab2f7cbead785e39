"""Depth and semantics of any picture."""
