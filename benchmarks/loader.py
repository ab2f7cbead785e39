"""What a training frame costs to load, beside the way peers load one.

The description of BTS and AdaBins (PIL to decode, rotate and crop; numpy to flip and recolour;
torchvision to make normalised tensors) was written down anew here as `Peers`. The other sides read
the same files: torchvision's decoders alone, and symbio, whose host decodes windows of prepared
frames and whose device does the rest, here on the CPU. All take turns batch by batch on one
thread; times are of the processor, and of the wall in brackets.

Then training steps of given lengths ask for batches: how much of their time they wait. A step
sleeps here, as the host's thread does while a GPU computes.

    python benchmarks/loader.py [NYU_IMAGE NYU_DEPTH KITTI_IMAGE KITTI_DEPTH]

Without files, frames of the sample are rendered and written as the data sets have them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor

from symbio.data.augment import Draw, augment_rng, augment_windows, crop_size, draw, window_size
from symbio.data.dataset import FrameDataset
from symbio.data.frame import Batch
from symbio.data.host import HostBatch
from symbio.data.images import decode_depth, decode_labels, decode_rgb, encode_png
from symbio.data.loader import GlobalBatches
from symbio.data.members import encode_depth, encode_image, encode_labels
from symbio.data.shards import Shards, ShardWriter
from symbio.params import AugmentParams, parse_params
from symbio.presets import PRESETS
from symbio.sample.holes import framed, millimetres, raw_depth
from symbio.sample.kitti import kitti_frame
from symbio.sample.rooms import render_room

BATCH = 8
ROUNDS = 12
TARGET = 4.0
"""Times less than peers, on the host."""
PAPER_BATCH = 16
RATES = (20, 40, 160)
"""Frames that a training takes a second: the sample on two cores, MaxViT on a GPU, small nets."""
STEPS = 10
MOST_WAITED = 0.01
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Setting:
    """One data set as its papers train on it."""

    name: str
    ending: str
    border: tuple[int, int, int, int]
    """PIL box that peers cut out first: left, top, right, bottom."""
    view: tuple[int, int]
    """Height and width that symbio's network sees."""
    crop: tuple[int, int]
    degrees: float
    brightness: tuple[float, float]
    units: float
    depth_range: tuple[float, float]


NYU = Setting(
    "nyu", "jpg", (43, 45, 608, 472), (480, 640), (416, 544), 2.5, (0.75, 1.25), 1000, (1e-3, 10)
)
KITTI = Setting(
    "kitti", "png", (13, 23, 1229, 375), (352, 1216), (352, 704), 1.0, (0.9, 1.1), 256, (1e-3, 80)
)


class Peers:
    """Frames as BTS and AdaBins load them, one by one on the host."""

    def __init__(self, setting: Setting, image: Path, depth: Path) -> None:
        from torchvision import transforms

        self._setting = setting
        self._paths = image, depth
        self._rng = np.random.default_rng(0)
        self._to_tensor = transforms.ToTensor()
        self._normalise = transforms.Normalize(MEAN, STD)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images (B, 3, h, w), normalised, and depth (B, 1, h, w) in metres."""
        frames = [self._frame() for _ in range(BATCH)]
        return torch.stack([f[0] for f in frames]), torch.stack([f[1] for f in frames])

    def _frame(self) -> tuple[Tensor, Tensor]:
        setting, rng = self._setting, self._rng
        image = Image.open(self._paths[0]).crop(setting.border)
        truth = Image.open(self._paths[1]).crop(setting.border)
        angle = (rng.random() - 0.5) * 2 * setting.degrees
        image = image.rotate(angle, resample=Image.Resampling.BILINEAR)
        truth = truth.rotate(angle, resample=Image.Resampling.NEAREST)
        pixels = np.asarray(image, dtype=np.float32) / 255.0
        depth = np.asarray(truth, dtype=np.float32)[..., None] / setting.units
        top = rng.integers(0, pixels.shape[0] - setting.crop[0] + 1)
        left = rng.integers(0, pixels.shape[1] - setting.crop[1] + 1)
        rows = slice(top, top + setting.crop[0])
        columns = slice(left, left + setting.crop[1])
        pixels, depth = pixels[rows, columns], depth[rows, columns]
        if rng.random() > 0.5:
            pixels, depth = pixels[:, ::-1].copy(), depth[:, ::-1].copy()
        if rng.random() > 0.5:
            pixels = pixels ** rng.uniform(0.9, 1.1) * rng.uniform(*setting.brightness)
            colours = rng.uniform(0.9, 1.1, 3)
            white = np.ones(pixels.shape[:2])
            pixels = pixels * np.stack([white * colour for colour in colours], axis=2)
            pixels = np.clip(pixels, 0, 1).astype(np.float32)
        return self._normalise(self._to_tensor(pixels)), self._to_tensor(depth)


class Torchvision:
    """The same files, decoded by torchvision and nothing else."""

    def __init__(self, image: Path, depth: Path) -> None:
        self._files = [
            torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
            for path in (image, depth)
        ]

    def batch(self) -> None:
        """Decode B images and depth maps."""
        from torchvision.io import ImageReadMode, decode_image

        for _ in range(BATCH):
            decode_image(self._files[0], ImageReadMode.RGB)
            decode_image(self._files[1], ImageReadMode.UNCHANGED)


class Symbio:
    """Prepared frames, the set being larger than what is kept in memory."""

    def __init__(self, setting: Setting, image: Path, depth: Path, folder: Path) -> None:
        self.frames = FrameDataset(
            _prepared(setting, image, depth, folder), None, "train", setting.view, keep_bytes=0
        )
        self._setting = setting
        self._params = AugmentParams(
            flip=0.5,
            colour=0.5,
            brightness=setting.brightness,
            crop=setting.crop,
            rotation=setting.degrees,
        )
        self._position = 0

    def host(self) -> tuple[HostBatch, list[Draw]]:
        """Read and decode the windows of B frames."""
        size = self._setting.view
        crop = crop_size(self._params, size)
        host, draws = HostBatch.empty(BATCH, window_size(self._params, size)), []
        for row in range(BATCH):
            drawn = draw(augment_rng(0, 0, self._position), size, crop, self._params)
            self.frames.read(row, drawn.window, host, row)
            draws.append(drawn)
            self._position += 1
        return host, draws

    def device(self, host: HostBatch, draws: list[Draw], turned: bool) -> tuple[Tensor, Batch]:
        """Everything else, on the batch; `turned`: with rotation."""
        batch = host.to("cpu", self._setting.units, self._setting.depth_range)
        params = self._params
        if not turned:
            params = params.model_copy(update={"rotation": 0.0})
            rows, columns = (slice(0, size) for size in self._setting.crop)
            batch = Batch(*_cut(batch, rows, columns), batch.keys)
        batch = augment_windows(batch, draws, params)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        return (batch.image / 255 - mean) / std, batch


def _cut(batch: Batch, rows: slice, columns: slice) -> list[Tensor]:
    fields = (batch.image, batch.depth, batch.semantic, batch.confidence)
    return [field[..., rows, columns] for field in fields]


class Clock:
    """Processor and wall seconds of each part."""

    def __init__(self) -> None:
        self.spent: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def __call__(self, part: str, work: Callable[[], Any]) -> Any:
        """Run `work` and note what it took."""
        before = time.process_time(), time.perf_counter()
        result = work()
        self.spent[part].append((time.process_time() - before[0], time.perf_counter() - before[1]))
        return result

    def ms(self, part: str) -> tuple[float, float]:
        """Milliseconds a frame, the median of all rounds but the first."""
        processor, wall = np.median(np.array(self.spent[part][1:]), axis=0) / BATCH * 1e3
        return float(processor), float(wall)


def main(files: list[str]) -> int:
    """Print the figures; 1 if the target is missed."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    reached = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, setting in enumerate((NYU, KITTI)):
            if files:
                image, depth = (Path(file) for file in files[2 * number : 2 * number + 2])
            else:
                image, depth = _rendered(setting, folder)
            reached &= compare(setting, image, depth, folder)
            for rate in RATES:
                reached &= wait(setting, folder, rate)
    return 0 if reached else 1


def wait(setting: Setting, folder: Path, rate: int) -> bool:
    """Print how much of its time a training at so many frames a second waits; if below 1 %."""
    values = yaml.safe_load((PRESETS / "sample.yaml").read_text())
    values[setting.name] |= {"image_size": list(setting.view)}
    values["train"] |= {"batch": PAPER_BATCH, "micro_batch": PAPER_BATCH}
    values["train"]["augment"] |= {"crop": list(setting.crop)}
    prepared = Shards(folder / f"prepared-{setting.name}")
    params = parse_params(values, "benchmark")
    loader = GlobalBatches(prepared, None, params, setting.name, keep_bytes=0)
    loader.micro_batches(0)
    loader.waited_s, start = 0.0, time.perf_counter()
    for step in range(1, STEPS + 1):
        time.sleep(PAPER_BATCH / rate)
        loader.micro_batches(step)
    share = loader.waited_s / (time.perf_counter() - start)
    loader.close()
    print(f"  batch {PAPER_BATCH} at {rate} frames/s, one thread decodes: {share:.2%} waited")
    return share < MOST_WAITED


def compare(setting: Setting, image: Path, depth: Path, folder: Path) -> bool:
    """Let all sides take turns; whether symbio's host is as much faster than peers as it should."""
    peers, bare = Peers(setting, image, depth), Torchvision(image, depth)
    symbio, clock = Symbio(setting, image, depth, folder), Clock()
    for _ in range(ROUNDS):
        clock("peers", peers.batch)
        clock("torchvision's decoders", bare.batch)
        host = clock("symbio, host", symbio.host)
        clock("symbio, device", lambda made=host: symbio.device(*made, turned=True))
        clock("the same, rotation off", lambda made=host: symbio.device(*made, turned=False))
    crop = f"{setting.crop[0]}x{setting.crop[1]}"
    print(f"{setting.name} {crop}, ms a frame of processor (of the wall), batches of {BATCH}:")
    whole = clock.ms("peers")[0]
    for part in clock.spent:
        processor, wall = clock.ms(part)
        print(f"  {part:24s} {processor:6.2f} ({wall:6.2f})  {whole / processor:5.1f} x")
    both = clock.ms("symbio, host")[0] + clock.ms("symbio, device")[0]
    print(f"  {'symbio, host and device':24s} {both:6.2f}           {whole / both:5.1f} x")
    _print_codec(image, depth)
    return whole / clock.ms("symbio, host")[0] >= TARGET


def _print_codec(image: Path, depth: Path) -> None:
    """Bytes and time of a whole map as a file and as it is stored."""
    pixels = decode_rgb(image.read_bytes(), str(image))
    units = decode_depth(depth.read_bytes(), str(depth))
    sides: dict[str, tuple[bytes, bytes, Callable[[bytes, str], Any]]] = {
        "image": (image.read_bytes(), encode_image(pixels, image.read_bytes())[0], decode_rgb),
        "depth": (depth.read_bytes(), encode_depth(units)[0], decode_depth),
    }
    noise = np.random.default_rng(0).normal(0, 8, units.shape)
    sure = cv2.GaussianBlur(noise, (0, 0), 4).clip(-1, 1) * 100 + 128
    labels = np.asarray(sure // 40, np.uint8)
    sides["labels"] = encode_png(labels), encode_labels(labels)[0], decode_labels
    for name, (file, stored, decode) in sides.items():
        times = []
        for data in (file, stored):
            decode(data, name)
            start = time.process_time()
            for _ in range(20):
                decode(data, name)
            times.append((time.process_time() - start) / 20 * 1e3)
        print(
            f"  {name:6s} whole: file {len(file) / 1e3:6.1f} kB {times[0]:5.2f} ms, "
            f"stored {len(stored) / 1e3:6.1f} kB {times[1]:5.2f} ms"
        )


def _prepared(setting: Setting, image: Path, depth: Path, folder: Path) -> Shards:
    """B times the same frame, as `symbio prepare` stores it."""
    pixels = decode_rgb(image.read_bytes(), str(image))
    units = decode_depth(depth.read_bytes(), str(depth))
    target = folder / f"prepared-{setting.name}"
    target.mkdir()
    writer = ShardWriter(target)
    stored, form = encode_image(pixels, image.read_bytes())
    measured, depth_form = encode_depth(units)
    info = {"height": units.shape[0], "width": units.shape[1]}
    for row in range(BATCH):
        members = {f"image.{form}": stored, f"depth.{depth_form}": measured}
        writer.add("train", f"frame-{row}", members, info)
    writer.close({"dataset": setting.name, "depth_scale": setting.units})
    return Shards(target)


def _rendered(setting: Setting, folder: Path) -> tuple[Path, Path]:
    """A rendered frame in the files and with the holes of its data set."""
    image, depth = folder / f"image.{setting.ending}", folder / "depth.png"
    if setting is NYU:
        rng = np.random.default_rng(0)
        frame = render_room(rng)
        pixels, units = framed(frame.image), millimetres(raw_depth(frame, rng))
    else:
        made = kitti_frame(0, 0, 1 << 30)
        pixels, units = decode_rgb(made.image, "image"), decode_depth(made.depth, "depth")
    # Pillow writes as the data sets' own tools did, with their libraries' usual settings.
    Image.fromarray(pixels).save(image, quality=90)
    Image.fromarray(units).save(depth)
    return image, depth


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
