"""KITTI's lists in the forms of BTS, GLPDepth, Depth Anything V2 and monodepth2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symbio.errors import SymbioError
from symbio.prepare.findings import Findings
from symbio.prepare.kitti_frames import read_frames
from symbio.prepare.lists import read_list
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer

FIRST = "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000005.png"
MAP = "2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/0000000005.png"


def _slashes(image: str, depth: str, folder: str) -> str:
    return f"/{image} {depth if depth == 'None' else '/' + depth} 721.5377"


def _glpdepth(image: str, depth: str, folder: str) -> str:
    return f"/raw/{image} /data_depth_annotated/{folder}/{depth}"


def _depth_anything(image: str, depth: str, folder: str) -> str:
    return f"/mnt/me/Kitti/raw_data/{image} /mnt/me/Kitti/data_depth_annotated/{folder}/{depth}"


def _monodepth2(image: str, depth: str, folder: str) -> str:
    parts = image.split("/")
    return f"{parts[0]}/{parts[1]} {parts[-1][:10]} l"


def _monodepth2_short(image: str, depth: str, folder: str) -> str:
    parts = image.split("/")
    return f"{parts[0]}/{parts[1]} {int(parts[-1][:10])} l"


FORMS = [_slashes, _glpdepth, _depth_anything, _monodepth2, _monodepth2_short]


def _rewrite(raw: Path, form: Callable[[str, str, str], str]) -> None:
    """Write both lists anew; GLPDepth and Depth Anything leave frames without depth out."""
    for name in (official.KITTI_TRAIN, official.KITTI_TEST):
        lines = []
        for line in (raw / name).read_text().splitlines():
            image, depth, _ = line.split()
            there = (raw / "data_depth_annotated/train" / depth).is_file()
            if depth == "None" and form in (_glpdepth, _depth_anything):
                continue
            lines.append(form(image, depth, "train" if there else "val"))
        (raw / name).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_frames(
    preparer: Preparer, form: Callable[[str, str, str], str]
) -> None:
    official.kitti(preparer.raw)
    expected = preparer.run("kitti").frames()
    _rewrite(preparer.raw, form)
    assert preparer.run("kitti").frames() == expected


def test_frames_at_the_ends_of_a_drive_have_no_map(preparer: Preparer) -> None:
    """monodepth2's lists name them all the same."""
    official.kitti(preparer.raw)
    _rewrite(preparer.raw, _monodepth2)
    (skipped,) = preparer.run("kitti").report["skipped"]
    assert skipped["source"].endswith("0002_sync/image_02/data/0000000000.png")
    assert "none of this frame" in skipped["reason"]


def test_a_drive_without_any_map_is_missing(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    _rewrite(preparer.raw, _monodepth2)
    for path in (preparer.raw / "data_depth_annotated").glob("*/*_0005_sync/**/*.png"):
        path.unlink()
    with pytest.raises(SymbioError, match="2 files of the 6 listed frames are missing"):
        preparer.run("kitti")


def test_the_right_camera_has_images_maps_and_calibration_of_its_own(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    calibration = preparer.raw / "2011_09_26/calib_cam_to_cam.txt"
    line = "P_rect_03: 7.0e+02 0 6.0e+02 -339.5 0 7.0e+02 1.7e+02 2.2 0 0 1 0\n"
    calibration.write_text(official.CALIBRATION + line)
    for path in (FIRST, f"data_depth_annotated/train/{MAP}"):
        left = preparer.raw / path
        right = preparer.raw / path.replace("image_02", "image_03")
        pixels = np.asarray(Image.open(left))
        official.save(right, pixels[:, ::-1].copy())
    _rewrite(preparer.raw, _monodepth2)
    path = preparer.raw / official.KITTI_TRAIN
    path.write_text(path.read_text() + "2011_09_26/2011_09_26_drive_0001_sync 0000000005 r\n")
    prepared = preparer.run("kitti")
    left, right = (f"2011_09_26_drive_0001_sync-{camera}-0000000005" for camera in ("02", "03"))
    assert np.array_equal(prepared.pixels(right, "depth"), prepared.pixels(left, "depth")[:, ::-1])
    assert prepared.info(right)["intrinsics"] == [700, 700, 600, 170]


def test_images_converted_to_jpeg_are_found(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    _rewrite(preparer.raw, _monodepth2)
    image = Image.open(preparer.raw / FIRST)
    image.save((preparer.raw / FIRST).with_suffix(".jpg"))
    (preparer.raw / FIRST).unlink()
    info = preparer.run("kitti").info("2011_09_26_drive_0001_sync-02-0000000005")
    assert info["source"] == FIRST.replace(".png", ".jpg")


def test_map_of_another_frame_is_refused(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    path = preparer.raw / official.KITTI_TRAIN
    path.write_text(
        path.read_text().replace("image_02/0000000005.png 7", "image_02/0000000006.png 7")
    )
    with pytest.raises(SymbioError, match="line 1: the depth map .* belongs to another frame"):
        preparer.run("kitti")


def test_lists_are_found_where_their_code_keeps_them(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    expected = preparer.run("kitti").splits
    _rewrite(preparer.raw, _monodepth2)
    for name, target in (
        (official.KITTI_TRAIN, "splits/eigen_zhou/train_files.txt"),
        (official.KITTI_TEST, "splits/eigen/test_files.txt"),
    ):
        (preparer.raw / target).parent.mkdir(parents=True)
        (preparer.raw / name).rename(preparer.raw / target)
    assert preparer.run("kitti").splits == expected


@pytest.mark.parametrize(
    "line",
    [
        "2011_09_26/2011_09_26_drive_0001_sync 0000000005 x",
        "2011_09_26/2011_09_26_drive_0001_sync 0000000005",
        "2011_09_26/2011_09_28_drive_0001_sync 0000000005 l",
        "2011_09_26_drive_0001_sync 0000000005 l",
    ],
)
def test_lines_of_no_form_are_noted(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(f"{line}\n{FIRST} {MAP}\n")
    findings = Findings(strict=False)
    (frame,) = read_frames(read_list(tmp_path / "list.txt"), findings)
    assert frame.place.frame == "0000000005"
    assert len(findings.problems) == 1
    assert "list.txt, line 1" in findings.problems[0]
