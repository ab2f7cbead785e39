"""Where a registered model and the run that trained it can be looked at in MLflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from symbio.tracking import open_store, tracking_uri

UI_VARIABLE = "SYMBIO_MLFLOW_UI"
"""Environment variable: MLflow's address for browsers, where it is another than for programs."""


@dataclass(frozen=True, slots=True)
class Link:
    """A page of MLflow."""

    what: str
    """ "run", "version" or "page"."""
    text: str
    url: str


def mlflow_links(root: Path, entry: Mapping[str, Any]) -> list[Link]:
    """The run and the version of registry/{d}.json's content; none without an MLflow server.

    The run's page needs a question to the server; while that is away there is no link to it.
    """
    base = mlflow_address(root)
    if base is None:
        return []
    name, version, run = entry["name"], entry["version"], entry["run_id"]
    links = [
        Link("version", f"{name}, version {version}", f"{base}/#/models/{name}/versions/{version}")
    ]
    return [*run_links(root, run), *links]


def run_links(root: Path, run: str) -> list[Link]:
    """The run's page in MLflow; none without an MLflow server, or while it is away."""
    base = mlflow_address(root)
    if base is None:
        return []
    try:
        found = open_store(root).get_run(run)
    except Exception:
        # Stores fail in many types (HTTP, database driver, MLflow's own).
        return []
    page = f"{base}/#/experiments/{found.info.experiment_id}/runs/{run}"
    return [Link("run", f"run {found.info.run_name}", page)]


def mlflow_address(root: Path) -> str | None:
    """MLflow's address for a browser, without user and password; None where no server is used."""
    given = os.environ.get(UI_VARIABLE) or tracking_uri(root)
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https"):
        return None
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
