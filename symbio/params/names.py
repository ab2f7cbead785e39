"""Names of data sets."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

DATASETS = ("nyu", "kitti")
"""Data sets of which symbio knows the official files; those of one's own are keys of `custom`."""
CUSTOM = "custom"
"""Key of params.yaml below which they are."""
NAME = r"[a-z][a-z0-9_]{0,39}"
"""Pattern of a data set's name."""
DatasetName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
"""Becomes part of file names, of an experiment's and of a registered model's name."""
TAKEN = (*DATASETS, "tracking")
"""No names for a data set of one's own: `checkpoints/tracking` is a folder already."""
