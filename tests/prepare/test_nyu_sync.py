"""NYU folders of extracted frames with split lists."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from symbio.errors import SymbioError
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer


def test_a_jpeg_keeps_its_bytes_and_depth_its_values(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    prepared = preparer.run("nyu")
    assert prepared.report["header"]["layout"] == "sync"
    folder = preparer.raw / "sync/kitchen_0028b"
    key = "kitchen_0028b-00007"
    assert prepared.members(key)["image.jpg"] == (folder / "rgb_00007.jpg").read_bytes()
    depth = np.asarray(Image.open(folder / "sync_depth_00007.png"))
    assert np.array_equal(prepared.pixels(key, "depth"), depth)
    info = prepared.info(key)
    assert info["focal"] == 518.8579
    assert info["source"] == "sync/kitchen_0028b/rgb_00007.jpg"


def test_val_holds_whole_places(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    prepared = preparer.run("nyu")
    assert prepared.splits["test"] == ["kitchen-00002", "study-00005"]
    scenes = [{prepared.info(k)["scene"] for k in prepared.splits[s]} for s in ("train", "val")]
    assert sorted(map(sorted, scenes)) == [["bathroom_0001"], ["kitchen_0028"]]


def test_blank_lines_and_windows_line_ends_change_nothing(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    plain = preparer.run("nyu").splits
    path = preparer.raw / official.NYU_TRAIN
    lines = path.read_text().splitlines()
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode() + b"\r\n  \r\n")
    assert preparer.run("nyu").splits == plain


def test_missing_file_is_named_with_its_line(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    (preparer.raw / "sync/kitchen_0028a/sync_depth_00000.png").unlink()
    path = preparer.raw / official.NYU_TRAIN
    path.write_text("\n" + path.read_text())
    with pytest.raises(SymbioError) as error:
        preparer.run("nyu")
    assert "1 files of the 6 listed frames are missing" in str(error.value)
    assert f"{path}, line 4: no file kitchen_0028a/sync_depth_00000.png" in str(error.value)
    assert preparer.nothing_written()


def test_short_line_is_named(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    with (preparer.raw / official.NYU_TEST).open("a") as file:
        file.write("kitchen/rgb_00009.jpg\n")
    with pytest.raises(SymbioError, match=r"line 3: expected 2 or more columns"):
        preparer.run("nyu")


def test_third_column_may_be_a_dense_depth_path(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    path = preparer.raw / official.NYU_TRAIN
    path.write_text(path.read_text().replace("518.8579", "").replace(".png", ".png /dense.png"))
    official.save(preparer.raw / "sync/dense.png", np.full((48, 64), 2500, np.uint16))
    raw, filled = preparer.run("nyu"), preparer.run("nyu", depth="filled")
    key = filled.splits["train"][0]
    assert "focal" not in raw.info(key)
    assert np.unique(filled.pixels(key, "depth")).tolist() == [2500]
    # Frames that are scored keep the sensor's depth.
    assert 0 in filled.pixels(filled.splits["test"][0], "depth")


@pytest.mark.parametrize("start", ["", "/sync/", "nyu_depth_v2/sync/"])
def test_paths_of_every_list_lead_to_the_same_frames(preparer: Preparer, start: str) -> None:
    """BTS begins with a slash, iDisc with nothing, others with folders of their own."""
    official.nyu_sync(preparer.raw)
    expected = preparer.run("nyu").frames()
    path = preparer.raw / official.NYU_TRAIN
    assert path.read_text().startswith("/bathroom_0001/rgb_00000.jpg /bathroom_0001/")
    path.write_text(path.read_text().replace(" /", f" {start}").replace("\n/", f"\n{start}")[1:])
    assert preparer.run("nyu").frames() == expected


def test_depth_of_training_frames_is_recorded(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    path = preparer.raw / official.NYU_TRAIN
    path.write_text(path.read_text().replace("518.8579", "").replace(".png", ".png /dense.png"))
    official.save(preparer.raw / "sync/dense.png", np.full((48, 64), 2500, np.uint16))
    for depth in ("raw", "filled"):
        assert preparer.run("nyu", depth=depth).index["header"]["train_depth"] == depth


def test_laser_scans_are_not_of_nyu(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    with pytest.raises(SymbioError, match=r"nyu\.depth: 'velodyne' was found"):
        preparer.run("nyu", depth="velodyne")


def test_filled_depth_without_dense_paths_is_refused(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    with pytest.raises(SymbioError, match=r"line 1: nyu\.depth is 'filled'"):
        preparer.run("nyu", depth="filled")


def test_test_frames_take_labels_from_the_mat_by_their_number(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    arrays = official.nyu_labelled(preparer.raw)
    prepared = preparer.run("nyu")
    for key, index in (("kitchen-00002", 2), ("study-00005", 5)):
        assert np.array_equal(prepared.pixels(key, "truth"), arrays["labels"][index])
    # The number of a sync frame is no index of the .mat.
    assert all("truth.map" not in prepared.members(k) for k in prepared.splits["train"])


def test_labels_of_another_scene_type_are_not_taken(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    official.nyu_labelled(preparer.raw)
    folder = preparer.raw / "official_splits/test"
    shutil.move(folder / "study", folder / "attic")
    path = preparer.raw / official.NYU_TEST
    path.write_text(path.read_text().replace("study", "attic"))
    assert "truth.map" not in preparer.run("nyu").members("attic-00005")


def test_test_frames_may_come_from_the_mat(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    arrays = official.nyu_labelled(preparer.raw)
    (preparer.raw / official.NYU_TEST).unlink()
    shutil.rmtree(preparer.raw / "official_splits")
    prepared = preparer.run("nyu")
    assert prepared.splits["test"] == ["kitchen-00002", "study-00005"]
    assert np.array_equal(prepared.pixels("study-00005", "image"), arrays["images"][5])


def test_folders_without_lists(preparer: Preparer) -> None:
    """official_splits folders, as BTS's extraction leaves them; names with spaces and accents."""
    for split, places in {"train": ["dôme bleu", "foyer"], "test": ["study"]}.items():
        for place, name in enumerate(places):
            folder = preparer.raw / "official_splits" / split / name
            seed = 10 * place + len(split)
            official.save(folder / "rgb_00001.png", official.image(seed, 48, 64))
            values = official.depth(seed, (48, 64), 900, 9000)
            official.save(folder / "sync_depth_00001.png", values)
    prepared = preparer.run("nyu")
    assert prepared.splits["test"] == ["study-00001"]
    keys = prepared.splits["train"] + prepared.splits["val"]
    assert len(keys) == 2
    assert {prepared.info(key)["scene"] for key in keys} == {"dôme bleu", "foyer"}


def test_repeated_line_is_left_out_and_counted(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    path = preparer.raw / official.NYU_TRAIN
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    report = preparer.run("nyu").report
    assert [s["reason"] for s in report["skipped"]] == ["repeats line 2"]
