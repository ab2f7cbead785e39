"""How many frames a second one core renders, alone and as files of the data set.

    python benchmarks/render.py [frames]

Seconds are processor time of this process, so that other work on the machine does not count.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from symbio.sample.calibration import RIGS
from symbio.sample.kitti import kitti_frame
from symbio.sample.nyu import nyu_frame
from symbio.sample.rooms import render_room
from symbio.sample.streets import render_street

TARGET = 5.0
"""Rooms of 480x640 a second on one core."""


def street(index: int, height: int, width: int) -> object:
    """A street of the first date's camera at a size."""
    rig = RIGS[0]
    camera = rig.intrinsics.scaled(height / rig.height, width / rig.width)
    return render_street(np.random.default_rng(index), height, width, camera)


CASES: dict[str, Callable[[int], object]] = {
    "room 480x640": lambda i: render_room(np.random.default_rng(i)),
    "room 120x160": lambda i: render_room(np.random.default_rng(i), 120, 160),
    "street 375x1242": lambda i: street(i, 375, 1242),
    "street 88x304": lambda i: street(i, 88, 304),
    "NYU frame, compressed": lambda i: nyu_frame(0, i, 1 << 30),
    "KITTI frame, encoded": lambda i: kitti_frame(0, i, 1 << 30),
}


def main(num_frames: int) -> int:
    """Print the table; 1 if rooms miss the target."""
    cv2.setNumThreads(1)
    print(f"{'':24s} {'ms a frame':>12s} {'frames/s/core':>14s}")
    rates = {}
    for name, make in CASES.items():
        make(0)
        start = time.process_time()
        for index in range(num_frames):
            make(index)
        seconds = (time.process_time() - start) / num_frames
        rates[name] = 1 / seconds
        print(f"{name:24s} {seconds * 1e3:12.1f} {rates[name]:14.1f}")
    print(f"target for rooms of 480x640: {TARGET:.0f} frames/s/core")
    return int(rates["room 480x640"] < TARGET)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
