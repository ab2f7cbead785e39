"""An embedded MLflow store for tests: created once (seconds), copied for each (milliseconds)."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path

from symbio.tracking import open_store


def put_store(root: Path) -> None:
    """Give the project `root` an embedded store without runs."""
    (root / "mlruns").mkdir(parents=True)
    shutil.copyfile(_template(), root / "mlruns" / "mlflow.db")


@functools.cache
def _template() -> Path:
    root = Path(tempfile.mkdtemp(prefix="symbio-store-"))
    open_store(root)
    return root / "mlruns" / "mlflow.db"
