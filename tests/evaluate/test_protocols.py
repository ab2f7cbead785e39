from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from symbio.errors import SymbioError
from symbio.evaluate.protocol import (
    PROTOCOLS,
    Box,
    protocol_named,
    require_same_measurement,
)

# Published crop bounds, full-frame coordinates: size -> Garg on the frame, Garg on the KB crop.
KITTI_CROPS = {
    (375, 1242): ((153, 371, 44, 1197), (166, 372, 56, 1185)),
    (370, 1226): ((151, 366, 44, 1181), (161, 367, 48, 1177)),
    (376, 1241): ((153, 372, 44, 1196), (167, 373, 55, 1184)),
    (374, 1238): ((152, 370, 44, 1193), (165, 371, 54, 1183)),
    (370, 1224): ((151, 366, 43, 1180), (161, 367, 47, 1176)),
    (352, 1216): ((143, 349, 43, 1172), (143, 349, 43, 1172)),
}


@pytest.mark.parametrize("size", KITTI_CROPS)
def test_kitti_crops_of_every_frame_size(size: tuple[int, int]) -> None:
    full, on_kb = KITTI_CROPS[size]
    assert PROTOCOLS["kitti-eigen-garg-full"].box(*size) == full
    assert PROTOCOLS["kitti-eigen-garg-kb"].box(*size) == on_kb


@pytest.mark.parametrize("size", KITTI_CROPS)
def test_both_garg_crops_lie_inside_what_the_network_sees(size: tuple[int, int]) -> None:
    kb = PROTOCOLS["kitti-official"].box(*size)
    assert kb.size == (352, 1216)
    for name in ("kitti-eigen-garg-full", "kitti-eigen-garg-kb"):
        box = PROTOCOLS[name].box(*size)
        assert box.intersect(kb) == box


def test_benchmark_crop_of_an_odd_width() -> None:
    assert PROTOCOLS["kitti-official"].box(376, 1241) == (24, 376, 12, 1228)


def test_nyu_eigen_crop() -> None:
    box = PROTOCOLS["nyu-eigen"].box(480, 640)
    assert box == (45, 471, 41, 601)
    assert box.size == (426, 560)


def test_whole_frame_protocols() -> None:
    for name in ("none", "nyu-multitask"):
        assert PROTOCOLS[name].box(425, 560) == (0, 425, 0, 560)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("nyu-eigen", (240, 320)),
        ("kitti-eigen-garg-kb", (188, 621)),
        ("kitti-official", (375, 1200)),
    ],
)
def test_a_frame_that_the_crop_is_not_defined_on_is_refused(
    name: str, size: tuple[int, int]
) -> None:
    with pytest.raises(SymbioError, match=rf"{size[0]}x{size[1]}.*'none'"):
        PROTOCOLS[name].box(*size)


def test_a_saturated_sensor_value_is_not_a_measurement() -> None:
    # 10.000 m as it is stored: 10000 thousandths, as float32.
    stored = torch.tensor([9999, 10000, 10001, 1, 2, 0]).float() / 1000
    valid = PROTOCOLS["nyu-eigen"].valid(stored)
    assert valid.tolist() == [True, False, False, False, True, False]


def test_kitti_bounds_are_strict() -> None:
    stored = torch.tensor([80 * 256, 80 * 256 - 1, 0, 1]).float() / 256
    assert PROTOCOLS["kitti-eigen-garg-kb"].valid(stored).tolist() == [False, True, False, True]


def test_uncapped_protocols_count_every_measurement() -> None:
    depth = torch.tensor([0.0, 1e-4, 250.0])
    assert PROTOCOLS["nyu-multitask"].valid(depth).tolist() == [False, True, True]
    assert PROTOCOLS["nyu-multitask"].limit(depth).equal(depth)


def test_limits_keep_nan() -> None:
    limited = PROTOCOLS["nyu-eigen"].limit(torch.tensor([math.nan, math.inf, -math.inf, -1.0, 3.0]))
    assert limited[0].isnan()
    assert limited[1:].tolist() == pytest.approx([10.0, 1e-3, 1e-3, 3.0])


def test_protocols_are_frozen_and_stamp_as_json() -> None:
    protocol = protocol_named("none")
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol.clamp = False  # type: ignore[misc]
    for each in PROTOCOLS.values():
        assert json.loads(json.dumps(each.stamp(), allow_nan=False))["name"] == each.name
    assert protocol.stamp()["max_depth_m"] is None


def test_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(SymbioError, match=r"'eigen'.*nyu-eigen.*kitti-eigen-garg-kb"):
        protocol_named("eigen")


def test_box_of_disjoint_boxes_is_empty() -> None:
    empty = Box(0, 4, 0, 4).intersect(Box(10, 12, 1, 2))
    assert 0 in empty.size
    assert empty.of(torch.ones(2, 20, 20)).numel() == 0


def test_box_within_another_selects_the_same_pixels() -> None:
    frame = torch.arange(20 * 30).view(20, 30)
    outer, inner = Box(3, 18, 4, 29), Box(5, 9, 10, 12)
    assert inner.within(outer).of(outer.of(frame)).equal(inner.of(frame))


def test_different_measurements_are_not_compared() -> None:
    one = {
        "dataset": "nyu",
        "protocol": "nyu-eigen",
        "split": "test",
        "split_sha256": "a",
        "num_images": 654,
    }
    require_same_measurement(one, dict(one))
    for key, value in {"protocol": "none", "split_sha256": "b", "num_images": 653}.items():
        with pytest.raises(SymbioError, match=key):
            require_same_measurement(one, one | {key: value})
