"""What is planted in a raw folder is found, named, and nothing else is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from symbio.check.check import check
from symbio.check.checked import Checked
from symbio.check.finding import NOTES, WRONG, Finding, by_kind
from symbio.errors import SymbioError
from tests.check.planting import DAMAGE, SIZE, nyu
from tests.prepare import official_files as official
from tests.prepare import own_files as own
from tests.prepare.preparing import Preparer, section

COUNTS = "number of frames"
"""Of every small set: it has not as many frames as the published one."""


def _check(raw: Path, dataset: str = "nyu", **changes: object) -> Checked:
    return check(section(dataset, **changes), dataset, raw, workers=2)


def _found(checked: Checked) -> dict[str, list[Finding]]:
    found = by_kind(checked.findings)
    del found[COUNTS]
    return found


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_prepare_refuses_what_is_called_wrong(
    tmp_path: Path, name: str
) -> None:
    kind, plant = DAMAGE[name]
    preparer = Preparer(tmp_path)
    damaged = plant(nyu(preparer.raw, train=6)[3])
    checked = _check(preparer.raw)

    found = _found(checked)
    assert list(found) == [kind]
    (finding,) = found[kind]
    assert damaged.as_posix().endswith(finding.file)
    assert not Path(finding.file).is_absolute()
    assert str(tmp_path) not in finding.what
    assert checked.fine == (kind in NOTES)
    if kind in WRONG and kind != "8-bit depth":
        with pytest.raises(SymbioError, match=damaged.stem.split("_")[-1]):
            preparer.run("nyu")


def test_all_damage_at_once_in_one_pass(tmp_path: Path) -> None:
    frames = nyu(tmp_path, train=2 * len(DAMAGE) + 2)
    planted = {
        (kind, plant(frames[2 * place]).relative_to(tmp_path).as_posix())
        for place, (kind, plant) in enumerate(DAMAGE.values())
    }
    tested = f"official_splits/test/kitchen/rgb_{len(frames):05d}.jpg"
    shutil.copy(frames[-1].image, frames[-2].image)
    shutil.copy(frames[-1].image, tmp_path / tested)
    twice = {
        ("picture twice", frames[-1].image.relative_to(tmp_path).as_posix()),
        ("picture in two splits", tested),
    }
    checked = _check(tmp_path, val_share=0.0)
    found = {
        (finding.kind, next(file for _, file in planted | twice if file.endswith(finding.file)))
        for group in _found(checked).values()
        for finding in group
    }
    assert found == planted | twice
    read = sum(split["frames"] for split in checked.splits.values())
    stopped = {"missing file", "broken file", "wrong format", "sizes differ"}
    assert read == len(frames) + 3 - sum(kind in stopped for kind, _ in DAMAGE.values())


def test_every_broken_file_of_one_frame_is_named(tmp_path: Path) -> None:
    frame = nyu(tmp_path, train=4)[1]
    frame.image.write_bytes(b"")
    frame.depth.write_bytes(b"")
    found = _found(_check(tmp_path))
    names = [Path(finding.file).name for finding in found["broken file"]]
    assert names == [frame.image.name, frame.depth.name]


@pytest.mark.parametrize(
    ("times", "looks_like"), [(256 / 1000, "1/256 m, as KITTI"), (5.0, "1/5000 m, as TUM")]
)
def test_a_set_in_another_unit_says_which_it_looks_like(
    tmp_path: Path, times: float, looks_like: str
) -> None:
    for frame in nyu(tmp_path, train=6):
        stored = official.depth(1, SIZE, 1500, 2900) * times
        official.save(frame.depth, stored.astype(np.uint16))
    found = _found(_check(tmp_path))["depth unit"]
    assert looks_like in found[-1].what


@pytest.mark.parametrize(
    ("times", "said"), [(1 / 256, "looks like whole metres"), (1000 / 256, "millimetres, as NYU")]
)
def test_kitti_in_metres_and_in_millimetres(tmp_path: Path, times: float, said: str) -> None:
    """The 256 forgotten, and NYU's unit."""
    official.kitti(tmp_path)
    for path in tmp_path.rglob("groundtruth/**/*.png"):
        stored = official.depth(len(path.stem), (24, 80), 12 * 256, 18 * 256) * times
        official.save(path, np.ceil(stored).astype(np.uint16))
    assert said in _found(_check(tmp_path, "kitti"))["depth unit"][-1].what


def test_eight_bits_of_metres_in_the_whole_set(tmp_path: Path) -> None:
    size = (480, 640)
    nyu(tmp_path, train=4, test=1, size=size)
    for number, path in enumerate(tmp_path.rglob("sync_depth_*.png")):
        eight = official.depth(number, size, 23, 230)
        official.save(path, (eight * 1000.0 / 25.5).astype(np.uint16))
    (finding,) = _found(_check(tmp_path))["8-bit depth"]
    assert (finding.file, finding.split) == ("all frames", "")


def test_drives_of_both_lists_and_lines_that_are_no_path(tmp_path: Path) -> None:
    official.kitti(tmp_path)
    official.kitti_semantics(tmp_path)
    assert set(_found(_check(tmp_path, "kitti"))) <= {"labels empty"}
    with (tmp_path / official.KITTI_TEST).open("a") as file:
        file.write(" ".join(official.kitti_paths("2011_09_26_drive_0001", 5)) + "\n")
    with (tmp_path / official.KITTI_TRAIN).open("a") as file:
        file.write("some/picture.png some/depth.png 721.5\n")
    checked = _check(tmp_path, "kitti")
    said = " ".join(finding.what for finding in _found(checked)["list"])
    assert "2011_09_26_drive_0001_sync" in said
    assert "some/picture.png" in said
    assert _found(checked)["picture in two splits"]


def test_classes_outside_the_label_space_and_labels_of_nothing(tmp_path: Path) -> None:
    official.kitti(tmp_path)
    official.kitti_semantics(tmp_path)
    labels = tmp_path / "data_semantics/training/semantic/000001_10.png"
    official.save(labels, np.full((24, 80), 77, np.uint8))
    (finding,) = _found(_check(tmp_path, "kitti"))["class ids"]
    assert labels.as_posix().endswith(finding.file)
    official.save(labels, np.zeros((24, 80), np.uint8))
    checked = _check(tmp_path, "kitti")
    assert list(_found(checked)) == ["labels empty"]
    assert checked.fine


def test_scenes_of_both_splits_of_the_labelled_file_are_noted(tmp_path: Path) -> None:
    official.nyu_labelled(tmp_path)
    assert not _found(_check(tmp_path))
    official.write_splits(tmp_path / "splits.mat", [1, 4, 5, 6], [2, 3])
    (finding,) = _found(_check(tmp_path))["scene in two splits"]
    assert finding.file == "bath_0001"


def test_counts_beside_the_published_ones(tmp_path: Path) -> None:
    nyu(tmp_path, train=4)
    checked = _check(tmp_path)
    said = {finding.split: finding.what for finding in by_kind(checked.findings)[COUNTS]}
    assert "4 frames" in said["train"]
    assert "24231" in said["train"]
    assert "654" in said["test"]


def test_neither_threads_nor_order_change_what_is_found(tmp_path: Path) -> None:
    frames = nyu(tmp_path, train=12)
    for place, name in enumerate(("image cut", "metres", "no depth")):
        DAMAGE[name][1](frames[3 * place])
    one, many = (check(section("nyu"), "nyu", tmp_path, workers=n) for n in (1, 4))
    assert one.findings == many.findings
    assert one.splits == many.splits


def test_data_of_ones_own(tmp_path: Path) -> None:
    own.write_frames(tmp_path)
    own.write_dataset_file(tmp_path)
    params = section("nyu", layout="custom", depth_range=(0.5, 12.0))
    for folder in (tmp_path / "test").iterdir():
        folder.rename(folder.with_name(f"other_{folder.name}"))
    checked = check(params, "mine", tmp_path, workers=2)
    assert checked.findings == []
    assert [checked.splits[split]["frames"] for split in ("train", "val", "test")] == [6, 3, 3]

    labels = tmp_path / "test/other_room_0/001_labels.png"
    official.save(labels, np.full(own.SIZE, 3, np.uint8))
    (tmp_path / "train/room_1/depth/004.png").unlink()
    found = by_kind(check(params, "mine", tmp_path, workers=2).findings)
    assert {kind: [f.file for f in group] for kind, group in found.items()} == {
        "missing file": ["train/room_1/depth/004.png"],
        "class ids": ["test/other_room_0/001_labels.png"],
    }
