"""A tiny prepared data set with pseudo-labels, made of random frames, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from symbio.data.images import encode_png
from symbio.data.shards import Shards, ShardWriter
from symbio.params import Params, parse_params

ROOT = Path(__file__).parents[2]


def tiny_params(**changes: Any) -> Params:
    """The sample preset with `changes` such as {"train.batch": 4}."""
    values = yaml.safe_load((ROOT / "symbio/presets/sample.yaml").read_text())
    values["nyu"]["image_size"] = [48, 64]
    for path, value in changes.items():
        *sections, key = path.split(".")
        place = values
        for section in sections:
            place = place[section]
        place[key] = value
    return parse_params(values, "test")


def write_prepared(
    folder: Path, splits: dict[str, int], size: tuple[int, int] = (96, 128), holes: float = 0.3
) -> tuple[Shards, Shards]:
    """Random frames in `folder`/prepared and their pseudo-labels in `folder`/pseudo."""
    prepared, pseudo = folder / "prepared", folder / "pseudo"
    for path in (prepared, pseudo):
        path.mkdir(parents=True)
    frames, labels = ShardWriter(prepared), ShardWriter(pseudo)
    for split, count in splits.items():
        for i in range(count):
            rng = np.random.default_rng([i, len(split)])
            depth = rng.integers(500, 9500, size) * (rng.random(size) > holes)
            classes = rng.choice(np.array([0, 3, 5, 19, 255], np.uint8), size)
            truth = rng.choice(np.array([0, 4, 5, 11, 21], np.uint16), size)
            image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            key = f"{split}-{i}"
            members = {
                "image.png": encode_png(image),
                "depth.png": encode_png(depth.astype(np.uint16)),
                "truth.png": encode_png(truth),
            }
            info = {"height": size[0], "width": size[1], "intrinsics": [100.0, 100.0, 64.0, 48.0]}
            frames.add(split, key, members, {**info, "source": key, "scene": f"scene-{i}"})
            confidence = rng.integers(0, 256, size, dtype=np.uint8)
            pseudo_members = {
                "class.png": encode_png(classes),
                "confidence.png": encode_png(confidence),
            }
            labels.add(split, key, pseudo_members, info)
    frames.close({"dataset": "nyu", "depth_scale": 1000, "label_space": "nyu894"})
    labels.close({"dataset": "nyu"})
    return Shards(prepared), Shards(pseudo)
