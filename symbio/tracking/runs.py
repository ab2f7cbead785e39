"""Runs that are over, or that need no process of their own: searches, trials, catching up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.tracking.mirror import Mirror
from symbio.tracking.record import RUNNING, RunRecord, as_params, record_before


def send_run(folder: Path, root: Path) -> str:
    """Bring the store up to date with a run folder that is over; returns the store's run id.

    Raises what MLflow raises when the store is away.
    """
    mirror = Mirror(folder, root)
    mirror.close()
    assert mirror.record.run_id is not None
    return mirror.record.run_id


def record_run(
    folder: Path,
    root: Path,
    *,
    experiment: str,
    name: str,
    status: str,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    parent: RunRecord | None = None,
    journals: tuple[Path, ...] = (),
    artifacts: Mapping[Path, str] | None = None,
) -> RunRecord:
    """Make `folder` the folder of a run (a search, a trial) with this status.

    Called again it updates the same run. `parent` nests it. `artifacts` (file or folder -> folder
    in the run's artifacts) go with a run that is over. Nothing is sent: `send_quietly` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = record_before(folder)
    record = RunRecord(
        experiment=experiment,
        name=name,
        parent_key=parent.key if parent else None,
        params=as_params(params or {}),
        tags=dict(tags or {}),
        journals=tuple(str(path.resolve()) for path in journals),
        artifacts={str(path.resolve()): place for path, place in (artifacts or {}).items()},
    )
    if before is not None:
        record = dataclasses.replace(
            record, key=before.key, run_id=before.run_id, started_ms=before.started_ms
        )
    record = record if status == RUNNING else record.ended(status)
    record.write(folder)
    return record


def send_quietly(folder: Path, root: Path) -> bool:
    """Send a run folder; False, and one line to the user, when the store is away."""
    try:
        mirror = Mirror(folder, root)
        mirror.update() if mirror.record.status == RUNNING else mirror.close()
    except SymbioError:
        raise
    except Exception as error:
        # Stores fail in many types (HTTP, database driver, MLflow's own): all mean "later".
        say(f"Not tracked for now ({type(error).__name__}): {folder} keeps it for `symbio sync`.")
        return False
    return True
