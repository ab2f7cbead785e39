"""A tiny project on disk: a few frames with pseudo-labels, and parameters for seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from symbio.data.images import encode_png
from symbio.data.shards import ShardWriter
from symbio.params import Params, parse_params

SIZE = (64, 64)
SPLITS = {"train": 6, "val": 3, "test": 2}


def make_project(root: Path, splits: dict[str, int] | None = None) -> Path:
    """Write data/prepared/nyu and data/pseudo/nyu below `root`."""
    rng = np.random.default_rng(3)
    splits = SPLITS if splits is None else splits
    prepared = ShardWriter(_empty(root / "data" / "prepared" / "nyu"))
    pseudo = ShardWriter(_empty(root / "data" / "pseudo" / "nyu"))
    for split, count in splits.items():
        for number in range(count):
            key = f"{split}-{number}"
            image, depth, label = _frame(rng)
            members = {"image.png": encode_png(image), "depth.png": encode_png(depth)}
            info = {"height": SIZE[0], "width": SIZE[1], "source": key, "scene": split}
            prepared.add(split, key, members, info)
            confidence = rng.integers(100, 256, SIZE, dtype=np.uint8)
            labels = {"class.png": encode_png(label), "confidence.png": encode_png(confidence)}
            pseudo.add(split, key, labels, info)
    prepared.close({"dataset": "nyu", "depth_scale": 1000, "label_space": "ade20k"})
    pseudo.close({"dataset": "nyu", "teacher": "made up"})
    return root


def tiny_params(**train: Any) -> Params:
    """Parameters of a run of a few seconds; keyword arguments change the section `train`."""
    model = train.pop("model", {})
    mix = train.pop("mix", {})
    labels = train.pop("labels", {})
    section: dict[str, Any] = {
        "raw": "data/raw",
        "image_size": list(SIZE),
        "depth_range": [0.1, 10.0],
        "protocol": "none",
        "val_share": 0.2,
        "sample": {"train": 4, "test": 2},
    }
    values: dict[str, Any] = {
        "seed": 5,
        "nyu": section,
        "kitti": section,
        "teacher": {"model": "builtin:sample", "min_confidence": 0.5, "batch": 2},
        "labels": labels,
        "model": {
            "encoder": "test_maxvit",
            "pretrained": False,
            "channels": 16,
            "symbiosis": {"exchange": "both", "directions": "both", "heads": 2, "window": 4},
            "depth_output": "log",
            **model,
        },
        "nearfarmix": {
            "mix": "nearfarmix",
            "probability": 0.5,
            "threshold": {"mode": "quantile", "low": 0.2, "high": 0.6},
            "overlap": "nearest",
            "blend_alpha": 0.5,
            "guide_reach_px": 4,
            **mix,
        },
        "train": {
            "steps": 4,
            "batch": 4,
            "micro_batch": 2,
            "lr": 3e-3,
            "weight_decay": 0.01,
            "schedule": "onecycle",
            "warmup_share": 0.25,
            "clip_norm": 1.0,
            "precision": "fp32",
            "zero_stage": 1,
            "ema_decay": 0.0,
            "semantic_weight": 1.0,
            "class_balance": 0.5,
            "variance_focus": 0.85,
            "silog_scale": 10.0,
            "checkpoint_every": 100,
            "keep_checkpoints": 2,
            "validate_every": 100,
            "select": {"metric": "abs_rel"},
            "max_bad_steps": 3,
            "augment": {"flip": 0.5, "colour": 0.5, "brightness": [0.8, 1.2]},
            **train,
        },
        "promote": {"metric": "abs_rel", "min_gain": 0.0, "no_loss_beyond": {}},
    }
    return parse_params(values, "tiny_params")


def _empty(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _frame(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A box before a wall: noise whose colour tells depth and class."""
    depth = np.full(SIZE, rng.uniform(4, 8))
    label = np.zeros(SIZE, np.uint8)
    top, left = rng.integers(4, 28, 2)
    box = (slice(top, top + 28), slice(left, left + 28))
    depth[box] = rng.uniform(1, 3)
    label[box] = rng.integers(1, 20)
    image = rng.integers(0, 40, (*SIZE, 3)) + (depth * 20)[..., None] + label[..., None]
    stored = (depth * 1000).astype(np.uint16)
    stored[rng.random(SIZE) < 0.3] = 0
    label[rng.random(SIZE) < 0.1] = 255
    return image.clip(0, 255).astype(np.uint8), stored, label
