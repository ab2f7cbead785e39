"""Where a flow works: the checkout itself, or a worktree of it for other parameters.

A flow that is asked for other parameters than those in params.yaml must not change the file under
another flow, or under a person. It gets a git worktree of its own in workspaces/, which shares the
DVC cache (what is the same is taken from there, and not computed again) and the embedded MLflow
store. The same parameters mean the same worktree, so that the same command continues.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.params import Params, dataset_names, load_params, parse_params
from symbio.presets import PRESETS
from symbio.tracking.store import locked, open_store
from symbio.worktree import add_worktree, apply_diff, git, share_cache, write_params

WORKSPACES = Path("workspaces")

_OWN = (":!params.yaml", ":!dvc.lock")
"""Files that a worktree does not take over as changes."""


def wanted_params(root: Path, preset: str | None, overrides: Mapping[str, Any]) -> Params:
    """params.yaml, or a preset, with values of dotted keys replaced.

    Raises:
        SymbioError: an override names no parameter, or the values do not hold.
    """
    source = root / "params.yaml" if preset is None else PRESETS / f"{preset}.yaml"
    if not source.is_file():
        raise SymbioError(f"preset: there is no {preset!r}")
    params = load_params(source)
    known, values = params.model_dump(mode="json"), _written(params)
    for key, value in overrides.items():
        _put(values, known, key, value)
    return parse_params(values, "overrides")


def workspace_for(root: Path, params: Params) -> Path:
    """The folder to work in with `params`: `root` where its params.yaml holds the same values.

    Raises:
        SymbioError: `root` is no git checkout with a commit.
    """
    values = params.model_dump(mode="json")
    if load_params(root / "params.yaml").model_dump(mode="json") == values:
        return root
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
    folder = root / WORKSPACES / digest
    with locked(root / WORKSPACES / f".{digest}.lock"):
        if not (folder / "params.yaml").is_file():
            _make(root, folder, _written(params))
    return folder


def _make(root: Path, folder: Path, values: dict[str, Any]) -> None:
    try:
        add_worktree(root, folder, "HEAD")
    except SymbioError as error:
        raise SymbioError(
            f"{error}; parameters other than params.yaml's need a git checkout with a commit"
        ) from error
    apply_diff(folder, git(root, "diff", "--binary", "HEAD", "--", ".", *_OWN))
    _share_data(root, folder)
    _share_store(root, folder)
    # Last: its being there says that the worktree is complete.
    write_params(folder / "params.yaml", values)


def _share_data(root: Path, folder: Path) -> None:
    """The same DVC cache, and what is already made; raw data by links."""
    (folder / "params.yaml").unlink()
    share_cache(root, folder)
    if (root / "dvc.lock").is_file():
        shutil.copyfile(root / "dvc.lock", folder / "dvc.lock")
    for dataset in dataset_names(root):
        raw = root / "data" / "raw" / dataset
        if raw.exists():
            link = folder / "data" / "raw" / dataset
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(raw.resolve())
    # What cannot be had from the cache is made again by the stages.
    command = [sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", "--allow-missing"]
    shutil.copyfile(root / "params.yaml", folder / "params.yaml")
    subprocess.run(command, cwd=folder, check=False, capture_output=True)
    (folder / "params.yaml").unlink()


def _share_store(root: Path, folder: Path) -> None:
    """The embedded MLflow store of `root`; a server is everybody's anyway."""
    if "://" in os.environ.get("MLFLOW_TRACKING_URI", ""):
        return
    open_store(root)
    (root / "mlruns" / "artifacts").mkdir(exist_ok=True)
    for name in ("mlflow.db", "artifacts"):
        (folder / "mlruns" / name).symlink_to((root / "mlruns" / name).resolve())


def _written(params: Params) -> dict[str, Any]:
    """As in a params file, without defaults that it left out: to DVC, those would be changes."""
    return params.model_dump(mode="json", exclude_unset=True)


def _put(values: dict[str, Any], known: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; `known` has every key that there is."""
    *parents, last = key.split(".")
    section: Any = known
    for parent in parents:
        section = section.get(parent) if isinstance(section, dict) else None
        values = values.setdefault(parent, {}) if isinstance(section, dict) else values
    if not isinstance(section, dict) or last not in section:
        raise SymbioError(f"overrides: {key!r} is no key of params.yaml")
    values[last] = value
