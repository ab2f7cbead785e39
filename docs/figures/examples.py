"""The README's picture: held-out sample frames and what the trained models make of them.

Run `make demo` first, then `python docs/figures/examples.py`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from symbio.data.classes import label_space
from symbio.data.shards import Shards
from symbio.evaluate.examples import Source
from symbio.evaluate.panels import panel
from symbio.evaluate.predictors import network_predictor
from symbio.evaluate.protocol import protocol_named
from symbio.model.saved import load_network

ROOT = Path(__file__).parents[2]
WIDTH_PX = 1000
FRAMES = {"nyu": 1, "kitti": 1}


def main() -> None:
    """Write docs/figures/examples.jpg."""
    pictures = []
    for dataset, count in FRAMES.items():
        network, card = load_network(ROOT / "models" / dataset)
        prepared = Shards(ROOT / "data" / "prepared" / dataset)
        space = label_space(prepared.header["label_space"])
        height, width = card["image_size"]
        pseudo = Shards(ROOT / "data" / "pseudo" / dataset)
        source = Source(prepared, pseudo, space, (height, width))
        rules = protocol_named(card["protocol"])
        keys = sorted(prepared.splits["test"], key=lambda k: hashlib.sha256(k.encode()).digest())
        for key in keys[:count]:
            shown = panel(
                network_predictor(network), source, rules, key, card["depth_range"][1], "cpu"
            )
            size = (WIDTH_PX, round(shown.shape[0] * WIDTH_PX / shown.shape[1]))
            pictures.append(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
    picture = np.vstack(pictures)[..., ::-1]
    cv2.imwrite(str(ROOT / "docs/figures/examples.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
