"""Class maps against the facts of the data sets."""

from __future__ import annotations

import numpy as np

from symbio.data.classes import (
    CITYSCAPES19,
    NYU40,
    ade20k_names,
    label_space,
    nyu894_names,
    palette,
)


def test_nyu894_has_the_published_counts() -> None:
    """37 named classes of one id each, then 68, 82 and 707 others; 0 is unlabelled."""
    table = label_space("nyu894").from_truth[:895]
    counts = np.bincount(table[1:], minlength=40)
    assert table[0] == 255
    assert counts[:37].tolist() == [1] * 37
    assert counts[37:].tolist() == [68, 82, 707]
    assert len(nyu894_names()) == 894


def test_names_agree_across_spaces() -> None:
    names, ade = nyu894_names(), ade20k_names()
    space = label_space("nyu894")
    for name in ("wall", "floor", "bed", "sofa", "window", "ceiling", "pillow", "lamp", "toilet"):
        target = NYU40.index(name)
        assert space.from_truth[names.index(name) + 1] == target
        assert space.from_ade20k[ade.index(name)] == target
    streets = label_space("cityscapes")
    for name in ("road", "sidewalk", "building", "sky", "person", "car", "bus", "bicycle"):
        assert streets.from_ade20k[ade.index(name)] == CITYSCAPES19.index(name)


def test_cityscapes_ids_cover_the_19_once() -> None:
    table = label_space("cityscapes").from_truth
    assert sorted(table[table != 255].tolist()) == list(range(19))
    assert table[26] == CITYSCAPES19.index("car")
    assert (table[[0, 1, 6, 9, 18, 29, 30]] == 255).all()


def test_ade20k_is_its_own_space() -> None:
    space = label_space("ade20k")
    assert len(space.names) == 150
    assert (space.from_ade20k[:150] == np.arange(150)).all()
    assert space.from_truth[255] == 255


def test_unreachable_classes_are_known() -> None:
    reachable = label_space("nyu894").reachable
    assert [NYU40[i] for i in np.flatnonzero(~reachable)] == ["paper", "night stand", "otherprop"]


def test_palette_tells_classes_apart() -> None:
    assert len({tuple(colour) for colour in palette().tolist()}) == 150
