"""The rendered sample, in the official file formats."""
