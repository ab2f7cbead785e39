"""Pictures that lie upon each other: the same frames, names, sizes and scales for every network."""

from __future__ import annotations

import hashlib
import random
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from symbio.data.classes import label_space
from symbio.evaluate.examples import Source
from symbio.evaluate.held_out import held_out, picture_name
from symbio.evaluate.panels import panel
from symbio.evaluate.predictors import Guess, Predictor, constant_predictor
from symbio.evaluate.protocol import PROTOCOLS
from symbio.pictures import Picture, colour_depth

HEIGHT, WIDTH, STRIP, GAP = 120, 160, 18, 4


def saying(depth_m: float, classes: list[int]) -> Predictor:
    """One depth everywhere, and these classes in vertical stripes."""

    def predict(views: torch.Tensor, size: tuple[int, int]) -> Guess:
        stripes = torch.tensor(classes, dtype=torch.uint8)[torch.arange(size[1]) % len(classes)]
        return Guess(
            torch.full((len(views), *size), depth_m), stripes.expand(len(views), *size).clone()
        )

    return predict


def picture_of(world: Any, predict: Predictor, pseudo: bool = True) -> Picture:
    space = label_space(world.prepared.header["label_space"])
    source = Source(world.prepared, world.labelled if pseudo else None, space, (32, 64))
    return panel(predict, source, PROTOCOLS["none"], "nyu-0", "cpu")


def tile(picture: Picture, row: int, column: int) -> Picture:
    """One of the six pictures, without its title."""
    top, left = row * (STRIP + HEIGHT + GAP) + STRIP, column * (WIDTH + GAP)
    return picture[top : top + HEIGHT, left : left + WIDTH]


def test_the_frames_do_not_depend_on_the_order_of_the_keys() -> None:
    keys = [f"frame-{number}" for number in range(50)]
    chosen = held_out(keys)
    shuffled = random.Random(1).sample(keys, len(keys))
    assert held_out(shuffled) == chosen
    assert len(set(chosen)) == 4
    # Of a part that holds them, the same ones.
    assert held_out({*keys[20:], *chosen}) == chosen
    assert held_out(["b", "a"]) == held_out(["a", "b"])


def test_a_picture_is_named_by_the_bytes_of_its_image(small_nyu: Any) -> None:
    (shard,) = Path(small_nyu.prepared.folder).glob("test-*.tar")
    with tarfile.open(shard) as tar:
        for key in small_nyu.prepared.splits["test"]:
            member = tar.extractfile(f"{key}.image.png")
            assert member is not None
            stored = hashlib.sha256(member.read()).hexdigest()
            assert picture_name(small_nyu.prepared, key) == f"{stored[:12]}.png"


def test_only_what_is_predicted_differs_between_two_networks(small_nyu: Any) -> None:
    one = picture_of(small_nyu, saying(2.0, [3, 5]))
    # Of more classes than a legend has room for.
    other = picture_of(small_nyu, saying(9.0, list(range(150))))
    assert one.shape == other.shape
    for row, column in ((0, 0), (0, 1), (1, 1)):
        assert (tile(one, row, column) == tile(other, row, column)).all()
    for row, column in ((0, 2), (1, 0), (1, 2)):
        assert (tile(one, row, column) != tile(other, row, column)).any()
    # The labels' two classes are named first, wherever else a network sees.
    first_names = slice(2 * (STRIP + HEIGHT + GAP), None), slice(0, 2 * 130)
    assert (one[first_names][:20] == other[first_names][:20]).all()


def test_a_network_without_classes_has_a_picture_of_the_same_size(small_nyu: Any) -> None:
    assert picture_of(small_nyu, constant_predictor(2.0)).shape == (
        picture_of(small_nyu, saying(2.0, [3])).shape
    )


def test_depth_has_the_data_sets_colours(small_nyu: Any) -> None:
    for depth in (0.6, 3.0, 9.5):
        shown = tile(picture_of(small_nyu, constant_predictor(depth)), 0, 2)
        assert (shown == colour_depth(np.array([[depth]]), 0.5, 10.0)[0, 0]).all()


def test_classes_of_the_truth_are_named_in_their_own_colours(small_nyu: Any) -> None:
    """Without a teacher, labels and legend are of the truth's classes."""
    picture = picture_of(small_nyu, saying(2.0, [0]), pseudo=False)
    labels = tile(picture, 1, 1)
    legend = picture[2 * (STRIP + HEIGHT + GAP) :]
    named = {tuple(colour) for colour in legend[4:16].reshape(-1, 3).tolist()}
    shown = {tuple(colour) for colour in labels.reshape(-1, 3).tolist()} - {(0, 0, 0)}
    assert len(shown) == 3
    assert shown <= named
