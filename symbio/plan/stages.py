"""Which DVC stages will run, and why: asked of DVC itself, with what dvc.lock remembers.

DVC says what changed directly; a stage also runs because one before it does. Imports nothing heavy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

STAGES = ("sample", "prepare", "label", "train", "evaluate", "register")
"""In the order in which they run."""

_MOST_FILES = 3
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class StageWork:
    """One stage of one data set."""

    name: str
    reasons: list[str]
    """Why it will run; empty: it will not."""


class StagesQuestion:
    """Two DVC commands that run beside other work."""

    def __init__(self, dataset: str, root: Path) -> None:
        """Start them in `root`."""
        self._dataset, self._root = dataset, root
        target = f"{STAGES[-1]}@{dataset}"
        self._status = _dvc(root, "status", "--json", "--with-deps", target)
        self._graph = _dvc(root, "dag", "--dot", target)

    def answer(self) -> tuple[list[StageWork], str | None]:
        """The stages in their order, and, where DVC cannot tell, why: then there are none."""
        status, problem = _printed(self._status)
        graph, other = _printed(self._graph)
        if status is None or graph is None:
            return [], problem or other
        changed = json.loads(status[status.index("{") :]) if "{" in status else {}
        return stages_from(changed, graph, self._dataset, self._root), None

    def close(self) -> None:
        """End them if they still run."""
        for process in (self._status, self._graph):
            if process.poll() is None:
                process.kill()
                process.communicate()


def stages_from(
    changed: dict[str, list[Any]], graph: str, dataset: str, root: Path
) -> list[StageWork]:
    """Put together what DVC said.

    Args:
        changed: of `dvc status --json`.
        graph: of `dvc dag --dot`.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder, with params.yaml and perhaps dvc.lock.
    """
    lock = _yaml(root / "dvc.lock").get("stages", {})
    params = _yaml(root / "params.yaml")
    edges = [
        [end.strip(' ";') for end in line.split("->")]
        for line in graph.splitlines()
        if "->" in line
    ]
    works: dict[str, StageWork] = {}
    for stage in STAGES:
        name = f"{stage}@{dataset}"
        if f'"{name}"' not in graph:
            continue
        before = [start for start, end in edges if end == name and start in works]
        if name not in lock:
            reasons = ["never ran"]
        else:
            reasons = _reasons(changed.get(name, []), lock[name], params, root)
            reasons += [f"{start.split('@')[0]} runs" for start in before if works[start].reasons]
        works[name] = StageWork(stage, reasons)
    return list(works.values())


def _reasons(said: list[Any], locked: Any, params: Any, root: Path) -> list[str]:
    reasons: list[str] = []
    for entry in said:
        if isinstance(entry, str):
            reasons.append(entry)
            continue
        for path, state in entry.get("changed deps", {}).items():
            if isinstance(state, dict):
                old = locked.get("params", {}).get(path, {})
                for key in state:
                    reasons += _key_changes(key, _flat(key, old.get(key)), params)
            elif path == "params.yaml":
                reasons.append(f"{path}: {state}")
            else:
                reasons.append(f"{path}: {state}{_newer(root, path)}")
        for path, state in entry.get("changed outs", {}).items():
            reasons.append(f"{path}: {'is not there' if state == 'deleted' else state}")
    return reasons


def _key_changes(key: str, old: dict[str, Any], params: Any) -> list[str]:
    value = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    new = _flat(key, value)
    return [
        f"{name}: {_text(old.get(name))} -> {_text(new.get(name))}"
        for name in sorted(old.keys() | new.keys())
        if _text(old.get(name)) != _text(new.get(name))
    ] or [f"{key}: modified"]


def _newer(root: Path, path: str) -> str:
    """Files of a folder that were written after dvc.lock: what is new, as far as times tell."""
    folder, lock = root / path, root / "dvc.lock"
    if not folder.is_dir() or not lock.is_file():
        return ""
    since = lock.stat().st_mtime
    files = sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.stat().st_mtime > since
    )
    if not files:
        return ""
    more = f" and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else ""
    return f" ({', '.join(files[:_MOST_FILES])}{more})"


def _text(value: Any) -> str:
    """A value as it is compared and shown; 1e-4, which YAML 1.1 takes for text, is a number."""
    try:
        return json.dumps(float(value)) if isinstance(value, str) else json.dumps(value)
    except ValueError:
        return json.dumps(value)


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(f"{prefix}.{key}", inner)
    return flat


def _yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _dvc(root: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _printed(process: subprocess.Popen[str]) -> tuple[str | None, str | None]:
    """What a command printed, or None and its complaint."""
    try:
        printed, said = process.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, f"DVC gave no answer within {_TIMEOUT_S:.0f} s"
    if process.returncode == 0:
        return printed, None
    lines = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines()
    return None, "DVC: " + (lines[0].removeprefix("ERROR: ") if lines else "no answer")
