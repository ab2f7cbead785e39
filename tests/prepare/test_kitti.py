"""KITTI drives, annotated depth, calibration and semantics."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from symbio.errors import SymbioError
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer

SIZES = ((375, 1242), (370, 1224), (374, 1238), (370, 1226), (376, 1241))
KEY = "2011_09_26_drive_0001_sync-02-0000000006"
TEST_KEY = "2011_09_26_drive_0002_sync-02-0000000005"


def test_every_pixel_is_stored_as_it_is(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    prepared = preparer.run("kitti")
    rgb, gt = official.kitti_paths("2011_09_26_drive_0001", 6)
    image = np.asarray(Image.open(preparer.raw / rgb))
    depth = np.asarray(Image.open(preparer.raw / "data_depth_annotated/train" / gt))
    assert np.array_equal(prepared.pixels(KEY, "image"), image)
    assert np.array_equal(prepared.pixels(KEY, "depth"), depth)
    assert prepared.index["header"]["depth_scale"] == 256
    assert prepared.info(KEY)["scene"] == "2011_09_26_drive_0001_sync"
    assert prepared.info(KEY)["intrinsics"] == [721.5377, 721.5377, 609.5593, 172.854]


def test_focal_of_the_list_where_there_is_no_calibration(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    info = preparer.run("kitti").info("2011_09_28_drive_0001_sync-02-0000000005")
    assert info["focal"] == 721.5377
    assert "intrinsics" not in info


def test_frames_without_ground_truth_are_counted_and_left_out(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    prepared = preparer.run("kitti")
    assert prepared.splits["test"] == [TEST_KEY, TEST_KEY[:-1] + "6"]
    assert prepared.report["skipped"] == [
        {
            "split": "test",
            "source": official.kitti_paths("2011_09_26_drive_0002", 0)[0],
            "reason": "the list gives no depth",
        }
    ]


@pytest.mark.parametrize("place", ["train", "val", "merged", "date", "root"])
def test_ground_truth_is_found_wherever_people_put_it(preparer: Preparer, place: str) -> None:
    official.kitti(preparer.raw)
    expected = preparer.run("kitti").bytes()
    annotated = preparer.raw / "data_depth_annotated"
    for folder in [p for split in ("train", "val") for p in (annotated / split).iterdir()]:
        target = {
            "train": annotated / "train",
            "val": annotated / "val",
            "merged": annotated,
            "date": preparer.raw / folder.name[:10],
            "root": preparer.raw,
        }[place]
        if target != folder.parent:
            # Below its date the drive's own folder already holds the images.
            shutil.copytree(folder, target / folder.name, dirs_exist_ok=True)
            shutil.rmtree(folder)
    assert preparer.run("kitti").bytes() == expected


def test_sizes_are_read_from_the_files(preparer: Preparer) -> None:
    official.kitti(preparer.raw, SIZES)
    prepared = preparer.run("kitti")
    found = {
        (prepared.info(k)["height"], prepared.info(k)["width"]) for k in prepared.index["frames"]
    }
    assert found == set(SIZES)
    for key in prepared.index["frames"]:
        info = prepared.info(key)
        assert prepared.pixels(key, "depth").shape == (info["height"], info["width"])
    sizes = [split["sizes"] for split in prepared.report["splits"].values()]
    assert sum(count for split in sizes for count in split.values()) == 8


def test_depth_keeps_its_16_bits(preparer: Preparer) -> None:
    """Readers that open such files as 8 bits keep 255 values, as signed 16 bits 128 m."""
    official.kitti(preparer.raw)
    _, gt = official.kitti_paths("2011_09_26_drive_0001", 6)
    values = np.full((24, 80), 20 * 256, np.uint16)
    values[0, :4] = 1, 255, 256, 40000
    cv2.imwrite(str(preparer.raw / "data_depth_annotated/train" / gt), values)
    stored = preparer.run("kitti").pixels(KEY, "depth")
    assert np.array_equal(stored.astype(np.int64), values.astype(np.int64))


def test_val_holds_whole_drives(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    prepared = preparer.run("kitti")
    scenes = [{prepared.info(k)["scene"] for k in prepared.splits[s]} for s in ("train", "val")]
    assert scenes[0] & scenes[1] == set()
    assert len(scenes[1]) == 1


def test_drive_in_both_lists_is_refused_by_name(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    test_list = preparer.raw / official.KITTI_TEST
    first = (preparer.raw / official.KITTI_TRAIN).read_text().splitlines()[0]
    test_list.write_text(test_list.read_text() + first + "\n")
    with pytest.raises(SymbioError, match=r"1 drives are in both.*2011_09_26_drive_0001_sync"):
        preparer.run("kitti")
    assert preparer.nothing_written()


def test_missing_image_is_named_with_its_line(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    rgb, _ = official.kitti_paths("2011_09_26_drive_0005", 5)
    (preparer.raw / rgb).unlink()
    with pytest.raises(SymbioError, match=rf"{official.KITTI_TRAIN}, line 3: no file {rgb}"):
        preparer.run("kitti")


def test_line_of_another_form_is_named(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    with (preparer.raw / official.KITTI_TEST).open("a") as file:
        file.write("some/picture.png some/depth.png\n")
    with pytest.raises(SymbioError, match=r"line 4: 'some/picture\.png .*' is no path of the form"):
        preparer.run("kitti")


def test_semantics_go_to_the_raw_frame_that_they_show(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    labels = official.kitti_semantics(preparer.raw)
    prepared = preparer.run("kitti")
    assert np.array_equal(prepared.pixels(KEY, "truth"), labels)
    others = [key for key in prepared.index["frames"] if key != KEY]
    assert all("truth.map" not in prepared.members(key) for key in others)
    assert prepared.index["header"]["semantic_frames"] == {"mapped": 1, "in_the_lists": 1}


def test_semantics_without_a_mapping_are_refused(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    official.kitti_semantics(preparer.raw)
    (preparer.raw / "data_semantics/training/mapping.txt").unlink()
    with pytest.raises(SymbioError, match=r"has semantic/ but neither mapping\.txt"):
        preparer.run("kitti")


def test_semantics_of_another_size_are_refused(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    official.kitti_semantics(preparer.raw, size=(20, 80))
    with pytest.raises(SymbioError, match=r"is 24x80, but .*000001_10.png is 20x80"):
        preparer.run("kitti")


def test_mapped_class_ids_of_another_space_are_refused(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    official.kitti_semantics(preparer.raw)
    path = preparer.raw / "data_semantics/training/semantic/000001_10.png"
    official.save(path, np.full((24, 80), 133, np.uint8))
    with pytest.raises(SymbioError, match=r"000001_10.png: class ids \[133\] are outside 0\.\.33"):
        preparer.run("kitti")


def test_unlabelled_255_is_accepted(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    official.kitti_semantics(preparer.raw)
    path = preparer.raw / "data_semantics/training/semantic/000001_10.png"
    official.save(path, np.full((24, 80), 255, np.uint8))
    assert np.unique(preparer.run("kitti").pixels(KEY, "truth")).tolist() == [255]


def test_filled_depth_is_refused(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    with pytest.raises(SymbioError, match=r"kitti\.depth: 'filled'"):
        preparer.run("kitti", depth="filled")


def test_calibration_without_the_camera_is_named(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    (preparer.raw / "2011_09_26/calib_cam_to_cam.txt").write_text("calib_time: 09-Jan-2012\n")
    with pytest.raises(SymbioError, match=r"calib_cam_to_cam\.txt: has no P_rect_02"):
        preparer.run("kitti")
