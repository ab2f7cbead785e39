"""Which of the teacher's labels training uses, against plain readings of the rule."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symbio.data.classes import CITYSCAPES19, NYU13, NYU40, class_space, label_space
from symbio.data.dataset import load_pseudo
from symbio.data.frame import stack
from symbio.data.labels import TrainingLabels, chosen_frames
from symbio.data.loader import GlobalBatches
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.params import LabelsParams
from tests.data.prepared import tiny_params, write_prepared

KEYS = [f"train-{i}" for i in range(11)]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Shards]:
    return write_prepared(tmp_path_factory.mktemp("data"), {"train": 11})


def _labels(pseudo: Shards, seed: int = 7, **params: Any) -> TrainingLabels:
    return TrainingLabels(pseudo, KEYS, LabelsParams(**params), seed)


def _classes(labels: TrainingLabels, key: str) -> np.ndarray:
    known = labels.load(key)
    assert known is not None
    return known[0]


def _renamed(labels: TrainingLabels, pseudo: Shards) -> dict[tuple[str, int], int]:
    """(frame, class) -> the class that it got; each region must be given one class, whole."""
    found = {}
    for key in KEYS:
        before, after = load_pseudo(pseudo, key)[0], _classes(labels, key)
        for own in np.unique(before):
            (new,) = np.unique(after[before == own])
            if new != own:
                found[key, int(own)] = int(new)
    return found


def test_by_default_labels_are_those_of_the_teacher(shards: tuple[Shards, Shards]) -> None:
    labels = _labels(shards[1])
    for key in KEYS:
        known, stored = labels.load(key), load_pseudo(shards[1], key)
        assert known is not None
        assert all(np.array_equal(a, b) for a, b in zip(known, stored, strict=True))


def test_shares_are_exact_nested_and_the_seeds_own() -> None:
    keys = [f"frame-{i:04}" for i in range(216)]
    shares = [0.0, 0.001, 0.05, 0.1, 0.25, 0.5, 1.0]
    chosen = [chosen_frames(keys, share, 3) for share in shares]
    assert [len(one) for one in chosen] == [0, 1, 11, 22, 54, 108, 216]
    assert all(set(small) <= set(large) for small, large in itertools.pairwise(chosen))
    assert chosen[-1] == keys
    assert all(one == sorted(one) for one in chosen)
    assert chosen_frames(keys, 0.5, 4) != chosen[-2]


def test_a_frame_outside_the_share_is_as_never_labelled(shards: tuple[Shards, Shards]) -> None:
    half = _labels(shards[1], share=0.5)
    params = tiny_params(**{"labels.share": 0.5, "nearfarmix.mix": "none", "train.micro_batch": 4})
    loader = GlobalBatches(*shards, params, "nyu")
    frames = stack(loader.micro_batches(0))
    loader.close()
    for row, key in enumerate(frames.keys):
        used = half.load(key) is not None
        assert used == (key in half.keys)
        assert bool((frames.semantic[row] != 255).any()) == used
        assert bool(frames.confidence[row].any()) == used
        assert bool(frames.depth[row].any())


def test_only_frames_of_the_share_need_a_label(tmp_path: Path) -> None:
    _, few = write_prepared(tmp_path, {"train": 3})
    with pytest.raises(SymbioError, match="no pseudo-label for 8 frames.*run `symbio label nyu`"):
        _labels(few)
    assert _labels(few, share=0.0).keys == []


def test_noise_renames_whole_regions_at_its_rate_and_more_noise_keeps_them(
    shards: tuple[Shards, Shards],
) -> None:
    few, many = (_renamed(_labels(shards[1], noise=noise), shards[1]) for noise in (0.3, 0.6))
    assert few.items() <= many.items()
    # 11 frames of 4 classes each, and never the pixels without a label.
    assert 5 <= len(few) <= 22
    assert 18 <= len(many) <= 36
    every = _renamed(_labels(shards[1], noise=1.0), shards[1])
    assert set(every) == {(key, own) for key in KEYS for own in (0, 3, 5, 19)}
    # Only classes that the teacher gives somewhere.
    assert set(every.values()) == {0, 3, 5, 19}
    assert _renamed(_labels(shards[1], noise=0.6, share=1.0), shards[1]) == many
    assert _renamed(_labels(shards[1], seed=8, noise=0.6), shards[1]) != many


def test_noise_means_another_class_of_the_space(shards: tuple[Shards, Shards]) -> None:
    """Wall, floor, ceiling and chair are four classes of NYU13; in Cityscapes but one is known."""
    table = class_space("nyu13").from_ade20k
    for (_, own), new in _renamed(_labels(shards[1], noise=1.0, space="nyu13"), shards[1]).items():
        assert table[own] != table[new]
    assert _renamed(_labels(shards[1], noise=1.0, space="cityscapes19"), shards[1]) == {}


def test_unsure_pixels_are_ignored(shards: tuple[Shards, Shards]) -> None:
    labels = _labels(shards[1], min_confidence=0.7)
    for key in KEYS[:3]:
        stored, confidence = load_pseudo(shards[1], key)
        expected = np.where(confidence / 255 >= 0.7, stored, 255)
        assert np.array_equal(_classes(labels, key), expected)


@pytest.mark.parametrize("mix", ["nearfarmix", "classmix"])
def test_mixes_are_the_same_in_every_space(shards: tuple[Shards, Shards], mix: str) -> None:
    found = {}
    for space in ("ade20k", "nyu13"):
        changes = {"labels.space": space, "nearfarmix.mix": mix, "nearfarmix.probability": 1.0}
        loader = GlobalBatches(*shards, tiny_params(**changes), "nyu")
        found[space] = stack(loader.micro_batches(2))
        loader.close()
    ade, nyu = found["ade20k"], found["nyu13"]
    assert torch.equal(ade.image, nyu.image)
    assert torch.equal(ade.depth, nyu.depth)
    names = {0: "wall", 3: "floor", 5: "ceiling", 19: "chair"}
    for label, name in names.items():
        assert (nyu.semantic[ade.semantic == label] == NYU13.index(name)).all()
    assert (nyu.semantic[ade.semantic == 255] == 255).all()


def test_nyu13_groups_nyu40_as_published() -> None:
    fine, coarse = label_space("nyu894"), label_space("nyu894", "nyu13")
    groups = {
        "furniture": {"cabinet", "bookshelf", "counter", "shelves", "dresser"},
        "table": {"table", "desk"},
        "sofa": {"sofa"},
        "window": {"window", "blinds", "curtain"},
        "picture": {"picture"},
        "tv": {"television"},
        "floor": {"floor", "floor mat"},
    }
    table = dict(zip(fine.from_truth.tolist(), coarse.from_truth.tolist(), strict=True))
    assert table.pop(255) == 255
    assert sorted(table) == list(range(40))
    for name, members in groups.items():
        told = {NYU40[own] for own, target in table.items() if NYU13[target] == name}
        assert members <= told
    assert coarse.reachable.all()


def test_a_network_of_a_space_is_scored_where_its_teacher_is() -> None:
    """The class of a pixel is one and the same by way of the teacher and of the network."""
    cases = (("nyu894", "nyu40", NYU40), ("cityscapes", "cityscapes19", CITYSCAPES19))
    for truth, predicted, names in cases:
        ade, own = label_space(truth), label_space(truth, predicted)
        assert (ade.name, ade.names) == (own.name, own.names) == (predicted, names)
        assert np.array_equal(ade.from_truth, own.from_truth)
        through = own.from_predicted[own.predicted.from_ade20k]
        assert np.array_equal(through, ade.from_predicted)
        assert np.array_equal(ade.reachable, own.reachable)


def test_classes_of_another_world_are_refused() -> None:
    with pytest.raises(
        SymbioError, match="cityscapes19 cannot be compared.*ade20k or nyu40 or nyu13"
    ):
        label_space("nyu894", "cityscapes19")
    with pytest.raises(SymbioError, match="give ade20k or cityscapes19"):
        label_space("cityscapes", "nyu40")
    with pytest.raises(SymbioError, match="no space of classes 'coco'"):
        class_space("coco")
