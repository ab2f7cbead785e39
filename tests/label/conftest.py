"""Tiny teachers with random weights in their official file layout, and a small prepared folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from symbio.data.images import encode_png
from symbio.data.shards import ShardWriter
from symbio.label import fit_models
from symbio.label.fit_queries import start_queries


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def oneformer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OneFormer's own architecture and processor, random weights."""
    folder = tmp_path_factory.mktemp("oneformer")
    torch.manual_seed(0)
    model = fit_models.build_oneformer(num_queries=12, backbone="test_resnet")
    # Random queries all say the same class; these say one each.
    start_queries(model, range(11), torch.randn(11, fit_models.HIDDEN), fit_models.task_tokens())
    model.save_pretrained(folder)
    fit_models.save_processor(folder, "oneformer", 4)
    return folder


@pytest.fixture(scope="session")
def segformer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segformer")
    torch.manual_seed(0)
    fit_models.build_segformer().save_pretrained(folder)
    fit_models.save_processor(folder, "segformer", 4)
    return folder


@pytest.fixture(scope="session")
def mask2former_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    folder = tmp_path_factory.mktemp("mask2former")
    torch.manual_seed(0)
    config = Mask2FormerConfig(
        backbone_config=SwinConfig(
            image_size=64,
            embed_dim=16,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 4],
            window_size=4,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        ),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        dim_feedforward=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=10,
        num_labels=150,
    )
    model = Mask2FormerForUniversalSegmentation(config)
    model.save_pretrained(folder)
    Mask2FormerImageProcessor(size={"height": 64, "width": 96}).save_pretrained(folder)
    return folder


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """uint8 (H, W, 3): blocks of colour with noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3))
    blocks = np.kron(coarse, np.ones((16, 16, 1)))[:height, :width]
    return np.clip(blocks + rng.normal(0, 8, blocks.shape), 0, 255).astype(np.uint8)


def write_prepared(
    root: Path, dataset: str = "nyu", sizes: tuple[tuple[int, int], ...] = (), train: int = 32
) -> Path:
    """data/prepared/{dataset} below `root` with `train`, 1 val and 4 test frames."""
    folder = root / "data" / "prepared" / dataset
    folder.mkdir(parents=True)
    writer = ShardWriter(folder)
    rng = np.random.default_rng(3)
    sizes = sizes or ((48, 64),)
    number = 0
    for split, frames in (("train", train), ("val", 1), ("test", 4)):
        for _ in range(frames):
            height, width = sizes[number % len(sizes)]
            depth = rng.integers(0, 9000, (height, width)).astype(np.uint16)
            truth = rng.integers(0, 40, (height, width)).astype(np.uint16)
            members = {
                "image.png": encode_png(picture(number, height, width)),
                "depth.png": encode_png(depth),
            }
            if number % 2 == 0:
                members["truth.png"] = encode_png(truth)
            info = {"height": height, "width": width, "source": "test", "scene": "s"}
            writer.add(split, f"f{number:04d}", members, info)
            number += 1
    space, scale = {"nyu": ("nyu894", 1000), "kitti": ("cityscapes", 256)}[dataset]
    writer.close({"dataset": dataset, "depth_scale": scale, "label_space": space})
    return folder
