"""The streets as KITTI ships: raw drives, annotated depth, semantics, calibration, Eigen lists.

Every frame is a street of its own: a drive's frames share the camera and the date, not the place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symbio.data.draws import rng_for
from symbio.data.images import encode_png
from symbio.sample import ade
from symbio.sample.calibration import RIGS, Rig, to_velodyne, write_calibration
from symbio.sample.lidar import SCALE, annotated
from symbio.sample.streets import render_street

STREAM = "sample-kitti"
"""The random stream of these frames."""
LISTS = {"train": "eigen_train_files_with_gt.txt", "test": "eigen_test_files_with_gt.txt"}

_FRAMES_A_DRIVE = 8
_FRAME_STEP = 10
_FIRST_DRIVE = {"train": 101, "test": 301}
_LABELLED_TRAIN = 3
"""Every third training frame has semantics; every test frame has."""
_CODES = np.zeros(256, np.uint8)
_CODES[list(ade.CITYSCAPES)] = list(ade.CITYSCAPES.values())


@dataclass(frozen=True, slots=True)
class Slot:
    """Which frame of which drive a rendered frame becomes."""

    split: str
    rig: Rig
    drive: str
    number: int
    measured: bool
    """Whether it has annotated depth: the first frames of a drive have none."""
    labelled: bool

    @property
    def image(self) -> str:
        """Path of the image below the raw folder."""
        return f"{self.rig.date}/{self.drive}/image_02/data/{self.number:010d}.png"

    @property
    def depth(self) -> str:
        """Path of the annotated depth as lists have it: without train/ or val/."""
        return f"{self.drive}/proj_depth/groundtruth/image_02/{self.number:010d}.png"


@dataclass(frozen=True, slots=True)
class KittiFrame:
    """One frame, encoded: PNGs, and float32 (N, 4) x y z reflectance of the scan as bytes."""

    image: bytes
    depth: bytes
    labels: bytes
    scan: bytes


def slot_of(index: int, num_train: int) -> Slot:
    """Where frame `index` (training frames first) goes; no drive is in both splits.

    Drives have eight frames, ten apart from number 5 on, and go round the five dates. In every
    second test drive the second frame comes before number 5, where KITTI has no annotated depth.
    """
    split = "train" if index < num_train else "test"
    place = index if split == "train" else index - num_train
    drive, frame = divmod(place, _FRAMES_A_DRIVE)
    rig = RIGS[drive % len(RIGS)]
    name = f"{rig.date}_drive_{_FIRST_DRIVE[split] + drive:04d}_sync"
    measured = split == "train" or drive % 2 == 1 or frame != 1
    number = 5 + _FRAME_STEP * frame if measured else 2
    labelled = split == "test" or place % _LABELLED_TRAIN == 0
    return Slot(split, rig, name, number, measured, labelled)


def kitti_frame(seed: int, index: int, num_train: int) -> KittiFrame:
    """Render frame `index` of the sample with this seed."""
    rig = slot_of(index, num_train).rig
    rng = rng_for(seed, STREAM, index)
    frame = render_street(rng, rig.height, rig.width, rig.intrinsics)
    stored, own = annotated(frame, rng)
    rows, columns = np.nonzero(own)
    metres = stored[own].astype(np.float64) / SCALE
    points = to_velodyne(rig, columns.astype(np.float64), rows.astype(np.float64), metres)
    reflectance = frame.image[own].mean(axis=1) / 255
    scan = np.column_stack([points, reflectance]).astype("<f4")
    return KittiFrame(
        encode_png(frame.image),
        encode_png(stored),
        encode_png(_CODES[frame.semantic]),
        scan.tobytes(),
    )


def write_kitti(folder: Path, frames: Iterable[KittiFrame], num_train: int, num_test: int) -> None:
    """Write everything into an existing folder.

    Args:
        folder: where it goes; the caller makes it appear whole.
        frames: `num_train + num_test` frames, in order.
        num_train: the first frames are the training split.
        num_test: the others are the test split.
    """
    slots = [slot_of(index, num_train) for index in range(num_train + num_test)]
    for rig in {slot.rig.date: slot.rig for slot in slots}.values():
        (folder / rig.date).mkdir()
        write_calibration(folder / rig.date, rig)
    mapping: list[str] = []
    for slot, frame in zip(slots, frames, strict=True):
        _write(folder / slot.image, frame.image)
        scan = f"{slot.rig.date}/{slot.drive}/velodyne_points/data/{slot.number:010d}.bin"
        _write(folder / scan, frame.scan)
        if slot.measured:
            # As in KITTI, where some Eigen test drives lie in the benchmark's train/ folder.
            part = "val" if slot.split == "test" and int(slot.drive[-9:-5]) % 2 else "train"
            _write(folder / "data_depth_annotated" / part / slot.depth, frame.depth)
        if slot.labelled:
            name = f"{len(mapping):06d}_10.png"
            _write(folder / "data_semantics/training/image_2" / name, frame.image)
            _write(folder / "data_semantics/training/semantic" / name, frame.labels)
            mapping.append(f"{slot.rig.date} {slot.drive} {slot.number:010d}")
    # Line i says which raw frame picture i of the semantics shows.
    (folder / "data_semantics/training/mapping.txt").write_text("\n".join(mapping) + "\n")
    for split, name in LISTS.items():
        lines = [
            f"{slot.image} {slot.depth if slot.measured else None} {slot.rig.intrinsics.fx}"
            for slot in slots
            if slot.split == split
        ]
        (folder / name).write_text("\n".join(lines) + "\n")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
