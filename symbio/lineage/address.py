"""Where a browser finds what the tracking store holds."""

from __future__ import annotations

import re
from pathlib import Path

from symbio.tracking.store import tracking_uri


def page_of_run(root: Path, experiment_id: str, run_id: str) -> str | None:
    """Address of a run's page in MLflow; None where the store is no server."""
    uri = tracking_uri(root)
    if not uri.startswith(("http://", "https://")):
        return None
    # A browser asks for name and password itself.
    place = re.sub(r"(?<=://)[^/@\s]+@", "", uri).rstrip("/")
    return f"{place}/#/experiments/{experiment_id}/runs/{run_id}"
