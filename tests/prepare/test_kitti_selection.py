"""KITTI's official selection for validation as the test set."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from symbio.errors import SymbioError
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer

FOLDER = "depth_selection/val_selection_cropped"
KEYS = [f"2011_09_26_drive_0002_sync-{camera}-0000000005" for camera in ("02", "03")]


def _official(preparer: Preparer, *drives: str) -> None:
    official.kitti(preparer.raw)
    official.kitti_selection(preparer.raw, drives or ("2011_09_26_drive_0002",))
    (preparer.raw / official.KITTI_TEST).unlink()


def test_selection_is_the_test_set_where_there_is_no_test_list(preparer: Preparer) -> None:
    _official(preparer)
    prepared = preparer.run("kitti")
    assert prepared.splits["test"] == KEYS
    header = prepared.index["header"]
    assert header["lists"]["test"] == {"folder": FOLDER, "frames": 2}
    for key in KEYS:
        end = f"0000000005_image_{key[27:29]}.png"
        path = preparer.raw / FOLDER / "groundtruth_depth"
        written = np.asarray(Image.open(path / f"{key[:26]}_groundtruth_depth_{end}"))
        assert np.array_equal(prepared.pixels(key, "depth"), written)
        assert prepared.info(key)["intrinsics"] == [721.5377, 721.5377, 596.5593, 149.854]


def test_selection_may_be_named_beside_a_test_list(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    official.kitti_selection(preparer.raw)
    assert preparer.run("kitti").splits["test"] != KEYS
    assert preparer.run("kitti", test_list=FOLDER).splits["test"] == KEYS


def test_eigen_training_drives_of_the_selection_are_refused(preparer: Preparer) -> None:
    """Five of its thirteen drives are in the Eigen training list."""
    _official(preparer, "2011_09_26_drive_0002", "2011_09_26_drive_0005")
    with pytest.raises(
        SymbioError,
        match=r"1 drives are in both.*2011_09_26_drive_0005_sync.*the official depth split overlap",
    ):
        preparer.run("kitti")
    assert preparer.nothing_written()


def test_picture_without_its_depth_map_is_named(preparer: Preparer) -> None:
    _official(preparer)
    name = "2011_09_26_drive_0002_sync_groundtruth_depth_0000000005_image_03.png"
    (preparer.raw / FOLDER / "groundtruth_depth" / name).unlink()
    with pytest.raises(SymbioError, match=rf"1 files of the 2 listed .*\n.*no file {name}"):
        preparer.run("kitti")


def test_picture_of_another_name_is_refused(preparer: Preparer) -> None:
    _official(preparer)
    official.save(preparer.raw / FOLDER / "image/0000000005.png", official.image(1, 24, 80))
    with pytest.raises(SymbioError, match=r"0000000005\.png: is not named"):
        preparer.run("kitti")


def test_garbled_intrinsics_are_named(preparer: Preparer) -> None:
    _official(preparer)
    path = preparer.raw / FOLDER / "intrinsics"
    (path / "2011_09_26_drive_0002_sync_image_0000000005_image_02.txt").write_text("1 2 3")
    with pytest.raises(SymbioError, match=r"image_02\.txt: has 3 numbers, expected 9"):
        preparer.run("kitti")
