"""Broken and wrong files are refused with their name, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symbio.errors import SymbioError
from symbio.prepare.encode import encode
from symbio.prepare.entry import Entry, Picture, RawFrame
from symbio.prepare.statistics import quantile
from symbio.prepare.units import UnitCheck
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer

SIZE = (48, 64)
RGB = "sync/kitchen_0028a/rgb_00007.jpg"
DEPTH = "sync/kitchen_0028a/sync_depth_00007.png"


def _refused(preparer: Preparer, said: str, dataset: str = "nyu") -> None:
    with pytest.raises(SymbioError, match=said):
        preparer.run(dataset)
    assert preparer.nothing_written()


@pytest.fixture
def nyu(preparer: Preparer) -> Preparer:
    official.nyu_sync(preparer.raw)
    return preparer


def _cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("name", [RGB, DEPTH])
def test_truncated_picture(nyu: Preparer, name: str) -> None:
    _cut(nyu.raw / name)
    _refused(nyu, rf"{name}: cannot be decoded")


def test_truncated_png_image(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    rgb, _ = official.kitti_paths("2011_09_26_drive_0001", 5)
    _cut(preparer.raw / rgb)
    _refused(preparer, rf"{rgb}: cannot be decoded", "kitti")


def test_empty_picture(nyu: Preparer) -> None:
    (nyu.raw / RGB).write_bytes(b"")
    _refused(nyu, rf"{RGB}: is neither PNG nor JPEG")


def test_depth_of_8_bits(nyu: Preparer) -> None:
    official.save(nyu.raw / DEPTH, np.full(SIZE, 9, np.uint8))
    _refused(nyu, rf"{DEPTH}: expected a single-channel 16-bit depth PNG, found mode 'L'")


def test_depth_in_colour(nyu: Preparer) -> None:
    official.save(nyu.raw / DEPTH, official.image(1, *SIZE))
    _refused(nyu, rf"{DEPTH}: .*found mode 'RGB'")


def test_depth_as_jpeg(nyu: Preparer) -> None:
    (nyu.raw / DEPTH).write_bytes((nyu.raw / RGB).read_bytes())
    _refused(nyu, rf"{DEPTH}: is no PNG")


def test_cmyk_image(nyu: Preparer) -> None:
    Image.new("CMYK", (64, 48)).save(nyu.raw / RGB)
    _refused(nyu, rf"{RGB}: expected an 8-bit RGB image, found mode 'CMYK'")


def test_image_of_16_bits_a_channel(nyu: Preparer) -> None:
    import cv2

    picture = np.full((*SIZE, 3), 40000, np.uint16)
    _, data = cv2.imencode(".png", picture)
    (nyu.raw / RGB).write_bytes(data.tobytes())
    _refused(nyu, rf"{RGB}: expected an 8-bit RGB image, found 16 bits")


def test_image_turned_by_exif(nyu: Preparer) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    official.save(nyu.raw / RGB, official.image(2, *SIZE), exif=exif)
    _refused(nyu, rf"{RGB}: its EXIF tag turns the picture \(orientation 6\)")


def test_image_and_depth_of_two_sizes(nyu: Preparer) -> None:
    official.save(nyu.raw / DEPTH, official.depth(1, (24, 32), 900, 9000))
    _refused(nyu, rf"{RGB} is 48x64, but .*{DEPTH} is 24x32 \(height x width\)")


@pytest.mark.parametrize(("scale", "found"), [(0.001, "0.00"), (5.0, "2[0-9]")])
def test_nyu_depth_in_another_unit(nyu: Preparer, scale: float, found: str) -> None:
    """Metres as integers, and the 5000 a metre of another data set."""
    for path in nyu.raw.rglob("sync_depth_*.png"):
        values = np.asarray(Image.open(path)).astype(float) * scale
        official.save(path, np.minimum(np.ceil(values), 65535).astype(np.uint16))
    _refused(nyu, rf"rgb_.*median depth is {found}.* m, expected .*another unit")


@pytest.mark.parametrize(("scale", "found"), [(1 / 256, "0.1"), (1000 / 256, "1[0-9][0-9]")])
def test_kitti_depth_in_another_unit(preparer: Preparer, scale: float, found: str) -> None:
    """Metres as integers (division by 256 forgotten), and millimetres."""
    official.kitti(preparer.raw)
    for path in preparer.raw.rglob("groundtruth/**/*.png"):
        values = np.asarray(Image.open(path)).astype(float) * scale
        official.save(path, np.minimum(np.ceil(values), 65535).astype(np.uint16))
    _refused(preparer, rf"median depth .*is {found}.* m, expected .*another unit", "kitti")


def test_wrong_unit_is_noticed_early_in_a_large_set() -> None:
    """12 m is possible in one frame, but is not what is typical of rooms."""
    picture = np.full(SIZE, 12_000, np.uint16)
    frame = RawFrame(Picture(official.image(0, *SIZE), "i"), Picture(picture, "d"), None, {})
    encoded = encode(Entry("k", "train", "s", "first.png", lambda _: frame), "nyu894", False)
    check, median = UnitCheck("nyu", 1000), quantile(encoded.depth_counts, 0.5)
    for _ in range(31):
        check.add(encoded.entry.source, median)
    with pytest.raises(SymbioError, match=r"first\.png and others: .*32 frames is 12 m"):
        check.add(encoded.entry.source, median)


def test_same_picture_in_two_splits_also_in_another_format(nyu: Preparer) -> None:
    picture = np.asarray(Image.open(nyu.raw / RGB))
    (nyu.raw / "official_splits/test/study/rgb_00005.jpg").write_bytes(official.png(picture))
    _refused(nyu, r"study/rgb_00005.jpg of split test holds the same pixels as .*rgb_00007")


def test_same_picture_compressed_again_is_reported(nyu: Preparer) -> None:
    smooth = np.indices(SIZE).sum(0)[..., None].repeat(3, 2).astype(np.uint8) * 2
    official.save(nyu.raw / RGB, smooth, quality=95)
    other = "official_splits/test/study/rgb_00005.jpg"
    official.save(nyu.raw / other, smooth, quality=80)
    report = nyu.run("nyu").report
    assert len(report["lookalikes"]) == 1
    assert RGB in report["lookalikes"][0]
    assert other in report["lookalikes"][0]


def test_training_frame_without_depth_is_left_out_and_counted(nyu: Preparer) -> None:
    # 10.000 m is the sensor's saturation: not inside (0.001, 10).
    official.save(nyu.raw / DEPTH, np.full(SIZE, 10000, np.uint16))
    prepared = nyu.run("nyu")
    assert "kitchen_0028a-00007" not in prepared.index["frames"]
    (skipped,) = prepared.report["skipped"]
    assert skipped["source"] == RGB
    assert skipped["reason"] == "no depth measurement between 0.001 and 10 m"


def test_test_frame_without_depth_is_kept_for_the_evaluation_to_count(nyu: Preparer) -> None:
    path = nyu.raw / "official_splits/test/study/sync_depth_00005.png"
    official.save(path, np.zeros(SIZE, np.uint16))
    prepared = nyu.run("nyu")
    assert "study-00005" in prepared.splits["test"]
    assert prepared.report["splits"]["test"]["frames_without_depth"] == 1


def test_no_training_frame_with_depth(nyu: Preparer) -> None:
    for path in (nyu.raw / "sync").rglob("sync_depth_*.png"):
        official.save(path, np.zeros(SIZE, np.uint16))
    _refused(nyu, r"no frame of split 'train' is left \(\d left out: .*no depth measurement")


def test_missing_raw_folder_says_where_files_come_from(preparer: Preparer) -> None:
    preparer.raw.rmdir()
    _refused(preparer, r"nyu\.raw: no folder .*New York\s+University")
    _refused(preparer, r"kitti\.raw: no folder .*KITTI Vision Benchmark Suite", "kitti")


def test_folder_with_other_files_says_what_is_expected_and_found(preparer: Preparer) -> None:
    (preparer.raw / "holiday.jpg").write_bytes(b"")
    _refused(preparer, r"expected nyu_depth_v2_labeled\.mat with splits\.mat.*found holiday\.jpg")
    _refused(preparer, r"expected drives .*eigen_train.*found holiday\.jpg", "kitti")


def test_list_named_by_params_must_be_there(nyu: Preparer) -> None:
    with pytest.raises(SymbioError, match=r"nyu\.test_list: no file .*mine\.txt"):
        nyu.run("nyu", test_list="mine.txt")


def test_layout_of_the_other_data_set(preparer: Preparer) -> None:
    official.kitti(preparer.raw)
    with pytest.raises(SymbioError, match=r"kitti\.layout: 'sync' was found, allowed: auto or ann"):
        preparer.run("kitti", layout="sync")


def test_empty_and_binary_lists(nyu: Preparer) -> None:
    path = nyu.raw / official.NYU_TEST
    path.write_text("\n \n")
    _refused(nyu, rf"{official.NYU_TEST}: the list is empty")
    path.write_bytes(b"\xff\xfe\x00k")
    _refused(nyu, rf"{official.NYU_TEST}: is not a UTF-8 text file")


def test_a_failed_run_keeps_the_earlier_result(nyu: Preparer) -> None:
    before = nyu.run("nyu").bytes()
    _cut(nyu.raw / DEPTH)
    with pytest.raises(SymbioError):
        nyu.run("nyu")
    assert {p.name: p.read_bytes() for p in nyu.out.iterdir()} == before
    assert [p.name for p in nyu.out.parent.iterdir()] == ["prepared"]
