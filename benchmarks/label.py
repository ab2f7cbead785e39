"""What labelling with a OneFormer of the published Swin-L shape costs: memory and time.

The weights are random, for memory and time do not depend on them; the processor is the published
model's (shortest side 640). Frames of 480x640 are made up. Every step runs in the way that
`symbio label` runs it on one rank: decode, batch, measure, encode.

    python benchmarks/label.py [frames] [--precision bf16] [--batch 4]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch

from symbio.data.classes import ade20k_names
from symbio.data.images import encode_png
from symbio.data.shards import Shards, ShardWriter
from symbio.label import fit_models
from symbio.label.label import FLIP_CHECK_EVERY, label_frames
from symbio.label.teacher import load_teacher
from symbio.params import TeacherParams

SIZE = (480, 640)
SEEN = {"shortest_edge": 640, "longest_edge": 2560}


def build() -> Any:
    """OneFormer with Swin-L at 384 pixels, window 12, and 250 queries (Jain et al. 2023)."""
    from transformers import OneFormerConfig, OneFormerForUniversalSegmentation, SwinConfig

    backbone = SwinConfig(
        image_size=384,
        embed_dim=192,
        depths=[2, 2, 18, 2],
        num_heads=[6, 12, 24, 48],
        window_size=12,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    names = dict(enumerate(ade20k_names()))
    config = OneFormerConfig(
        backbone_config=backbone,
        num_queries=250,
        is_training=False,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    torch.manual_seed(0)
    return OneFormerForUniversalSegmentation(config)


def write_teacher(folder: Path) -> None:
    """Save model and processor; the task prompt's tokenizer is a short one."""
    model = build()
    model.save_pretrained(folder)
    fit_models.save_processor(folder, "oneformer", 1)
    path = folder / "processor_config.json"
    processor = json.loads(path.read_text(encoding="utf-8"))
    processor["image_processor"]["size"] = SEEN
    path.write_text(json.dumps(processor), encoding="utf-8")


def write_frames(folder: Path, count: int) -> None:
    """Smooth surfaces with noise, as many bytes a frame as real ones."""
    writer = ShardWriter(folder)
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.normal(128, 50, (15, 20, 3)).astype(np.float32)
        image = cv2.resize(coarse, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_CUBIC)
        image += rng.normal(0, 3, image.shape)
        members = {
            "image.png": encode_png(np.clip(image, 0, 255).astype(np.uint8)),
            "depth.png": encode_png(np.full(SIZE, 2000, np.uint16)),
        }
        info = {"height": SIZE[0], "width": SIZE[1]}
        writer.add("train", f"frame-{number:05d}", members, info)
    writer.close({"dataset": "nyu", "depth_scale": 1000, "label_space": "nyu894"})


def peak_mib() -> float:
    """The most memory that this process had resident, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main(count: int, precision: Literal["fp32", "bf16"], batch: int) -> None:
    """Print the figures."""
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        folder, frames = Path(temporary) / "teacher", Path(temporary) / "frames"
        frames.mkdir()
        write_frames(frames, count)
        # In a process of its own: what making the weights takes is no part of the peak.
        maker = multiprocessing.get_context("spawn").Process(target=write_teacher, args=(folder,))
        maker.start()
        maker.join()
        print(f"before the teacher is loaded: {peak_mib():.0f} MiB")
        start = time.perf_counter()
        teacher = load_teacher(str(folder), device=device, precision=precision)
        parameters = sum(one.numel() for one in teacher.model.parameters())
        seconds = time.perf_counter() - start
        print(f"{parameters / 1e6:.0f} M parameters in {seconds:.1f} s: {peak_mib():.0f} MiB")
        prepared = Shards(frames)
        settings = {"model": "swin-large", "min_confidence": 0.5, "batch": batch}
        params = TeacherParams.model_validate({**settings, "precision": precision})
        wall, processor = time.perf_counter(), time.process_time()
        for _ in label_frames(teacher, params, prepared, list(prepared.keys())):
            pass
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    # The first frame of a chunk is also labelled mirrored.
    passes = count + len(range(0, count, FLIP_CHECK_EVERY))
    print(
        f"{device}, {precision}, batches of {batch}: {count} frames ({passes} passes), "
        f"{wall / passes:.2f} s a pass, {processor / passes:.2f} s of them on one core; "
        f"peak {peak_mib():.0f} MiB resident"
    )
    if device == "cuda":
        print(f"peak on the GPU: {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=int, nargs="?", default=2)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args()
    main(given.frames, given.precision, given.batch)
