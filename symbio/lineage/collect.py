"""Where a result comes from: code, data, parameters, libraries, machine.

Everything is read from files and git; nothing heavy is imported and nothing is computed twice. No
environment variable is recorded, so that no secret can reach the tracking store.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform as machine
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from symbio.files import sha256_of
from symbio.params import Params

LOCK_FILE = "requirements.lock"
LIBRARIES = (
    "torch", "torchvision", "timm", "transformers", "deepspeed", "mlflow", "dvc", "optuna",
    "prefect", "numpy", "opencv-python-headless", "pillow", "safetensors", "h5py", "pydantic",
)  # fmt: skip

_OF_TRAINING = ("labels", "model", "nearfarmix", "train")
_OF_TRAINING_DATA = ("image_size", "depth_range", "protocol")
"""What the stage `train` of dvc.yaml reads, without the seed."""
_DIFF_LIMIT = 1 << 20
_NEW_FILE_LIMIT = 1 << 18
_GIT_TIMEOUT_S = 30.0
# What a run of the pipeline itself writes; it says nothing about the code that ran.
_RESULTS = ("dvc.lock", "metrics", "registry", "reports")


@dataclass(frozen=True, slots=True)
class GitState:
    """The code. `commit` is None outside git; `diff` holds what the commit does not."""

    commit: str | None
    branch: str | None = None
    remote: str | None = None
    diff: str = ""
    diff_truncated: bool = False

    @property
    def dirty(self) -> bool:
        """Whether files that git tracks (or should) differ from the commit."""
        return bool(self.diff) or self.diff_truncated


@dataclass(frozen=True, slots=True)
class InputHash:
    """One input of a run, as DVC knows it.

    `stale` is True when size or number of files on disk are not those that DVC recorded with the
    hash: the folder was changed after the last `dvc repro`.
    """

    path: str
    md5: str | None
    recorded_in: str | None
    stale: bool
    index_sha256: str | None


@dataclass(frozen=True, slots=True)
class Teacher:
    """The network that wrote pseudo-labels."""

    name: str
    """What params say: `teacher.model`."""
    sha256: str
    """Of the names and hashes of its files."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything that is needed to say, or to repeat, how a result came about."""

    git: GitState
    inputs: tuple[InputHash, ...]
    params: dict[str, Any]
    params_sha256: str
    lock_sha256: str | None
    versions: dict[str, str]
    host: str
    platform: str
    devices: tuple[str, ...]
    ranks: int
    seed: int
    threads: int | None = None
    """OpenMP threads of each rank; None: not told."""
    teacher: Teacher | None = None
    """What wrote the pseudo-labels; None: there are none."""
    config_sha256: str | None = None
    """Of the params that a training of the data set reads, without the seed: trainings that have it
    in common, and their data, are one configuration with several seeds."""
    python: str = field(default_factory=machine.python_version)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; the diff is left out (it is kept as a file of its own)."""
        values = asdict(self)
        values["git"] = {
            "commit": self.git.commit,
            "branch": self.git.branch,
            "remote": self.git.remote,
            "dirty": self.git.dirty,
            "diff_sha256": _sha256(self.git.diff) if self.git.dirty else None,
            "diff_truncated": self.git.diff_truncated,
        }
        values["inputs"] = [asdict(one) for one in self.inputs]
        values["devices"] = list(self.devices)
        return values

    def tags(self) -> dict[str, str]:
        """Short string tags for a run or a model version."""
        tags = {
            "symbio.git_commit": self.git.commit or "none",
            "symbio.git_dirty": str(self.git.dirty).lower(),
            "symbio.params_sha256": self.params_sha256,
            "symbio.lock_sha256": self.lock_sha256 or "none",
            "symbio.host": self.host,
            "symbio.devices": ", ".join(self.devices),
            "symbio.ranks": str(self.ranks),
            "symbio.seed": str(self.seed),
            "symbio.python": self.python,
        }
        if self.threads is not None:
            tags["symbio.threads"] = str(self.threads)
        if self.teacher is not None:
            tags |= {"symbio.teacher": self.teacher.name}
            tags |= {"symbio.teacher_sha256": self.teacher.sha256}
        if self.config_sha256 is not None:
            tags["symbio.config_sha256"] = self.config_sha256
        if self.git.dirty:
            tags["symbio.git_diff_sha256"] = _sha256(self.git.diff)
        for one in self.inputs:
            stale = " (stale)" if one.stale else ""
            tags[f"symbio.data.{one.path}"] = (one.md5 or "not in DVC") + stale
            if one.index_sha256 is not None:
                tags[f"symbio.index.{one.path}"] = one.index_sha256
        for library in ("torch", "timm", "deepspeed", "mlflow"):
            if library in self.versions:
                tags[f"symbio.version.{library}"] = self.versions[library]
        return tags


def collect(
    root: Path,
    params: Params,
    inputs: Sequence[str],
    *,
    dataset: str | None = None,
    ranks: int = 1,
    threads: int | None = None,
    devices: Sequence[str] | None = None,
) -> Lineage:
    """Collect the lineage of a stage that is about to run.

    Args:
        root: the project's folder.
        params: the parameters of the run.
        inputs: input folders relative to `root`, e.g. `data/prepared/nyu`.
        dataset: data set whose raw files, teacher and configuration are told too.
        ranks: number of training processes.
        threads: OpenMP threads of each.
        devices: what they run on; None lists this machine's GPUs, or its CPU.
    """
    values = params.model_dump(mode="json")
    lock = root / LOCK_FILE
    raw = () if dataset is None else (raw_hash(root, params, dataset),)
    return Lineage(
        git=git_state(root),
        inputs=(*raw, *(input_hash(root, path) for path in inputs)),
        params=values,
        params_sha256=_sha256(json.dumps(values, sort_keys=True)),
        lock_sha256=sha256_of(lock) if lock.is_file() else None,
        versions=library_versions(),
        host=socket.gethostname(),
        platform=machine.platform(),
        devices=tuple(devices if devices is not None else machine_devices()),
        ranks=ranks,
        seed=params.seed,
        threads=threads,
        teacher=None if dataset is None else teacher_of(root, dataset),
        config_sha256=None if dataset is None else config_sha256(params, dataset),
    )


def git_state(root: Path) -> GitState:
    """Commit, branch, remote and uncommitted changes, new text files included.

    What the pipeline itself writes (dvc.lock, metrics, reports, registry) is no change.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return GitState(commit=None)
    diff = _diff(root)
    return GitState(
        commit=commit.strip(),
        branch=(_git(root, "rev-parse", "--abbrev-ref", "HEAD") or "").strip() or None,
        remote=_without_login((_git(root, "remote", "get-url", "origin") or "").strip()),
        diff=diff[:_DIFF_LIMIT],
        diff_truncated=len(diff) > _DIFF_LIMIT,
    )


def input_hash(root: Path, path: str) -> InputHash:
    """What DVC recorded for `path` (relative to `root`): in dvc.lock, or in `path`.dvc."""
    recorded, where = _recorded(root, path)
    index = root / path / "index.json"
    return InputHash(
        path=path,
        md5=recorded.get("md5"),
        recorded_in=where,
        stale=bool(recorded) and not _same_size(root / path, recorded),
        index_sha256=sha256_of(index) if index.is_file() else None,
    )


def raw_hash(root: Path, params: Params, dataset: str) -> InputHash:
    """The official files, as DVC knew them when they were prepared.

    Their number and sizes are not looked at again: they may be hundreds of thousands.
    """
    path = params.dataset(dataset).raw
    recorded, where = _recorded(root, path)
    stage = (_yaml(root / "dvc.lock").get("stages") or {}).get(f"prepare@{dataset}") or {}
    for dep in stage.get("deps") or []:
        if dep.get("path") == path and "md5" in dep:
            recorded, where = dep, "dvc.lock"
    return InputHash(path, recorded.get("md5"), where, stale=False, index_sha256=None)


def teacher_of(root: Path, dataset: str) -> Teacher | None:
    """The teacher that the pseudo-labels on disk say they are of."""
    try:
        index = json.loads((root / "data" / "pseudo" / dataset / "index.json").read_text())
        told = index["header"]["teacher"]
        files = json.dumps(told["files_sha256"], sort_keys=True)
        return Teacher(str(told["name"]), _sha256(files))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def config_sha256(params: Params, dataset: str) -> str:
    """Names what a training of a data set is told, but for the seed."""
    section = params.dataset(dataset)
    values = params.model_dump(mode="json", include=set(_OF_TRAINING))
    values |= {key: getattr(section, key) for key in _OF_TRAINING_DATA}
    return _sha256(json.dumps(values, sort_keys=True))


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that results depend on."""
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine_devices() -> list[str]:
    """Names of this machine's GPUs, or one line for its CPU."""
    if shutil.which("nvidia-smi"):
        done = _run(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
        if done:
            return [line.strip() for line in done.splitlines() if line.strip()]
    return [f"CPU {machine.machine()}, {len(os.sched_getaffinity(0))} cores"]


def _recorded(root: Path, path: str) -> tuple[dict[str, Any], str | None]:
    lock = _yaml(root / "dvc.lock")
    for stage in (lock.get("stages") or {}).values():
        for out in stage.get("outs") or []:
            if out.get("path") == path and "md5" in out:
                return out, "dvc.lock"
    # Not an output of a stage: added by hand, with a file of its own.
    for out in _yaml(root / f"{path}.dvc").get("outs") or []:
        if "md5" in out:
            return out, f"{path}.dvc"
    return {}, None


def _same_size(path: Path, recorded: dict[str, Any]) -> bool:
    if not path.exists():
        return False
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    size = sum(item.stat().st_size for item in files)
    known_size, known_count = recorded.get("size", size), recorded.get("nfiles", len(files))
    return bool(known_size == size and known_count == len(files))


def _yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def _diff(root: Path) -> str:
    """`git diff HEAD` with new files, made with a copy of the index: the real one stays."""
    scope = [".", *(f":(exclude){name}" for name in _RESULTS)]
    index = (_git(root, "rev-parse", "--git-path", "index") or "").strip()
    listed = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *scope) or ""
    new = [name for name in listed.split("\0") if name and _is_small(root / name)]
    with tempfile.TemporaryDirectory(prefix="symbio-git-") as folder:
        copy = Path(folder) / "index"
        if (root / index).is_file():
            shutil.copyfile(root / index, copy)
        extra = {"GIT_INDEX_FILE": str(copy)}
        for start in range(0, len(new), 500):
            names = new[start : start + 500]
            _git(root, "--literal-pathspecs", "add", "-N", "--", *names, extra=extra)
        return _git(root, "diff", "HEAD", "--no-ext-diff", "--", *scope, extra=extra) or ""


def _is_small(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= _NEW_FILE_LIMIT


def _git(root: Path, *arguments: str, extra: dict[str, str] | None = None) -> str | None:
    if not shutil.which("git"):
        return None
    return _run(["git", "-C", str(root), *arguments], extra)


def _run(command: list[str], extra: dict[str, str] | None = None) -> str | None:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", **(extra or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _without_login(url: str) -> str | None:
    """A remote's address without user name and password."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        return url or None
    place = parts.hostname + (f":{parts.port}" if parts.port else "")
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
