"""A small untrained network on disk, as training would export it."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from symbio.model.network import build_network
from symbio.model.saved import save_network
from symbio.params import ModelParams, SymbiosisParams

IMAGE_SIZE = (64, 96)
DEPTH_RANGE = (0.001, 10.0)


def put_model(folder: Path, dataset: str = "nyu", semantics: bool = True) -> Path:
    """Copy the tiny network of a data set to `folder`."""
    shutil.copytree(_model(dataset, semantics), folder)
    return folder


@functools.cache
def _model(dataset: str, semantics: bool) -> Path:
    params = ModelParams(
        encoder="test_maxvit",
        pretrained=False,
        channels=16,
        symbiosis=SymbiosisParams(exchange="both", heads=2),
        depth_output="log",
        semantics=semantics,
    )
    low, high = DEPTH_RANGE if dataset == "nyu" else (0.001, 80.0)
    network = build_network(params, IMAGE_SIZE, high, low, seed=3)
    _bias(network, dataset)
    card: dict[str, Any] = {"dataset": dataset, "protocol": "nyu-eigen", "label_space": "nyu894"}
    folder = Path(tempfile.mkdtemp(prefix="symbio-tiny-")) / "model"
    save_network(folder, network, card)
    return folder


def _bias(network: torch.nn.Module, dataset: str) -> None:
    """Let the KITTI network see far: some of its depths lie beyond 65 m."""
    if dataset == "kitti":
        with torch.no_grad():
            network.head_depth.out.bias += 6.0  # type: ignore[union-attr, operator]
