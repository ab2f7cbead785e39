"""Deployments: which flows the project's prefect.yaml offers, and where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from symbio.errors import SymbioError

_DEPLOY_S = 240.0
_TAIL_LINES = 30


def register_deployments(project: Path) -> int:
    """Run `prefect deploy --all` in the project; returns the number of deployments.

    Without a prefect.yaml there is nothing to do.

    Raises:
        SymbioError: prefect.yaml is wrong; with Prefect's own words.
    """
    path = project / "prefect.yaml"
    if not path.exists():
        return 0
    # A worker's own folder, filled in by each worker, and not by whoever registers.
    environment = {name: text for name, text in os.environ.items() if name != "SYMBIO_HOME"}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DEPLOY_S,
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-_TAIL_LINES:])
        raise SymbioError(f"{path}: prefect deploy --all failed:\n{said}")
    return len(yaml.safe_load(path.read_text(encoding="utf-8")).get("deployments") or [])
