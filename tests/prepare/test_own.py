"""Data sets of one's own: what dataset.yaml says is what is stored, and mistakes are named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from symbio.errors import SymbioError
from symbio.prepare.layout import open_plan
from tests.prepare.own_files import PATTERNS, SCALE, room, write_dataset_file, write_frames
from tests.prepare.preparing import Prepared, Preparer, section

CHANGES = {"val_share": 0.34}


def _prepared(preparer: Preparer, values: dict[str, Any] | None = None, **changes: Any) -> Prepared:
    write_dataset_file(preparer.raw, values)
    return preparer.run("mine", **{**CHANGES, **changes})


def _changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    values = copy.deepcopy(PATTERNS)
    change(values)
    return values


def test_frames_found_by_patterns_are_stored_as_they_are(preparer: Preparer) -> None:
    write_frames(preparer.raw)
    found = _prepared(preparer)
    assert {split: len(keys) for split, keys in found.splits.items()} == {
        "train": 6, "val": 3, "test": 3,
    }  # fmt: skip
    header = found.index["header"]
    assert header["label_space"] == "names:1=wall,2=floor,7=gizmo"
    assert header["classes_without_ade20k"] == ["gizmo"]
    assert header["depth_scale"] == SCALE
    assert header["focal_of_width"] == pytest.approx(60 / 64)
    # Of whole scenes, as for any data set.
    assert len({found.info(key)["scene"] for key in found.splits["val"]}) == 1
    image, metres, labels = room(1001)
    key = "test-room_0-001_rgb"
    assert np.array_equal(found.pixels(key, "image"), image)
    assert np.array_equal(found.pixels(key, "truth"), labels)
    stored = found.pixels(key, "depth").astype(int)
    # The hole and the value that means no measurement are both 0 now.
    assert (stored[0, :2] == 0).all()
    stored[0, :2] = np.rint(metres[0, :2] * SCALE)
    assert np.array_equal(stored, np.rint(metres * SCALE))
    assert found.info(key)["intrinsics"] == [60.0, 60.0, 31.5, 23.5]
    classes = found.report["splits"]["test"]["classes"]
    assert classes["pixels"]["gizmo"] == sum((room(1000 + n)[2] == 7).sum() for n in range(3))
    assert classes["not_scored"] == 0


def test_lists_name_frames_one_by_one(preparer: Preparer) -> None:
    write_frames(preparer.raw)
    for split, frames in {"train": 9, "val": 3, "test": 3}.items():
        lines = []
        for number in range(frames):
            folder = f"{'train' if split == 'val' else split}/room_{number // 3}"
            if (split == "train") == (number < 3) and split != "test":
                continue
            labels = f"{folder}/{number:03d}_labels.png" if number % 2 else "None"
            lines.append(
                f"{folder}/{number:03d}_rgb.png {folder}/depth/{number:03d}.png {labels}\n"
            )
        (preparer.raw / f"{split}.txt").write_text("".join(lines))
    splits = {split: {"list": f"{split}.txt"} for split in ("train", "val", "test")}
    found = _prepared(preparer, {**PATTERNS, "splits": splits}, val_share=0.0)
    assert [len(found.splits[split]) for split in ("train", "val", "test")] == [6, 3, 3]
    assert found.report["splits"]["train"]["frames_with_truth"] == 3
    with pytest.raises(SymbioError, match=r"val_share: must be 0, since .*dataset.yaml names"):
        _prepared(preparer, {**PATTERNS, "splits": splits}, val_share=0.2)


def test_metres_in_npy_are_stored_to_the_millimetre(preparer: Preparer) -> None:
    write_frames(preparer.raw, train=6)
    for path in sorted(preparer.raw.glob("*/*/depth/*.png")):
        metres = np.asarray(Image.open(path)).astype(np.float32) / SCALE
        metres[metres > 20] = np.inf
        metres[1, 1] = np.nan
        metres[2, 2] = -1.0
        np.save(path.with_suffix(".npy"), metres)
        path.unlink()

    def to_npy(values: dict[str, Any]) -> None:
        values["depth"] = {"range": [0.5, 12.0]}
        for files in values["splits"].values():
            files["depth"] = files["depth"].replace(".png", ".npy")

    found = _prepared(preparer, _changed(to_npy))
    assert found.index["header"]["depth_scale"] == 1000
    stored = found.pixels("test-room_0-001_rgb", "depth")
    metres = room(1001)[1]
    holes = stored == 0
    assert np.flatnonzero(holes).tolist() == [0, 1, 65, 130]
    # Written as units of 0.5 mm, stored as units of 1 mm.
    assert np.abs(stored / 1000 - metres)[~holes].max() <= 0.00076


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(splitz={}), r"dataset.yaml: .*\n.*splitz: unknown key.*'splits'"),
        (lambda v: v["depth"].pop("range"), r"depth.range: missing"),
        (lambda v: v["depth"].update(scale=0), r"depth.scale: .*\(found 0\)"),
        (lambda v: v["depth"].update(scale=100000), r"depth.scale"),
        (lambda v: v["depth"].update(range=[0.5, 40]), r"range ends at 40 m, but 16 bits hold 32"),
        (lambda v: v["splits"]["test"].update(image="../{frame}.png"), r"must be a path below"),
        (lambda v: v["splits"]["test"].update(depth="/d/{frame}.png"), r"must be a path below"),
        (lambda v: v["splits"]["test"].update(depth="d/{id}.png"), r"'\{id\}' in .*allowed"),
        (lambda v: v["splits"]["test"].update(depth="d.png"), r"has no \{frame\}"),
        (lambda v: v["splits"].pop("test"), r"splits.test: missing"),
        (lambda v: v["splits"]["test"].update(list="a.txt"), r"give list, or image and depth"),
        (lambda v: v["labels"].update(names={1: "a=b"}), r"labels: names: class 1: 'a=b'"),
        (lambda v: v["labels"].update(names={1: "Wall", 2: "wall"}), r"capital letters only"),
        (lambda v: v["labels"].update(space="ade20k"), r"give space, or names"),
        (lambda v: v.pop("labels"), r"say what their ids mean: labels.space"),
    ],
)
def test_a_wrong_dataset_file_is_told_by_key(
    preparer: Preparer, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(SymbioError, match=message) as told:
        _prepared(preparer, _changed(change))
    assert str(preparer.raw / "dataset.yaml") in str(told.value)
    assert preparer.nothing_written()


def _no_depth(raw: Path) -> None:
    (raw / "train/room_1/depth/004.png").unlink()


def _eight_bits(raw: Path) -> None:
    Image.new("L", (64, 48), 9).save(raw / "train/room_1/depth/004.png")


def _strange_label(raw: Path) -> None:
    Image.new("L", (64, 48), 3).save(raw / "train/room_1/004_labels.png")


def _another_unit(raw: Path) -> None:
    Image.fromarray(np.full((48, 64), 200, np.uint16)).save(raw / "train/room_1/depth/004.png")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_depth, r"1 files of the 9 .*no file train/room_1/depth/004.png"),
        (_eight_bits, r"train/room_1/depth/004.png: expected a single-channel 16-bit"),
        (_strange_label, r"train/room_1/004_labels.png: class ids \[3\]"),
        (_another_unit, r"004.png: its median depth is 0.1 m, but depth.range .* 0.5 to 12 m"),
    ],
)
def test_wrong_files_are_refused_by_name(
    preparer: Preparer, damage: Callable[[Path], None], message: str
) -> None:
    write_frames(preparer.raw)
    damage(preparer.raw)
    with pytest.raises(SymbioError, match=r"(?s)" + message):
        _prepared(preparer)
    assert preparer.nothing_written()


def test_a_list_that_leads_out_of_the_folder_is_refused(preparer: Preparer) -> None:
    write_frames(preparer.raw)
    (preparer.raw / "test.txt").write_text("test/room_0/000_rgb.png ../secret.png\n")
    values = _changed(lambda v: v["splits"].update(test={"list": "test.txt"}))
    with pytest.raises(SymbioError, match=r"test.txt, line 1: '../secret.png' is not below"):
        _prepared(preparer, values)


def test_a_plan_that_is_not_strict_goes_on_and_tells_everything(preparer: Preparer) -> None:
    write_frames(preparer.raw)
    _no_depth(preparer.raw)
    line = "train/room_0/000_rgb.png train/room_0/depth/000.png\n"
    (preparer.raw / "test.txt").write_text(line + "/a.png b.png\n")
    write_dataset_file(
        preparer.raw, _changed(lambda v: v["splits"].update(test={"list": "test.txt"}))
    )
    with open_plan("mine", section("mine"), preparer.raw, strict=False) as plan:
        assert [(m.split, m.kind, m.source) for m in plan.missing] == [
            ("train", "depth", "train/room_1/depth/004.png")
        ]
        outside, twice = plan.problems
        assert "'/a.png' is not below" in outside
        assert "000_rgb.png is in train and again in test" in twice
        assert len(plan.entries) == 8


def test_a_folder_without_dataset_file_says_what_to_do(preparer: Preparer) -> None:
    with pytest.raises(SymbioError, match=r"custom.mine.raw: 'raw': no file dataset.yaml"):
        preparer.run("mine", **CHANGES)
