"""The written KITTI files, read by Pillow and numpy, and projected by the devkit's formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symbio.data.draws import rng_for
from symbio.sample import ade
from symbio.sample.calibration import RIGS
from symbio.sample.kitti import STREAM, kitti_frame, slot_of, write_kitti
from symbio.sample.streets import render_street

TRAIN, TEST, SEED = 2, 2, 11
DATE = "2011_09_26"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kitti")
    frames = (kitti_frame(SEED, i, TRAIN) for i in range(TRAIN + TEST))
    write_kitti(path, frames, TRAIN, TEST)
    return path


def lines(folder: Path, split: str) -> list[list[str]]:
    text = (folder / f"eigen_{split}_files_with_gt.txt").read_text()
    return [line.split(" ") for line in text.splitlines()]


def depth_of(folder: Path, listed: str) -> np.ndarray:
    places = [folder / "data_depth_annotated" / part / listed for part in ("train", "val")]
    (path,) = [place for place in places if place.is_file()]
    with Image.open(path) as image:
        assert image.mode == "I;16"
        return np.asarray(image).astype(np.uint16)


def matrix(path: Path, key: str) -> np.ndarray:
    text = dict(line.split(": ", 1) for line in path.read_text().splitlines())[key]
    return np.array([float(value) for value in text.split()])


def test_lists_name_files_that_are_there(folder: Path) -> None:
    for split, count in (("train", TRAIN), ("test", TEST)):
        listed = lines(folder, split)
        assert len(listed) == count
        for image, depth, focal in listed:
            assert float(focal) == 721.5377
            with Image.open(folder / image) as picture:
                assert picture.mode == "RGB"
                assert picture.size == (1242, 375)
            if depth != "None":
                assert depth_of(folder, depth).shape == (375, 1242)
    assert [line[1] == "None" for line in lines(folder, "test")] == [False, True]
    unmeasured = lines(folder, "test")[1][0]
    assert int(Path(unmeasured).stem) < 5


def test_the_scan_projects_onto_the_annotated_depth(folder: Path) -> None:
    """x = P_rect_02 R_rect_00 Tr_velo_to_cam X, as the raw data devkit has it."""
    calibration = folder / DATE / "calib_cam_to_cam.txt"
    project = matrix(calibration, "P_rect_02").reshape(3, 4)
    rectify, pose = np.eye(4), np.eye(4)
    rectify[:3, :3] = matrix(calibration, "R_rect_00").reshape(3, 3)
    pose[:3, :3] = matrix(folder / DATE / "calib_velo_to_cam.txt", "R").reshape(3, 3)
    pose[:3, 3] = matrix(folder / DATE / "calib_velo_to_cam.txt", "T")
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-8)
    for image, depth, _ in lines(folder, "train"):
        scan_path = folder / image.replace("image_02", "velodyne_points").replace(".png", ".bin")
        scan = np.fromfile(scan_path, "<f4").reshape(-1, 4)
        assert len(scan) > 10_000
        assert scan[:, 0].min() > 2
        points = np.column_stack([scan[:, :3], np.ones(len(scan))]).astype(float)
        seen = project @ rectify @ pose @ points.T
        columns, rows = np.rint(seen[:2] / seen[2]).astype(int)
        stored = depth_of(folder, depth)[rows, columns]
        np.testing.assert_allclose(stored / 256, seen[2], atol=0.001)


def test_semantics_are_tied_to_raw_frames(folder: Path) -> None:
    base = folder / "data_semantics/training"
    mapping = (base / "mapping.txt").read_text().splitlines()
    labelled = [i for i in range(TRAIN + TEST) if slot_of(i, TRAIN).labelled]
    assert len(mapping) == len(labelled) == 3
    for line, (text, index) in enumerate(zip(mapping, labelled, strict=True)):
        date, drive, number = text.split(" ")
        raw = folder / date / drive / "image_02/data" / f"{number}.png"
        assert raw.read_bytes() == (base / "image_2" / f"{line:06d}_10.png").read_bytes()
        with Image.open(base / "semantic" / f"{line:06d}_10.png") as image:
            assert image.mode == "L"
            labels = np.asarray(image)
        frame = render_street(rng_for(SEED, STREAM, index), 375, 1242, RIGS[0].intrinsics)
        for label in np.unique(frame.semantic):
            assert set(np.unique(labels[frame.semantic == label])) == {ade.CITYSCAPES[label]}


def test_calibration_carries_the_intrinsics_and_size(folder: Path) -> None:
    path = folder / DATE / "calib_cam_to_cam.txt"
    p = matrix(path, "P_rect_02")
    assert [p[0], p[5], p[2], p[6]] == pytest.approx([721.5377, 721.5377, 609.5593, 172.854])
    assert matrix(path, "S_rect_02").tolist() == [1242, 375]


def test_slots_keep_splits_apart_and_go_round_the_dates() -> None:
    slots = [slot_of(i, 200) for i in range(248)]
    drives = {split: {s.drive for s in slots if s.split == split} for split in ("train", "test")}
    assert not drives["train"] & drives["test"]
    assert len({slot.image for slot in slots}) == 248
    for split in drives:
        assert {drive[:10] for drive in drives[split]} == {rig.date for rig in RIGS}
    assert all(slot.measured for slot in slots[:200])
    assert 1 <= sum(not slot.measured for slot in slots[200:]) <= 5
    assert all(slot.number >= 5 for slot in slots if slot.measured)
    assert all(slot.number < 5 for slot in slots if not slot.measured)
    assert all(slot.labelled for slot in slots[200:])
    assert len({(slot.rig.height, slot.rig.width) for slot in slots}) == 5
