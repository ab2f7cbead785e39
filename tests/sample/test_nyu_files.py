"""The written NYU files, read by h5py and scipy alone."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from symbio.data.classes import nyu894_names
from symbio.data.draws import rng_for
from symbio.sample import ade
from symbio.sample.furnishing import SCENES
from symbio.sample.nyu import STREAM, instances, nyu_frame, scene_of, write_nyu
from symbio.sample.rooms import render_room

TRAIN, TEST, SEED = 3, 2, 11


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nyu")
    write_nyu(path, (nyu_frame(SEED, i, TRAIN) for i in range(TRAIN + TEST)), TRAIN, TEST)
    return path


@pytest.fixture(scope="module")
def mat(folder: Path) -> h5py.File:
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "r") as file:
        yield file


def text(mat: h5py.File, name: str, index: int) -> str:
    return "".join(chr(unit) for unit in mat[mat[name][0, index]][:, 0])


def test_the_header_is_matlabs(folder: Path) -> None:
    head = (folder / "nyu_depth_v2_labeled.mat").read_bytes()[:520]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:128] == b"\x00\x02IM"
    assert head[512:520] == b"\x89HDF\r\n\x1a\n"


def test_arrays_have_matlabs_classes_and_reversed_axes(mat: h5py.File) -> None:
    total = TRAIN + TEST
    expected = {
        "images": ((total, 3, 640, 480), "uint8"),
        "depths": ((total, 640, 480), "single"),
        "rawDepths": ((total, 640, 480), "single"),
        "labels": ((total, 640, 480), "uint16"),
        "instances": ((total, 640, 480), "uint8"),
        "accelData": ((4, total), "single"),
        "names": ((1, 894), "cell"),
        "scenes": ((1, total), "cell"),
        "sceneTypes": ((1, total), "cell"),
        "rawDepthFilenames": ((1, total), "cell"),
        "rawRgbFilenames": ((1, total), "cell"),
    }
    for name, (shape, matlab) in expected.items():
        assert mat[name].shape == shape, name
        assert mat[name].attrs["MATLAB_class"].decode() == matlab, name
        if matlab not in ("cell",):
            assert mat[name].dtype == np.dtype({"single": "f4"}.get(matlab, matlab)), name


def test_a_slice_is_the_rendered_frame(mat: h5py.File) -> None:
    for index in (0, TRAIN + TEST - 1):
        frame = render_room(rng_for(SEED, STREAM, index), scene=scene_of(index, TRAIN)[0])
        image = mat["images"][index].transpose(2, 1, 0)
        np.testing.assert_array_equal(image[7:474, 7:632], frame.image[7:474, 7:632])
        assert (image[:7] == 255).all()
        assert (image[:, 632:] == 255).all()
        depth, raw = mat["depths"][index].T, mat["rawDepths"][index].T
        np.testing.assert_allclose(depth, frame.depth, atol=0.00051)
        measured = (raw > 0) & (raw != 10)
        np.testing.assert_array_equal(raw[measured], depth[measured])
        labels = mat["labels"][index].T
        for label in np.unique(frame.semantic):
            assert set(np.unique(labels[frame.semantic == label])) == {ade.NYU894[label]}


def test_texts_are_cells_of_references(mat: h5py.File) -> None:
    assert tuple(text(mat, "names", i) for i in range(894)) == nyu894_names()
    assert text(mat, "names", 330) == "person"
    kinds = [text(mat, "sceneTypes", i) for i in range(TRAIN + TEST)]
    scenes = [text(mat, "scenes", i) for i in range(TRAIN + TEST)]
    assert kinds == ["bedroom"] * 5
    assert scenes == ["bedroom_0001"] * 3 + ["bedroom_5001"] * 2
    assert text(mat, "rawRgbFilenames", 1).startswith("bedroom_0001/r-")
    assert text(mat, "rawDepthFilenames", 1).endswith(".pgm")


def test_the_split_counts_from_one_and_is_disjoint(folder: Path) -> None:
    splits = scipy.io.loadmat(folder / "splits.mat")
    assert splits["trainNdxs"].dtype == np.uint16
    assert splits["trainNdxs"].tolist() == [[1], [2], [3]]
    assert splits["testNdxs"].tolist() == [[4], [5]]


def test_no_scene_is_in_both_splits() -> None:
    for num_train in (5, 24, 240):
        scenes = [scene_of(i, num_train) for i in range(num_train + 64)]
        assert not set(scenes[:num_train]) & set(scenes[num_train:])
        assert {kind for kind, _ in scenes} == set(SCENES)
        assert all(name.startswith(kind) for kind, name in scenes)


def test_instances_number_connected_patches() -> None:
    semantic = np.array([[1, 1, 2, 1], [2, 2, 2, 1], [3, 2, 1, 3]], np.uint8)
    expected = [[1, 1, 1, 2], [1, 1, 1, 2], [1, 1, 2, 2]]
    numbers = instances(semantic)
    assert numbers[semantic == 1].tolist() == [1, 1, 2, 2, 2]
    assert numbers[semantic == 2].tolist() == [1, 1, 1, 1, 1]
    assert numbers.tolist() == expected
