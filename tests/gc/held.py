"""A project with a store, a DVC cache and a git history, made by hand within a second."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from symbio.gc.run import run
from symbio.tracking import open_store
from symbio.tracking.mirror import KEY_TAG, PARENT_TAG
from symbio.tracking.models import register_version
from symbio.tracking.store import experiment_id
from tests.embedded_store import put_store

NAME = "symbio-nyu"
DVC_CONFIG = "[core]\n    analytics = false\n    site_cache_dir = .dvc/tmp/site\n"


def later() -> float:
    """A moment at which nothing made until now counts as recent."""
    return time.time() + 2 * 3600


def make_project(root: Path) -> Path:
    """Git, DVC's folder and an empty store; one commit."""
    put_store(root)
    (root / ".dvc" / "cache").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(DVC_CONFIG)
    ignored = "/mlruns\n/checkpoints\n/searches\n/workspaces\n/.dvc/cache\n/.dvc/tmp\n/data\n"
    (root / ".gitignore").write_text(ignored)
    git(root, "init", "-q", "-b", "main")
    commit(root, "first")
    return root


def git(root: Path, *arguments: str) -> str:
    """Run git; what it printed."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    told = subprocess.run(
        ["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True
    )
    return told.stdout.strip()


def commit(root: Path, message: str) -> str:
    """Commit everything; the commit."""
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def put_object(root: Path, data: bytes, suffix: str = "") -> str:
    """Put bytes into the cache as DVC does; their hash."""
    name = hashlib.md5(data).hexdigest()
    path = root / ".dvc" / "cache" / "files" / "md5" / name[:2] / (name[2:] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(0o444)
    return name + suffix


def put_folder(root: Path, files: Mapping[str, bytes]) -> str:
    """Put a folder into the cache; its hash."""
    entries = [{"md5": put_object(root, data), "relpath": path} for path, data in files.items()]
    return put_object(root, json.dumps(entries).encode(), ".dir")


def objects_in(root: Path) -> set[str]:
    """Hashes of what the cache holds."""
    folder = root / ".dvc" / "cache" / "files" / "md5"
    return {path.parent.name + path.name for path in folder.glob("*/*")}


def lock_of(outputs: Mapping[str, str], stage: str = "prepare@nyu") -> str:
    """A dvc.lock with one stage: path of an output -> hash."""
    outs = [{"path": path, "hash": "md5", "md5": name} for path, name in outputs.items()]
    return yaml.safe_dump({"schema": "2.0", "stages": {stage: {"cmd": "true", "outs": outs}}})


def put_run(
    root: Path,
    name: str,
    tags: Mapping[str, str] | None = None,
    parent: str | None = None,
    files: Mapping[str, str] | None = None,
    status: str = "FINISHED",
) -> str:
    """Store a run with text artifacts; its id."""
    client = open_store(root)
    found = {KEY_TAG: f"key of {name}", **(tags or {})}
    found |= {} if parent is None else {PARENT_TAG: parent}
    experiment = experiment_id(client, root, NAME)
    run_id = str(client.create_run(experiment, tags=found, run_name=name).info.run_id)
    for path, text in (files or {"note.txt": "something"}).items():
        client.log_text(run_id, text, path)
    if status != "RUNNING":
        client.set_terminated(run_id, status)
    return run_id


def put_version(
    root: Path,
    run_id: str,
    tags: Mapping[str, str] | None = None,
    alias: str | None = None,
) -> str:
    """Log a model of one file under a run and register it; the version's number."""
    client = open_store(root)
    run = client.get_run(run_id)
    model = client.create_logged_model(run.info.experiment_id, name="model", source_run_id=run_id)
    (root / "weights.txt").write_text("weights")
    client.log_model_artifact(model.model_id, str(root / "weights.txt"))
    (root / "weights.txt").unlink()
    client.finalize_logged_model(model.model_id, "READY")
    source = f"models:/{model.model_id}"
    made = register_version(root, NAME, source, run_id, tags or {}, "a model of one file")
    if alias is not None:
        client.set_registered_model_alias(NAME, alias, made.version)
    return made.version


def lineage_files(sha256: str, lock: str) -> dict[str, str]:
    """What symbio keeps with a version's run: its lineage, and dvc.lock at registration."""
    lineage = {"git": {"commit": None, "dirty": False}, "params": {}, "inputs": []}
    place = f"scores/{sha256[:16]}"
    return {
        "lineage/lineage.json": json.dumps(lineage),
        f"{place}/metrics.json": "{}",
        f"{place}/dvc.lock": lock,
    }


def versions_in(root: Path) -> set[str]:
    """Numbers of the versions that the registry has."""
    return {str(one.version) for one in open_store(root).search_model_versions(f"name = '{NAME}'")}


def runs_in(root: Path) -> set[str]:
    """Names of the runs that the store has, its trash included."""
    from mlflow.entities import ViewType

    client = open_store(root)
    found = client.search_runs(["1"], "", ViewType.ALL)
    return {str(one.info.run_name) for one in found}


def swept(root: Path) -> dict[str, Sequence[str]]:
    """Sweep, long after everything was made; kind -> what went."""
    told = run(root, sweep=True, now=later())
    return {kind: one["go"] for kind, one in told["kinds"].items() if one["go"]}
