"""The labelled .mat against what was written into it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from symbio.errors import SymbioError
from symbio.prepare.mat_file import to_millimetres
from symbio.prepare.nyu_labelled import read_splits
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer

KEYS = ["bath-00000", "bath-00001", "den-00003", "office-00004", "kitchen-00002", "study-00005"]
"""In the order of splits.mat, which counts from 1, while keys count from 0."""


def test_pixels_depth_and_labels_are_those_written(preparer: Preparer) -> None:
    arrays = official.nyu_labelled(preparer.raw)
    prepared = preparer.run("nyu")
    assert sorted(k for keys in prepared.splits.values() for k in keys) == sorted(KEYS)
    for key in KEYS:
        index = int(key[-5:])
        assert np.array_equal(prepared.pixels(key, "image"), arrays["images"][index])
        assert np.array_equal(prepared.pixels(key, "depth"), arrays["mm"][index])
        assert np.array_equal(prepared.pixels(key, "truth"), arrays["labels"][index])
        info = prepared.info(key)
        assert (info["height"], info["width"]) == (48, 64)
        assert info["source"] == f"nyu_depth_v2_labeled.mat[{index}]"
        assert info["recorded_scene"] == official.SCENES[index]


def test_official_split_is_kept_and_val_holds_whole_places(preparer: Preparer) -> None:
    official.nyu_labelled(preparer.raw)
    prepared = preparer.run("nyu")
    assert prepared.splits["test"] == ["kitchen-00002", "study-00005"]
    train_places = {prepared.info(key)["scene"] for key in prepared.splits["train"]}
    val_places = {prepared.info(key)["scene"] for key in prepared.splits["val"]}
    assert train_places & val_places == set()
    # Recordings 0001a and 0001b show one place.
    assert train_places | val_places == {"bath_0001", "den_0003", "office_0004"}
    assert prepared.index["header"]["val"]["scenes"] == sorted(val_places)


def test_filled_depth_is_for_training_frames_only(preparer: Preparer) -> None:
    arrays = official.nyu_labelled(preparer.raw)
    prepared = preparer.run("nyu", depth="filled")
    for split, name in (("train", "filled_mm"), ("val", "mm"), ("test", "mm")):
        for key in prepared.splits[split]:
            written = arrays[name][int(key[-5:])]
            assert np.array_equal(prepared.pixels(key, "depth"), written), key
    assert prepared.index["header"]["train_depth"] == "filled"


def test_full_size_frames_get_the_black_border_and_intrinsics(preparer: Preparer) -> None:
    arrays = official.nyu_labelled(preparer.raw, size=(480, 640), labels=False)
    prepared = preparer.run("nyu")
    stored = prepared.pixels("kitchen-00002", "image")
    assert np.array_equal(stored[7:474, 7:632], arrays["images"][2][7:474, 7:632])
    assert not stored[:7].any()
    assert not stored[474:].any()
    assert not stored[:, :7].any()
    assert not stored[:, 632:].any()
    assert prepared.info("kitchen-00002")["intrinsics"][0] == 518.8579
    assert sorted(prepared.members("kitchen-00002")) == ["depth.map", "image.map"]


def test_every_millimetre_survives_float32() -> None:
    whole = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(to_millimetres((whole / 1000).astype(np.float32), "x"), whole)


def test_other_values_are_cut_as_bts_does() -> None:
    rng = np.random.default_rng(0)
    metres = rng.uniform(0.5, 10, (64, 64)).astype(np.float32)
    bts = (metres * 1000.0).astype(np.uint16)
    exact = (np.arange(65536) / 1000).astype(np.float32)
    free = ~np.isin(metres, exact)
    assert free.mean() > 0.99
    assert np.array_equal(to_millimetres(metres, "x")[free], bts[free])
    # Sensor saturation stays exactly 10 m, for the strict `< 10` of the protocol to drop.
    assert to_millimetres(np.full((2, 2), 10.0, np.float32), "x").tolist() == [[10000] * 2] * 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2500.0, "look like millimetres"),
        (np.nan, "finite"),
        (-1.0, "0 or more"),
        (np.inf, "finite"),
    ],
)
def test_absurd_metres_are_refused_with_the_place(value: float, said: str) -> None:
    with pytest.raises(SymbioError, match=rf"depths\[3\].*{said}"):
        to_millimetres(np.array([[1.0, value]], np.float32), "a.mat: depths[3]")


def test_truncated_file_is_named_and_leaves_nothing(preparer: Preparer) -> None:
    official.nyu_labelled(preparer.raw)
    path = preparer.raw / "nyu_depth_v2_labeled.mat"
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(SymbioError, match=r"nyu_depth_v2_labeled\.mat: is truncated"):
        preparer.run("nyu")
    assert preparer.nothing_written()


def test_old_matlab_file_is_refused(preparer: Preparer) -> None:
    official.nyu_labelled(preparer.raw)
    (preparer.raw / "splits.mat").rename(preparer.raw / "nyu_depth_v2_labeled.mat")
    with pytest.raises(SymbioError, match="no HDF5"):
        preparer.run("nyu")


def test_missing_array_is_named(preparer: Preparer) -> None:
    official.nyu_labelled(preparer.raw)
    with h5py.File(preparer.raw / "nyu_depth_v2_labeled.mat", "a") as file:
        del file["rawDepths"]
    with pytest.raises(SymbioError, match="has no rawDepths; found"):
        preparer.run("nyu")


def test_arrays_of_other_sizes_are_refused(preparer: Preparer) -> None:
    official.nyu_labelled(preparer.raw)
    with h5py.File(preparer.raw / "nyu_depth_v2_labeled.mat", "a") as file:
        del file["labels"]
        file["labels"] = np.zeros((6, 48, 64), np.uint16)
    with pytest.raises(
        SymbioError, match=r"labels are uint16 \(6, 48, 64\), expected.*\(6, 64, 48\)"
    ):
        preparer.run("nyu")


def test_class_ids_beyond_894_are_refused(preparer: Preparer) -> None:
    official.nyu_labelled(preparer.raw)
    with h5py.File(preparer.raw / "nyu_depth_v2_labeled.mat", "a") as file:
        file["labels"][1, 0, 0] = 900
    with pytest.raises(SymbioError, match=r"labels\[1\]: class ids \[900\]"):
        preparer.run("nyu")
    assert preparer.nothing_written()


def test_splits_file_is_needed(preparer: Preparer) -> None:
    official.nyu_labelled(preparer.raw)
    (preparer.raw / "splits.mat").unlink()
    with pytest.raises(SymbioError, match=r"splits\.mat: no such file; it is the official"):
        preparer.run("nyu")


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        ([0, 1], [2], r"0\.\.2, expected 1\.\.3 \(they count from 1\)"),
        ([1, 4], [2], r"1\.\.4, expected 1\.\.3"),
        ([1, 2], [2, 3], "comes twice"),
    ],
)
def test_splits_that_do_not_fit_are_refused(
    tmp_path: Path, train: list[int], test: list[int], said: str
) -> None:
    official.write_splits(tmp_path / "splits.mat", train, test)
    with pytest.raises(SymbioError, match=said):
        read_splits(tmp_path / "splits.mat", 3)


def test_garbled_splits_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "splits.mat").write_bytes(b"no matlab file" * 20)
    with pytest.raises(SymbioError, match=r"splits\.mat: is no MATLAB file"):
        read_splits(tmp_path / "splits.mat", 3)
