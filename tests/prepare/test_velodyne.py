"""Depth from laser scans, for KITTI frames that have no annotated map."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from symbio.errors import SymbioError
from symbio.prepare.velodyne import project, read_projection, read_scan
from symbio.sample.calibration import RIGS, Rig, to_velodyne, write_calibration
from symbio.sample.geometry import Intrinsics
from tests.prepare import official_files as official
from tests.prepare.preparing import Prepared, Preparer

SIZE = (24, 80)
SMALL = Intrinsics(46.0, 46.0, 39.0, 11.0)
DRIVE = "2011_09_26_drive_0001"
BARE = f"{DRIVE}_sync-02-0000000005"
"""A training frame whose map the tests take away."""


@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.date)
def test_scan_lands_on_the_pixels_that_it_was_made_from(tmp_path: Path, rig: Rig) -> None:
    """Against the sample's camera, which goes the other way, from pixels to the scanner."""
    write_calibration(tmp_path, rig)
    rng = np.random.default_rng(1)
    expected = np.zeros((rig.height, rig.width), np.uint16)
    places = rng.choice(expected.size, 5000, replace=False)
    expected.ravel()[places] = rng.integers(2 * 256, 80 * 256, 5000)
    rows, columns = np.nonzero(expected)
    metres = expected[rows, columns] / 256
    points = to_velodyne(rig, columns.astype(float), rows.astype(float), metres)
    found = project(points.astype(np.float32), read_projection(tmp_path, "02"), expected.shape)
    assert np.array_equal(found, expected)


def _plainly(points: NDArray[np.float32], projection: NDArray[np.float64]) -> NDArray[np.uint16]:
    result = np.zeros(SIZE, np.uint16)
    for point in points:
        x, y, depth = projection @ [*point.astype(float), 1.0]
        if depth <= 0 or not 1 <= round(depth * 256) <= 65535:
            continue
        column, row = round(x / depth), round(y / depth)
        if 0 <= column < SIZE[1] and 0 <= row < SIZE[0]:
            before = result[row, column]
            stored = round(depth * 256)
            result[row, column] = stored if before == 0 else min(before, stored)
    return result


def test_nearest_return_of_a_pixel_wins(tmp_path: Path) -> None:
    """Against a slow plain version; many points fall on one pixel, behind, far off or aside."""
    write_calibration(tmp_path, Rig("2011_09_26", *SIZE, SMALL))
    projection = read_projection(tmp_path, "02")
    points = np.random.default_rng(2).uniform([-60, -40, -8], [300, 40, 8], (6000, 3))
    points = points.astype(np.float32)
    found = project(points, projection, SIZE)
    assert np.array_equal(found, _plainly(points, projection))
    assert (found > 0).mean() > 0.2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "has 0 bytes"),
        (bytes(40), "has 40 bytes, expected points of 16 bytes"),
        (np.array([1, np.nan, 2, 0], "<f4").tobytes(), "not finite"),
    ],
)
def test_broken_scans_are_named(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "0000000005.bin").write_bytes(data)
    with pytest.raises(SymbioError, match=rf"0000000005\.bin: .*{said}"):
        read_scan(tmp_path / "0000000005.bin")


def _bare(raw: Path) -> None:
    """Training and test drives with scans and calibration; one frame of either has no map."""
    official.kitti(raw)
    for date in ("2011_09_26", "2011_09_28"):
        write_calibration(raw / date, Rig(date, *SIZE, SMALL))
    for i, image in enumerate(sorted(raw.glob("*/*/image_02/data/*.png"))):
        path = image.parents[2] / f"velodyne_points/data/{image.stem}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        points = np.random.default_rng(i).uniform([4, -8, -2, 0], [60, 8, 12, 1], (20000, 4))
        path.write_bytes(points.astype("<f4").tobytes())
    path = raw / official.KITTI_TRAIN
    _, depth = official.kitti_paths(DRIVE, 5)
    path.write_text(path.read_text().replace(depth, "None", 1))


def _projected(prepared: Prepared, raw: Path, key: str) -> NDArray[np.uint16]:
    drive, _, frame = key.split("-")
    folder = raw / key[:10]
    scan = read_scan(folder / drive / f"velodyne_points/data/{frame}.bin")
    info = prepared.info(key)
    return project(scan, read_projection(folder, "02"), (info["height"], info["width"]))


def test_training_frames_without_a_map_take_the_scan(preparer: Preparer) -> None:
    _bare(preparer.raw)
    plain = preparer.run("kitti", val_share=0.0).frames()
    prepared = preparer.run("kitti", val_share=0.0, depth="velodyne")
    assert prepared.frames()["test"] == plain["test"]
    others = prepared.frames()["train"]
    del others[BARE]
    assert others == plain["train"]
    stored = prepared.pixels(BARE, "depth")
    assert np.array_equal(stored, _projected(prepared, preparer.raw, BARE))
    assert (stored > 0).any()
    assert prepared.info(BARE)["depth"] == "velodyne"
    assert "depth" not in prepared.info(next(iter(others)))
    header = prepared.index["header"]
    assert header["train_depth"] == "annotated, laser scans where there is none"
    assert header["velodyne"] == {"train": 1, "test": 0}
    # The test frame without a map stays out, though it has a scan.
    assert [s["split"] for s in prepared.report["skipped"]] == ["test"]


def test_frames_held_out_for_validation_never_take_a_scan(preparer: Preparer) -> None:
    _bare(preparer.raw)
    path = preparer.raw / official.KITTI_TRAIN
    # Of the one drive that is left, three quarters are held out.
    first = [line for line in path.read_text().splitlines() if DRIVE in line]
    path.write_text("\n".join(first))
    for seed in (7, 8):
        rgb = official.kitti_paths(DRIVE, seed)[0]
        official.save(preparer.raw / rgb, official.image(seed, *SIZE))
        scans = preparer.raw / DRIVE[:10] / f"{DRIVE}_sync/velodyne_points/data"
        shutil.copy(scans / "0000000005.bin", scans / f"{seed:010d}.bin")
        path.write_text(path.read_text() + f"\n{rgb} None 721.5377")
    prepared = preparer.run("kitti", val_share=0.5, depth="velodyne")
    held_out = [s for s in prepared.report["skipped"] if s["split"] == "val"]
    assert len(prepared.splits["val"]) + len(held_out) == 2
    assert held_out
    assert {s["reason"] for s in held_out} == {"no depth measurement between 0.001 and 80 m"}
    assert all("depth" not in prepared.info(key) for key in prepared.splits["val"])


def _without_any_map(preparer: Preparer) -> None:
    _bare(preparer.raw)
    shutil.rmtree(preparer.raw / "data_depth_annotated")
    for name in (official.KITTI_TRAIN, official.KITTI_TEST):
        path = preparer.raw / name
        parts = [line.split()[0].split("/") for line in path.read_text().splitlines()]
        path.write_text("\n".join(f"{p[0]}/{p[1]} {p[-1][:10]} l" for p in parts))


def test_raw_drives_alone_are_scored_with_scans_and_say_so(preparer: Preparer) -> None:
    _without_any_map(preparer)
    prepared = preparer.run("kitti", depth="velodyne")
    assert {split: len(keys) for split, keys in prepared.splits.items()} == {
        "train": 4,
        "val": 2,
        "test": 3,
    }
    assert prepared.index["header"]["velodyne"] == {"train": 6, "test": 3}
    for key in prepared.index["frames"]:
        stored = prepared.pixels(key, "depth")
        assert np.array_equal(stored, _projected(prepared, preparer.raw, key))


def test_a_list_that_names_maps_is_never_scored_with_scans(preparer: Preparer) -> None:
    _bare(preparer.raw)
    shutil.rmtree(preparer.raw / "data_depth_annotated")
    with pytest.raises(SymbioError, match="2 files of the 3 listed frames are missing"):
        preparer.run("kitti", depth="velodyne")


def test_raw_drives_alone_need_scans_to_be_asked_for(preparer: Preparer) -> None:
    _without_any_map(preparer)
    with pytest.raises(SymbioError, match="6 files of the 6 listed frames are missing"):
        preparer.run("kitti")


def test_calibration_of_the_scanner_is_needed(preparer: Preparer) -> None:
    _bare(preparer.raw)
    (preparer.raw / "2011_09_26/calib_velo_to_cam.txt").unlink()
    with pytest.raises(SymbioError, match=r"calib_velo_to_cam\.txt: cannot be read"):
        preparer.run("kitti", depth="velodyne")
