"""Ranks: the processes that train or evaluate together, on one host or several."""
