"""A plan that is not strict goes on past everything that a strict one would raise."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from symbio.errors import SymbioError
from symbio.prepare.entry import Plan
from symbio.prepare.known import KNOWN, recognised
from symbio.prepare.layout import LAYOUTS, open_plan
from tests.prepare import official_files as official
from tests.prepare.preparing import section


def _plan(raw: Path, dataset: str, **changes: Any) -> Plan:
    with open_plan(dataset, section(dataset, **changes), raw, strict=False) as plan:
        return plan


def _refused(raw: Path, dataset: str, said: str, **changes: Any) -> None:
    with (
        pytest.raises(SymbioError, match=said),
        open_plan(dataset, section(dataset, **changes), raw),
    ):
        pass


def test_whole_folders_have_nothing_to_tell(tmp_path: Path) -> None:
    official.kitti(tmp_path / "kitti")
    official.nyu_sync(tmp_path / "sync")
    official.nyu_labelled(tmp_path / "labelled")
    for folder, dataset in (("kitti", "kitti"), ("sync", "nyu"), ("labelled", "nyu")):
        plan = _plan(tmp_path / folder, dataset)
        assert (plan.missing, plan.problems) == ([], [])


def test_every_missing_file_is_told_with_its_line(tmp_path: Path) -> None:
    official.kitti(tmp_path)
    train = (tmp_path / official.KITTI_TRAIN).read_text().splitlines()
    rgb, gt, _ = train[2].split()
    (tmp_path / rgb).unlink()
    (tmp_path / "data_depth_annotated/val" / gt).unlink()
    (tmp_path / "data_depth_annotated/train" / train[4].split()[1]).unlink()
    plan = _plan(tmp_path, "kitti")
    at = f"{tmp_path / official.KITTI_TRAIN}, line"
    assert sorted((m.split, m.kind, m.source, m.at) for m in plan.missing) == [
        ("train", "depth", gt, f"{at} 3"),
        ("train", "depth", train[4].split()[1], f"{at} 5"),
        ("train", "image", rgb, f"{at} 3"),
    ]
    assert len(plan.entries) == 8 - 2
    _refused(tmp_path, "kitti", "3 files of the 6 listed frames are missing")


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    official.kitti(tmp_path)
    train = tmp_path / official.KITTI_TRAIN
    official.kitti_semantics(tmp_path)
    (tmp_path / "data_semantics/training/semantic/000001_10.png").unlink()
    with (tmp_path / official.KITTI_TEST).open("a") as file:
        file.write(f"some/picture.png depth.png\n{train.read_text().splitlines()[0]}\n")
    plan = _plan(tmp_path, "kitti", depth="filled")
    told = " | ".join(plan.problems)
    assert len(plan.problems) == 4
    for part in (
        "000001_10.png",
        "'filled' was found",
        "line 4: 'some/picture.png",
        "1 drives are in both",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("dataset", "name"), [("kitti", official.KITTI_TEST), ("nyu", official.NYU_TEST)]
)
def test_missing_list_leaves_the_other_split(tmp_path: Path, dataset: str, name: str) -> None:
    (official.kitti if dataset == "kitti" else official.nyu_sync)(tmp_path)
    (tmp_path / name).unlink()
    shutil.rmtree(tmp_path / "official_splits", ignore_errors=True)
    plan = _plan(tmp_path, dataset)
    assert [(m.split, m.kind, m.source, m.at) for m in plan.missing] == [
        ("test", "list", name, str(tmp_path))
    ]
    assert {entry.split for entry in plan.entries} == {"train"}
    _refused(tmp_path, dataset, rf"no test .*{name}")


def test_missing_depth_beside_walked_images(tmp_path: Path) -> None:
    official.nyu_sync(tmp_path)
    (tmp_path / official.NYU_TEST).unlink()
    gone = tmp_path / "official_splits/test/study/sync_depth_00005.png"
    gone.unlink()
    (missing,) = _plan(tmp_path, "nyu").missing
    assert (missing.split, missing.kind, missing.source) == ("test", "depth", gone.name)
    _refused(tmp_path, "nyu", r"rgb_00005\.jpg: no file sync_depth_00005\.png")


def test_totals_of_the_published_splits() -> None:
    """Eigen's test list has 697 frames, of which 45 have no ground truth."""
    assert set(KNOWN) == {layout for layouts in LAYOUTS.values() for layout in layouts}
    eigen = recognised("annotated", "test", 697)
    assert eigen is not None
    assert eigen.used == 697 - 45
    assert recognised("labelled", "train", 795) is not None
    assert recognised("sync", "train", 24231) is not None
    assert recognised("sync", "train", 240) is None
