"""Pictures and the page that holds them."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

from symbio.data.classes import ade20k_names, palette
from symbio.pictures import (
    colour_classes,
    colour_depth,
    error_map,
    grid,
    labelled,
    legend,
    overlay,
)
from symbio.report import Report


def test_depth_colours_run_from_near_to_far_on_one_scale() -> None:
    depth = np.array([[0.5, 2.0, 10.0, 0.0, np.nan, np.inf]], np.float32)
    colours = colour_depth(depth, 0.5, 10.0)[0].astype(int)
    assert colours[0, 0] > colours[0, 2], "near is red"
    assert colours[2, 2] > colours[2, 0], "far is blue"
    assert (colours[3:] == 0).all(), "no value is black"
    again = colour_depth(depth[:, 1:2], 0.5, 10.0)[0, 0]
    assert (again == colours[1]).all(), "the scale does not depend on the picture"


def test_error_map_is_white_at_zero_red_at_worst_black_without_truth() -> None:
    truth = np.array([[2.0, 2.0, 0.0, 2.0]])
    picture = error_map(np.array([[2.0, 4.0, 1.0, np.nan]]), truth)[0]
    assert picture.tolist() == [[255, 255, 255], [200, 0, 0], [0, 0, 0], [200, 0, 0]]


def test_classes_take_the_palette_and_ignored_pixels_stay() -> None:
    classes = np.array([[0, 149, 255]], np.uint8)
    picture = colour_classes(classes)
    assert (picture[0, :2] == palette()[[0, 149]]).all()
    assert (picture[0, 2] == 0).all()
    image = np.full((1, 3, 3), 9, np.uint8)
    assert (overlay(image, classes)[0, 2] == 9).all()


def test_legend_names_what_is_there() -> None:
    strip = legend(np.array([[3, 3, 7, 255]], np.uint8), ade20k_names(), 400)
    found = {tuple(c) for c in strip.reshape(-1, 3).tolist()}
    assert tuple(palette()[3].tolist()) in found
    assert tuple(palette()[7].tolist()) in found
    assert tuple(palette()[4].tolist()) not in found


def test_grid_takes_pictures_of_several_sizes() -> None:
    a, b = np.zeros((10, 20, 3), np.uint8), np.zeros((5, 40, 3), np.uint8)
    assert grid([[a, b], [b, a]]).shape == (10 + 4 + 10 + 4, 20 + 4 + 20 + 4, 3)
    assert labelled(a, "text").shape[1] == 20


def test_page_is_one_file_with_everything_escaped(tmp_path: Path) -> None:
    report = Report("<script>alert(1)</script>")
    report.heading("<b>h</b>")
    report.text("a & b < c")
    report.table([["<i>", 0.123456]], ["x", "y"])
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    report.picture(picture, '"quoted"')
    report.write(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.append(tag)

    Reader().feed(page)
    assert not {"script", "b", "i"} & set(tags)
    assert "0.1235" in page
    match = re.search(r"base64,([^\"]+)", page)
    assert match is not None
    stored = cv2.imdecode(np.frombuffer(base64.b64decode(match[1]), np.uint8), cv2.IMREAD_COLOR)
    assert (stored[..., ::-1] == picture).all()
