"""Tiny trees in the official formats, written with h5py, scipy and Pillow alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray
from PIL import Image

Rgb = NDArray[np.uint8]


def image(seed: int, height: int, width: int) -> Rgb:
    """A picture (H, W, 3) unlike that of any other seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def depth(seed: int, size: tuple[int, int], low: int, high: int) -> NDArray[np.uint16]:
    """Stored depth (H, W), a tenth of it without measurement."""
    rng = np.random.default_rng([seed, 1])
    values = rng.integers(low, high, size).astype(np.uint16)
    values[rng.random(size) < 0.1] = 0
    return values


def save(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    """Write an image file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def write_mat(
    path: Path,
    scenes: Sequence[str],
    images: NDArray[np.uint8],
    raw_depths: NDArray[np.float32],
    depths: NDArray[np.float32],
    labels: NDArray[np.uint16] | None,
) -> None:
    """The labelled .mat: arrays come frame first, (N, H, W[, 3]), and are stored axes reversed."""
    # MATLAB puts a text header of 512 bytes before the HDF5 content.
    with h5py.File(path, "w", userblock_size=512) as file:
        file["images"] = images.transpose(0, 3, 2, 1)
        file["rawDepths"] = raw_depths.transpose(0, 2, 1)
        file["depths"] = depths.transpose(0, 2, 1)
        if labels is not None:
            file["labels"] = labels.transpose(0, 2, 1)
        types = [scene.rsplit("_", 1)[0] for scene in scenes]
        for name, texts in (("scenes", scenes), ("sceneTypes", types)):
            _write_cell(file, name, texts)


def _write_cell(file: h5py.File, name: str, texts: Sequence[str]) -> None:
    references = np.empty((1, len(texts)), h5py.ref_dtype)
    for i, text in enumerate(texts):
        units = np.frombuffer(text.encode("utf-16-le"), "<u2")[:, None]
        cell = file.create_dataset(f"#refs#/{name}{i}", data=units)
        cell.attrs["MATLAB_class"] = np.bytes_("char")
        references[0, i] = cell.ref
    file.create_dataset(name, data=references)


def write_splits(path: Path, train: Sequence[int], test: Sequence[int]) -> None:
    """splits.mat from frame numbers that count from 1."""
    scipy.io.savemat(
        path,
        {
            "trainNdxs": np.array(train, np.uint16)[:, None],
            "testNdxs": np.array(test, np.uint16)[:, None],
        },
    )


SCENES = ("bath_0001a", "bath_0001b", "kitchen_0002", "den_0003", "office_0004", "study_0005")


def nyu_labelled(
    raw: Path, size: tuple[int, int] = (48, 64), labels: bool = True
) -> dict[str, NDArray[Any]]:
    """Six frames; 1, 2, 4, 5 of splits.mat train, 3 and 6 test. Returns what was written."""
    raw.mkdir(parents=True, exist_ok=True)
    count = len(SCENES)
    arrays: dict[str, NDArray[Any]] = {
        "images": np.stack([image(i, *size) for i in range(count)]),
        "mm": np.stack([depth(i, size, 900, 9000) for i in range(count)]),
    }
    arrays["filled_mm"] = np.where(arrays["mm"] == 0, 3000, arrays["mm"])
    rng = np.random.default_rng(5)
    arrays["labels"] = rng.integers(0, 895, (count, *size)).astype(np.uint16)
    write_mat(
        raw / "nyu_depth_v2_labeled.mat",
        SCENES,
        arrays["images"],
        (arrays["mm"] / 1000).astype(np.float32),
        (arrays["filled_mm"] / 1000).astype(np.float32),
        arrays["labels"] if labels else None,
    )
    write_splits(raw / "splits.mat", [1, 2, 4, 5], [3, 6])
    return arrays


NYU_TRAIN = "nyudepthv2_train_files_with_gt.txt"
NYU_TEST = "nyudepthv2_test_files_with_gt.txt"
NYU_SCENES = ("bathroom_0001", "kitchen_0028a", "kitchen_0028b")


def nyu_sync(raw: Path, size: tuple[int, int] = (48, 64)) -> None:
    """Two frames in each of three recordings (of two places) for training, two test frames."""
    train, test = [], []
    for i, scene in enumerate(NYU_SCENES):
        for frame in (0, 7):
            _nyu_pair(raw / "sync" / scene, frame, size, seed=10 * i + frame)
            pair = f"/{scene}/rgb_{frame:05d}.jpg /{scene}/sync_depth_{frame:05d}.png"
            train.append(f"{pair} 518.8579")
    for index, kind in ((2, "kitchen"), (5, "study")):
        _nyu_pair(raw / "official_splits/test" / kind, index, size, seed=100 + index)
        pair = f"{kind}/rgb_{index:05d}.jpg {kind}/sync_depth_{index:05d}.png"
        test.append(f"{pair} 518.8579")
    (raw / NYU_TRAIN).write_text("\n".join(train) + "\n")
    (raw / NYU_TEST).write_text("\n".join(test) + "\n")


def _nyu_pair(folder: Path, number: int, size: tuple[int, int], seed: int) -> None:
    save(folder / f"rgb_{number:05d}.jpg", image(seed, *size), quality=90)
    save(folder / f"sync_depth_{number:05d}.png", depth(seed, size, 900, 9000))


KITTI_TRAIN = "eigen_train_files_with_gt.txt"
KITTI_TEST = "eigen_test_files_with_gt.txt"
CALIBRATION = """calib_time: 09-Jan-2012 13:57:47
P_rect_00: 1 0 2 0 0 3 4 0 0 0 1 0
P_rect_02: 7.215377e+02 0.0 6.095593e+02 44.85728 0.0 7.215377e+02 1.728540e+02 0.2163791 0 0 1 0
"""


def kitti_paths(drive: str, frame: int) -> tuple[str, str]:
    """Image and depth columns of a list line."""
    date, full = drive[:10], f"{drive}_sync"
    return (
        f"{date}/{full}/image_02/data/{frame:010d}.png",
        f"{full}/proj_depth/groundtruth/image_02/{frame:010d}.png",
    )


def kitti(raw: Path, sizes: Sequence[tuple[int, int]] = ((24, 80),)) -> None:
    """Three training drives of two frames, one test drive of three, one of which is `None`."""
    drives = {
        "2011_09_26_drive_0001": "train",
        "2011_09_26_drive_0005": "val",
        "2011_09_28_drive_0001": "train",
        "2011_09_26_drive_0002": "val",
    }
    lines: dict[str, list[str]] = {KITTI_TRAIN: [], KITTI_TEST: []}
    for i, (drive, folder) in enumerate(drives.items()):
        listing = KITTI_TEST if drive.endswith("_0002") else KITTI_TRAIN
        for frame in (5, 6):
            rgb, gt = kitti_paths(drive, frame)
            size, seed = sizes[(2 * i + frame) % len(sizes)], 100 * i + frame
            save(raw / rgb, image(seed, *size))
            save(raw / "data_depth_annotated" / folder / gt, depth(seed, size, 3 * 256, 80 * 256))
            lines[listing].append(f"{rgb} {gt} 721.5377")
    rgb, _ = kitti_paths("2011_09_26_drive_0002", 0)
    save(raw / rgb, image(7777, *sizes[0]))
    lines[KITTI_TEST].insert(0, f"{rgb} None 721.5377")
    for listing, text in lines.items():
        (raw / listing).write_text("\n".join(text) + "\n")
    (raw / "2011_09_26" / "calib_cam_to_cam.txt").write_text(CALIBRATION)


def kitti_semantics(raw: Path, size: tuple[int, int] = (24, 80)) -> NDArray[np.uint8]:
    """Labels of one training frame (second picture; the first belongs to no drive)."""
    folder = raw / "data_semantics/training"
    labels = np.random.default_rng(3).integers(0, 34, size).astype(np.uint8)
    save(folder / "semantic/000000_10.png", np.zeros(size, np.uint8))
    save(folder / "semantic/000001_10.png", labels)
    mapping = "\n2011_09_26 2011_09_26_drive_0001_sync 0000000006\n"
    (folder / "mapping.txt").write_text(mapping)
    return labels


def kitti_selection(
    raw: Path,
    drives: Sequence[str] = ("2011_09_26_drive_0002",),
    size: tuple[int, int] = (24, 80),
) -> None:
    """The official selection: two cropped frames of each drive, one of either colour camera."""
    folder = raw / "depth_selection/val_selection_cropped"
    for i, drive in enumerate(drives):
        for camera in ("02", "03"):
            end, seed = f"0000000005_image_{camera}", 500 + 10 * i + int(camera)
            save(folder / f"image/{drive}_sync_image_{end}.png", image(seed, *size))
            values = depth(seed, size, 3 * 256, 80 * 256)
            save(folder / f"groundtruth_depth/{drive}_sync_groundtruth_depth_{end}.png", values)
            intrinsics = folder / f"intrinsics/{drive}_sync_image_{end}.txt"
            intrinsics.parent.mkdir(exist_ok=True)
            intrinsics.write_text("721.5377 0.0 596.5593 0.0 721.5377 149.854 0.0 0.0 1.0")


def png(pixels: NDArray[Any]) -> bytes:
    """PNG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
