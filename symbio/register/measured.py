"""What a network costs to use: seconds to load, milliseconds a picture, memory.

Measured in a process of its own, so that neither what was loaded before nor what ran before counts:
`python -m symbio.register.measured FOLDER` prints it as JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symbio.data.draws import rng_for
from symbio.progress import say

if TYPE_CHECKING:
    from symbio.model.network import SymbioticNetwork

CAMERA_SIZES = {"nyu": (480, 640), "kitti": (375, 1242)}
"""(H, W) in pixels of the pictures that the data sets' cameras take."""

_BATCH = 8
_FEWEST, _MOST = 3, 20
_LONG_ENOUGH_S, _TOO_LONG_S = 1.0, 20.0
_TIME_LIMIT_S = 900


def measured_apart(folder: Path) -> dict[str, Any] | None:
    """`measure` in a process of its own; None, and a line that says why, where that fails."""
    command = [sys.executable, "-m", "symbio.register.measured", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIME_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        say(f"{folder}: prediction was not measured: it took more than {_TIME_LIMIT_S} s")
        return None
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        say(f"{folder}: prediction was not measured: code {done.returncode}, {why}")
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(folder: Path) -> dict[str, Any]:
    """Load a saved network and predict seeded pictures; to be called in a fresh process.

    One picture of the camera's size; one, and eight at once, of the network's own size. Each case
    runs once to warm up, then 20 times or for a second, whichever ends first, but three times at
    least; where that takes more than 20 seconds, fewer.

    Args:
        folder: of a network, as `save_network` wrote it.

    Returns:
        device; threads (of one operation); load_s (seconds from the start of the imports to the
        network in memory); picture_ms ("WxH" of the pictures -> pictures at once -> `median` and
        `p90` of the milliseconds a picture, and the number of `runs`); peak_rss_mib, and on a GPU
        peak_gpu_mib: the largest memory of the process and on the device.

    Raises:
        SymbioError: the network cannot be read.
    """
    start = time.perf_counter()
    import torch

    from symbio.model.saved import load_network

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network, card = load_network(folder, device)
    load_s = time.perf_counter() - start
    camera = CAMERA_SIZES.get(card["dataset"], (480, 640))
    picture_ms: dict[str, dict[str, Any]] = {}
    # Where the network sees what the camera takes, that case is one.
    cases = dict.fromkeys(((camera, 1), (network.image_size, 1), (network.image_size, _BATCH)))
    for (height, width), at_once in cases:
        times = picture_ms.setdefault(f"{width}x{height}", {})
        times[str(at_once)] = _timed(network, (height, width), at_once)
    found = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
        "load_s": round(load_s, 2),
        "picture_ms": picture_ms,
        "peak_rss_mib": peak_rss_mib(),
    }
    if device == "cuda":
        found["peak_gpu_mib"] = torch.cuda.max_memory_allocated() // 2**20
    return found


def peak_rss_mib() -> int:
    """The largest resident memory that this process has had since its program began, MiB.

    Not `getrusage`: its value is handed down by the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def _timed(network: SymbioticNetwork, size: tuple[int, int], at_once: int) -> dict[str, Any]:
    from symbio.model.inference import infer

    images = rng_for(0, "measured").integers(0, 256, (at_once, *size, 3), np.uint8)
    infer(network, images)
    times: list[float] = []
    while not times or (
        len(times) < _MOST
        and sum(times) < (_LONG_ENOUGH_S if len(times) >= _FEWEST else _TOO_LONG_S)
    ):
        start = time.perf_counter()
        infer(network, images)
        times.append(time.perf_counter() - start)
    ms = [seconds * 1000 / at_once for seconds in times]
    return {
        "median": round(statistics.median(ms), 2),
        "p90": round(float(np.quantile(ms, 0.9)), 2),
        "runs": len(ms),
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
