"""What dvc.yaml and dvc.lock say of a stage: its inputs, and whether its outputs are in place."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import yaml

from symbio.errors import SymbioError
from symbio.lineage.collect import input_hash
from symbio.params import Params, load_params

STAGES = ("sample", "prepare", "label", "train", "evaluate", "register")
"""In the order in which data flows."""


def rendered(params: Params, dataset: str) -> bool:
    """Whether a data set's raw files are the sample that `symbio sample` renders."""
    return params.dataset(dataset).raw == f"data/sample/{dataset}"


def outputs_in_place(root: Path, stage: str) -> bool:
    """Whether every output that dvc.lock records for `stage` is on disk as recorded."""
    outputs = _locked(root, stage).get("outs") or []
    return bool(outputs) and all(_in_place(root, output) for output in outputs)


def input_key(root: Path, stage: str) -> str:
    """SHA-256 over the stage's command and its inputs: DVC's hashes of data, code, parameters.

    Data is named by the hash that DVC recorded when an earlier stage made it; it is not read.

    Raises:
        SymbioError: dvc.yaml has no such stage, or not of this data set.
    """
    verb, dataset = stage.split("@")
    definition = _stage(root, verb)
    item = definition["foreach"].get(dataset)
    if item is None:
        raise SymbioError(
            f"{root / 'dvc.yaml'}: stage {verb} has no data set {dataset!r}; give it a line in "
            "foreach (docs/custom-data.md)"
        )
    params = load_params(root / "params.yaml").model_dump(mode="json")

    def filled(text: str) -> str:
        text = text.replace("${key}", dataset)
        return re.sub(r"\$\{item\.(\w+)\}", lambda found: _value(params, item[found[1]]), text)

    do = definition["do"]
    inputs = [str(root.resolve()), filled(do["cmd"])]
    inputs += [f"{path}={_content(root, path)}" for path in map(filled, do["deps"])]
    for name in map(filled, do.get("params", [])):
        inputs.append(f"{name}={json.dumps(_lookup(params, name), sort_keys=True)}")
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def output_hashes(root: Path, stage: str) -> dict[str, str]:
    """Output path -> the hash that dvc.lock records."""
    return {out["path"]: out.get("md5", "") for out in _locked(root, stage).get("outs") or []}


def _stage(root: Path, verb: str) -> dict[str, Any]:
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    if verb not in stages:
        raise SymbioError(f"{root / 'dvc.yaml'}: no stage {verb!r}; there are {', '.join(stages)}")
    found: dict[str, Any] = stages[verb]
    return found


def _locked(root: Path, stage: str) -> dict[str, Any]:
    path = root / "dvc.lock"
    if not path.is_file():
        return {}
    stages = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stages") or {}
    found: dict[str, Any] = stages.get(stage) or {}
    return found


def _in_place(root: Path, output: dict[str, Any]) -> bool:
    path = root / output["path"]
    if output["path"] and path.is_file():
        return bool(path.stat().st_size == output.get("size"))
    return path.is_dir() and not input_hash(root, output["path"]).stale


def _content(root: Path, path: str) -> str:
    """DVC's hash of made data; of everything else (code, tables) the content's."""
    known = input_hash(root, path)
    if known.md5 is not None and not known.stale:
        return known.md5
    found = root / path
    # Raw data outside DVC is too large to be read for this: names, sizes and times stand for it.
    large = path.startswith("data/")
    digest = hashlib.sha256()
    for file in sorted(found.rglob("*")) if found.is_dir() else [found]:
        if "__pycache__" in file.parts or not file.is_file():
            continue
        stat = os.stat(file)
        digest.update(str(file.relative_to(root)).encode())
        digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode() if large else file.read_bytes())
    return digest.hexdigest()


def _lookup(params: dict[str, Any], dotted: str) -> Any:
    value: Any = params
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _value(params: dict[str, Any], text: str) -> str:
    """A foreach item's value, itself perhaps a reference to a parameter."""
    return re.sub(r"\$\{([\w.]+)\}", lambda found: str(_lookup(params, found[1])), str(text))
