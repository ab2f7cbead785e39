"""Label spaces of data sets of one's own: their classes, and those that ADE20K has too."""

from __future__ import annotations

import numpy as np
import pytest

from symbio.data.classes import (
    IGNORE,
    NYU40,
    ade20k_names,
    class_space,
    known_ids,
    label_space,
    own_space,
)
from symbio.errors import SymbioError

NAMES = {300: "Sofa", 5: "floor", 2: "widget", 9: "floor"}


def test_own_classes_are_in_the_order_of_their_ids_and_one_name_is_one_class() -> None:
    space = label_space(own_space(NAMES))
    assert space.names == ("widget", "floor", "Sofa")
    expected = {2: 0, 5: 1, 9: 1, 300: 2}
    assert {int(i): int(space.from_truth[i]) for i in np.flatnonzero(space.from_truth < 255)} == (
        expected
    )
    sofa, floor = ade20k_names().index("sofa"), ade20k_names().index("floor")
    mapped = {int(i): int(space.from_ade20k[i]) for i in np.flatnonzero(space.from_ade20k < 255)}
    assert mapped == {sofa: 2, floor: 1}
    assert space.reachable.tolist() == [False, True, True]
    # What was scored can be read again by the name of the space alone.
    assert class_space(space.name).names == space.names


def test_ids_that_may_occur_are_those_named_and_no_label() -> None:
    assert np.flatnonzero(known_ids(own_space(NAMES))).tolist() == [0, 2, 5, 9, 255, 300]
    assert np.flatnonzero(known_ids("nyu40")).tolist() == [*range(41), 255]
    assert np.flatnonzero(known_ids("ade20k")).tolist() == [*range(150), 255]
    assert np.flatnonzero(known_ids("cityscapes")).tolist() == [*range(34), 255]
    assert np.flatnonzero(known_ids("nyu894")).tolist() == [*range(895)]


def test_nyu40_truth_counts_from_one() -> None:
    space = label_space("nyu40")
    assert space.names == NYU40
    assert space.from_truth[[0, 1, 40, 41, 255]].tolist() == [IGNORE, 0, 39, IGNORE, IGNORE]


def test_without_labels_nothing_is_scored() -> None:
    assert (label_space("none").from_truth == IGNORE).all()
    assert label_space("none", "nyu40").predicted.name == "nyu40"


def test_a_network_of_other_classes_cannot_be_compared() -> None:
    with pytest.raises(SymbioError, match=r"classes of nyu40 cannot be compared .*give ade20k"):
        label_space(own_space(NAMES), "nyu40")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({1: ""}, "no name"),
        ({1: "a,b"}, "no name"),
        ({1: "a=b"}, "no name"),
        ({1: "a\n"}, "no name"),
        ({1: " a"}, "no name"),
        ({1: "Car", 2: "car"}, "capital letters only"),
        ({number: f"class {number}" for number in range(256)}, "256 names"),
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(names: dict[int, str], message: str) -> None:
    with pytest.raises(SymbioError, match=message):
        own_space(names)
