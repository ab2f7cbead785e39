"""How many 480x640 frames a second `prepare` checks, encodes and stores on one core.

The frames are made up, as hard to compress as real ones (about the same bytes a frame as the
labelled NYU file gives), and handed over decoded, so that reading the source is not counted.

    python benchmarks/prepare.py [frames]
"""

from __future__ import annotations

import functools
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from symbio.data.members import encode_depth, encode_image, encode_labels
from symbio.data.shards import ShardWriter
from symbio.prepare.encode import encode
from symbio.prepare.entry import Entry, Picture, RawFrame

SIZE = (480, 640)
TARGET = 40.0
"""Frames a second."""


def make_frame(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.uint16]]:
    """Image, depth (mm) and labels with smooth surfaces, edges and sensor noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (15, 20)).astype(np.float32)
    surface = cv2.resize(coarse, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_CUBIC)
    labels = np.digitize(surface, np.linspace(-2, 2, 25)).astype(np.uint16)
    tint = rng.integers(40, 200, (26, 3))[labels]
    image = tint + 12 * surface[..., None] + rng.normal(0, 2.0, (*SIZE, 3))
    millimetres = 2500 + 600 * surface + 40 * labels
    depth = np.round(millimetres / 8) * 8 + rng.integers(0, 2, SIZE)
    depth[cv2.resize(rng.random((30, 40)), (SIZE[1], SIZE[0])) < 0.15] = 0
    return np.clip(image, 0, 255).astype(np.uint8), depth.astype(np.uint16), labels


def measure(frames: list[RawFrame], folder: Path) -> tuple[float, float]:
    """Frames a second of processor time, and MB a frame on disk."""
    entries = [
        Entry(f"frame-{i:05d}", "train", "scene", "made up", lambda _, f=frame: f)  # type: ignore[misc]
        for i, frame in enumerate(frames)
    ]
    start = time.process_time()
    writer = ShardWriter(folder)
    for entry in entries:
        encoded = encode(entry, "nyu894", shown=False)
        writer.add("train", entry.key, encoded.members, encoded.info)
    writer.close({})
    seconds = time.process_time() - start
    stored = sum(path.stat().st_size for path in folder.glob("*.tar"))
    return len(frames) / seconds, stored / len(frames) / 1e6


def milliseconds(work: Callable[[], object], repeats: int = 20) -> float:
    """Processor time of one call."""
    work()
    start = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - start) / repeats * 1e3


def main(count: int) -> int:
    """Print the figures; 1 if the target is missed."""
    cv2.setNumThreads(1)
    made = [make_frame(seed) for seed in range(8)]
    frames = [
        RawFrame(Picture(image, "i"), Picture(depth, "d"), Picture(labels, "l"), {})
        for image, depth, labels in (made[i % len(made)] for i in range(count))
    ]
    image, depth, labels = made[0]
    encoders: dict[str, Callable[[], tuple[bytes, str]]] = {
        "image": functools.partial(encode_image, image),
        "depth": functools.partial(encode_depth, depth),
        "labels": functools.partial(encode_labels, labels),
    }
    for name, work in encoders.items():
        size = len(work()[0]) / 1e3
        print(f"encode {name:6s} {milliseconds(work):6.2f} ms {size:7.1f} kB")
    print(f"sha256 of the image {milliseconds(lambda: hashlib.sha256(image.data).digest()):.2f} ms")
    with tempfile.TemporaryDirectory() as folder:
        speed, size = measure(frames, Path(folder))
    print(f"{speed:.1f} frames/s on one core (target {TARGET:g}), {size:.2f} MB/frame")
    return 0 if speed >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
