"""What a run was made of: the parameters that shape its result and the data's checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from symbio.data.classes import ADE20K
from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.params import LabelsParams, Params

_HOUSEKEEPING = {"checkpoint_every", "keep_checkpoints", "max_bad_steps", "zero_stage"}
"""Keys of `train` that change no number of the result, or (ZeRO) only the order of float sums."""


def ingredients(
    params: Params, dataset: str, prepared: Path, pseudo: Path | None
) -> dict[str, Any]:
    """Dotted key -> value of everything that shapes a training run, the data's digests included.

    Raises:
        SymbioError: a data folder is missing; the message names the command that makes it.
    """
    section = params.dataset(dataset)
    train = params.train.model_dump(mode="json", exclude=_HOUSEKEEPING)
    for key in ("rotation", "cutdepth"):
        # Off, they are left out: runs from before they could be chosen stay what they are.
        if not train["augment"][key]:
            del train["augment"][key]
    parts = {
        "seed": params.seed,
        f"{dataset}.image_size": list(section.image_size),
        f"{dataset}.depth_range": list(section.depth_range),
        f"{dataset}.protocol": section.protocol,
        "model": params.model.model_dump(mode="json"),
        "nearfarmix": params.nearfarmix.model_dump(mode="json"),
        **_labels(params.labels),
        "train": train,
        "data.prepared": _data_digest(prepared, f"symbio prepare {dataset}"),
        "data.pseudo": None if pseudo is None else _data_digest(pseudo, f"symbio label {dataset}"),
    }
    return dict(_flat("", parts))


def fingerprint(parts: dict[str, Any]) -> str:
    """SHA-256 of `ingredients`, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def shape_of(params: Params, dataset: str) -> str:
    """SHA-256 of what decides the memory and the speed of a step, 64 hexadecimal digits.

    Runs of one shape differ only in what is computed with: seed, learning rate, steps, weights.
    """
    section, train = params.dataset(dataset), params.train
    parts: dict[str, Any] = {
        "model": params.model.model_dump(mode="json", exclude={"pretrained", "depth_output"}),
        "image_size": list(section.image_size),
        "crop": None if train.augment.crop is None else list(train.augment.crop),
        "batch": train.batch,
        "micro_batch": train.micro_batch,
        "precision": train.precision,
        "zero_stage": train.zero_stage,
        "averaged": train.ema_decay > 0,
    }
    if params.labels.space != ADE20K:
        parts["classes"] = params.labels.space
    return fingerprint(parts)


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each key whose value differs."""
    keys = sorted(old.keys() | new.keys())
    return [
        f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _labels(params: LabelsParams) -> dict[str, Any]:
    """Nothing where all labels are used as they are: runs from before the section stay theirs."""
    return {} if params == LabelsParams() else {"labels": params.model_dump(mode="json")}


def _data_digest(folder: Path, command: str) -> str:
    """Digest of a shard folder from its index: the shards' own checksums and the splits."""
    if not (folder / "index.json").is_file():
        raise SymbioError(f"{folder}: no prepared data there; run `{command}` first")
    index = read_json(folder / "index.json", "the index of a shard folder")
    parts = [[shard["sha256"] for shard in index["shards"]], index["splits"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(prefix, value)]
    pairs = []
    for key, inner in value.items():
        pairs += _flat(f"{prefix}.{key}" if prefix else key, inner)
    return pairs
