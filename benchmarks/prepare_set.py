"""A whole `prepare` of thousands of frames: speed, memory, and going on after `kill -9`.

The frames are those of benchmarks/prepare.py, each shifted and coloured in its own way, so that
no two are alike; they are handed over decoded, as the labelled NYU file does. Prepared are
500 frames and then `--frames`, and these a second time, killed half-way and continued.

    python benchmarks/prepare_set.py [--frames 5000] [--threads 2] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from prepare import make_frame

from symbio.files import sha256_of
from symbio.params import DatasetParams, SampleParams
from symbio.prepare import prepare as module
from symbio.prepare.encode import encode
from symbio.prepare.entry import Entry, Picture, Plan, RawFrame

FEW = 500
SCENE_FRAMES = 25
CHANNELS = list(itertools.permutations(range(3)))


@functools.cache
def _made() -> list[tuple[NDArray[Any], ...]]:
    return [make_frame(seed) for seed in range(8)]


def _read(number: int, _split: str) -> RawFrame:
    rng = np.random.default_rng(number)
    image, depth, labels = _made()[number % len(_made())]
    shift = (int(rng.integers(480)), int(rng.integers(640)))
    image, depth, labels = (np.roll(array, shift, (0, 1)) for array in (image, depth, labels))
    image = image[..., CHANNELS[rng.integers(len(CHANNELS))]] + rng.integers(0, 8, 3)
    image = np.ascontiguousarray(image.astype(np.uint8))
    return RawFrame(Picture(image, "i"), Picture(depth, "d"), Picture(labels, "l"), {})


def _plan(frames: int) -> Plan:
    entries = [
        Entry(
            key=f"room_{i // SCENE_FRAMES:04d}-{i % SCENE_FRAMES:05d}",
            split="train" if i < 0.9 * frames else "test",
            scene=f"room_{i // SCENE_FRAMES:04d}",
            source=f"frame {i}",
            read=functools.partial(_read, i),
        )
        for i in range(frames)
    ]
    return Plan("nyu", "made up", 1000, "nyu894", entries)


def child(folder: Path, frames: int, threads: int) -> None:
    """Prepare the set in this process, and print what it took as JSON."""
    cv2.setNumThreads(1)
    _made()

    @contextlib.contextmanager
    def opened(*_: object) -> Iterator[Plan]:
        yield _plan(frames)

    module.open_plan = opened  # type: ignore[assignment]
    section = DatasetParams(
        raw="raw",
        image_size=(480, 640),
        depth_range=(0.001, 10.0),
        protocol="nyu-eigen",
        val_share=0.1,
        sample=SampleParams(train=1, test=1),
    )
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    encoder = _encoder_speed()
    before_mib, start, spent = _peak_mib(), time.monotonic(), time.process_time()
    module.prepare(section, "nyu", folder / "raw", folder / "out", folder / "work", threads)
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - start,
                "processor_seconds": time.process_time() - spent,
                "encoder": encoder,
                "before_mib": before_mib,
                "peak_mib": _peak_mib(),
            }
        )
    )


def _encoder_speed() -> float:
    """Frames a second of processor time that are made and encoded, but neither stored nor kept."""
    entries = _plan(100).entries
    encode(entries[0], "nyu894", shown=False)
    start = time.process_time()
    for entry in entries:
        encode(entry, "nyu894", shown=False)
    return len(entries) / (time.process_time() - start)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _command(folder: Path, frames: int, threads: int) -> list[str]:
    return [sys.executable, __file__, "--child", str(folder), str(frames), str(threads)]


def prepared(folder: Path, frames: int, threads: int, finished: int = 0) -> None:
    """Prepare in another process, where `finished` frames need no more work; print what it took."""
    done = subprocess.run(
        _command(folder, frames, threads), stdout=subprocess.PIPE, text=True, check=True
    )
    took: dict[str, float] = json.loads(done.stdout)
    todo = frames - finished
    print(
        f"{todo} frames, {threads} threads: {todo / took['seconds']:.1f} frames/s, "
        f"{todo / took['processor_seconds']:.1f} a second of processor time (the encoder alone: "
        f"{took['encoder']:.1f}); peak memory {took['peak_mib']:.0f} MiB "
        f"({took['before_mib']:.0f} MiB before the first frame)",
        flush=True,
    )


def kill_half_way(folder: Path, frames: int, threads: int) -> int:
    """Start in another process and kill it; the number of frames that are finished."""
    with subprocess.Popen(
        _command(folder, frames, threads), stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        while (finished := _finished(folder / "work")) < frames / 2:
            if process.poll() is not None:
                raise SystemExit("prepare ended before it could be killed")
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    return max(finished, _finished(folder / "work"))


def _finished(work: Path) -> int:
    return sum(len(json.loads(path.read_text())["seen"]) for path in work.glob("*/part-*.json"))


def _checksums(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def main(frames: int, threads: int, parent: Path | None) -> int:
    """Print the figures; 1 if the continued run gave other bytes."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        few, whole, killed = (Path(name) / part for part in ("few", "whole", "killed"))
        prepared(few, FEW, threads)
        shutil.rmtree(few)
        prepared(whole, frames, threads)
        expected = _checksums(whole / "out")
        size = sum(path.stat().st_size for path in (whole / "out").iterdir())
        print(f"{len(expected)} files, {size / 1e9:.2f} GB")
        shutil.rmtree(whole)
        finished = kill_half_way(killed, frames, threads)
        print(f"killed with {finished} frames finished; continued:")
        prepared(killed, frames, threads, finished)
        found = _checksums(killed / "out")
        names = sorted(expected.keys() | found.keys())
        others = [name for name in names if expected.get(name) != found.get(name)]
        print(f"files that differ from those of the undisturbed run: {', '.join(others) or 'none'}")
    return 1 if others else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        sys.exit(0)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="for temporary files (about 1 MB a frame)")
    given = parser.parse_args()
    sys.exit(main(given.frames, given.threads, given.folder))
