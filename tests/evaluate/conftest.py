"""A plain version of the metrics to check against, and small data sets to evaluate on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from symbio.data.images import encode_png
from symbio.data.shards import Shards, ShardWriter

PlainMetrics = Callable[..., dict[str, float]]
SIZES = {"nyu": [(480, 640)], "kitti": [(375, 1242), (370, 1226)]}
SCALES = {"nyu": 1000, "kitti": 256}


@dataclass
class World:
    """A prepared and labelled data set below `root`, and the arrays that went into it."""

    root: Path
    dataset: str
    depth: dict[str, NDArray[np.uint16]] = field(default_factory=dict)
    truth: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    pseudo: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    @property
    def prepared(self) -> Shards:
        return Shards(self.root / "data" / "prepared" / self.dataset)

    @property
    def labelled(self) -> Shards:
        return Shards(self.root / "data" / "pseudo" / self.dataset)


def write_world(
    root: Path,
    dataset: str,
    sizes: list[tuple[int, int]] | None = None,
    frames: int = 5,
    train: int = 0,
) -> World:
    """Frames of smooth depth with holes; every pixel of frame i is the grey level 10 * i.

    The last is of the split val, `train` before it are of train, all others of test. Frame 1 has no
    depth at all. NYU frames have truth in 894 ids, KITTI's first one in label ids.
    """
    world = World(root, dataset)
    sizes = sizes or SIZES[dataset]
    rng = np.random.default_rng(5)
    prepared, pseudo = (root / "data" / kind / dataset for kind in ("prepared", "pseudo"))
    for folder in (prepared, pseudo):
        folder.mkdir(parents=True)
    images, labels = ShardWriter(prepared), ShardWriter(pseudo)
    for number in range(frames):
        key = f"{dataset}-{number}"
        height, width = sizes[number % len(sizes)]
        depth = _depth(rng, height, width, SCALES[dataset], empty=number == 1)
        image = np.full((height, width, 3), 10 * number, np.uint8)
        members = {"image.png": encode_png(image), "depth.png": encode_png(depth)}
        if dataset == "nyu" or number == 0:
            ids = np.array([21, 11, 5, 0] if dataset == "nyu" else [7, 11, 23, 0], np.uint16)
            truth = np.repeat(ids, -(-width // 4))[None, :width].repeat(height, axis=0)
            world.truth[key] = truth if dataset == "nyu" else truth.astype(np.uint8)
            members["truth.png"] = encode_png(world.truth[key])
        low, right = np.arange(height)[:, None] >= height // 2, np.arange(width) >= width // 3
        classes = np.where(low ^ right, 3, 5).astype(np.uint8)
        split = ("val" if number == frames - 1 else
                 "train" if number >= frames - 1 - train else "test")  # fmt: skip
        images.add(split, key, members, {"height": height, "width": width, "source": key})
        confidence = np.full_like(classes, 200)
        planes = {"class.png": encode_png(classes), "confidence.png": encode_png(confidence)}
        labels.add(split, key, planes, {})
        world.depth[key], world.pseudo[key] = depth, classes
    header = {
        "dataset": dataset,
        "depth_scale": SCALES[dataset],
        "label_space": {"nyu": "nyu894", "kitti": "cityscapes"}[dataset],
    }
    images.close(header)
    labels.close({"dataset": dataset})
    return world


def _depth(
    rng: np.random.Generator, height: int, width: int, scale: int, empty: bool
) -> NDArray[np.uint16]:
    if empty:
        return np.zeros((height, width), np.uint16)
    ramp = np.linspace(1.0, rng.uniform(6.0, 12.0), height)[:, None]
    metres = ramp + rng.uniform(0.0, 2.0) * np.linspace(0.0, 1.0, width)
    holes = rng.random((height, width)) < 0.3
    return np.where(holes, 0, np.round(metres * scale)).astype(np.uint16)


@pytest.fixture(scope="session")
def nyu(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("nyu"), "nyu")


@pytest.fixture(scope="session")
def kitti(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("kitti"), "kitti")


@pytest.fixture(scope="session")
def plain_metrics() -> PlainMetrics:
    """Depth metrics of one image (prediction, truth, valid), written from the formulas."""
    return _plain_metrics


def _plain_metrics(
    prediction: NDArray[np.floating], truth: NDArray[np.floating], valid: NDArray[np.bool_]
) -> dict[str, float]:
    p = prediction[valid].astype(np.float64)
    g = truth[valid].astype(np.float64)
    ratio = np.maximum(p / g, g / p)
    d = np.log(p) - np.log(g)
    return {
        "abs_rel": float(np.mean(np.abs(g - p) / g)),
        "sq_rel": float(np.mean((g - p) ** 2 / g)),
        "rmse": float(np.sqrt(np.mean((g - p) ** 2))),
        "rmse_log": float(np.sqrt(np.mean(d**2))),
        "log10": float(np.mean(np.abs(np.log10(g) - np.log10(p)))),
        "silog": float(100 * np.sqrt(np.mean((d - d.mean()) ** 2))),
        "d1": float(np.mean(ratio < 1.25)),
        "d2": float(np.mean(ratio < 1.25**2)),
        "d3": float(np.mean(ratio < 1.25**3)),
        "official_silog": float(np.mean(d**2) - np.mean(d) ** 2),
        "official_sq_rel": float(np.mean((g - p) ** 2 / g**2)),
        "irmse": float(1000 * np.sqrt(np.mean((1 / p - 1 / g) ** 2))),
    }


@pytest.fixture(scope="session")
def small_nyu(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Frames too small for the NYU crop: for the protocol `none`, in a tenth of the time."""
    return write_world(tmp_path_factory.mktemp("small"), "nyu", [(120, 160), (90, 160)])
