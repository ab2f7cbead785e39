"""The page: complete, self-contained, every word escaped."""

from __future__ import annotations

import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from infra.browser import PROGRAMS, browser
from symbio.compare.comparison import Comparison, Shown
from symbio.compare.cost import costs
from symbio.compare.gains import metrics_compared
from symbio.compare.page import viewer, write_page
from symbio.compare.summary import summary
from symbio.data.images import encode_png
from tests.compare.sides import MEASURED, measured, subject

NASTY = 'b "<script>alert(1)</script>'


def grey(level: int) -> bytes:
    return encode_png(np.full((40, 60, 3), level, np.uint8))


@pytest.fixture
def comparison() -> Comparison:
    """Of two, one of which has a name that somebody chose."""
    sides = [measured({"abs_rel": [0.2, 0.4]}), measured({"abs_rel": [0.1, 0.4]})]
    subjects = [subject("a", {}, params={"train.steps": "30"}), subject(NASTY, {}, seconds=120.0)]
    using = [
        {"device": "CPU", "threads": 1, "picture_ms": {"64x48": {"1": {"median": 3.5}}}},
        {},
    ]
    frames = [
        Shown(f"{n:012x}.png", f"frame-{n}", "gains most", [0.2, None], [grey(n), grey(100 + n)])
        for n in range(3)
    ]
    return Comparison(
        subjects, MEASURED, ["w" * 64] * 2, ["a note"], "abs_rel",
        metrics_compared(sides, []), [], {}, frames, costs(subjects, [None, None], using),
    )  # fmt: skip


def test_the_page_needs_nothing_else_and_runs_no_name(
    comparison: Comparison, tmp_path: Path
) -> None:
    write_page(tmp_path / "page.html", comparison)
    page = (tmp_path / "page.html").read_text()
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Tags().feed(page)
    assert [tag for tag, _ in tags].count("script") == 1
    images = [attributes["src"] or "" for tag, attributes in tags if tag == "img"]
    assert len(images) == 6
    shown = [base64.b64decode(one.removeprefix("data:image/png;base64,")) for one in images]
    assert shown == [panel for frame in comparison.frames for panel in frame.panels]
    assert "http" not in page
    assert not re.search(r"\b(src|href)=\"(?!data:)", page)
    for told in ("a note", "frame-2 (000000000002.png), gains most; abs_rel: a 0.2000", "3.5"):
        assert told in page


def test_the_summary_says_who_is_better(comparison: Comparison) -> None:
    text = summary(comparison)
    assert "compared with a (runs:/a), by nyu-eigen, 3 frames of test" in text
    (line,) = (one for one in text.splitlines() if "abs_rel" in one)
    assert "16.67% better" in line
    assert line.endswith("+0 to +0.1: may be noise")


@pytest.mark.skipif(not any(map(shutil.which, PROGRAMS)), reason="no Chromium")
def test_one_click_flips_in_place(comparison: Comparison, tmp_path: Path) -> None:
    """In a real browser."""
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><body>{viewer(['a', NASTY], 'd1', comparison.frames)}")
    seen = (
        "[...document.querySelectorAll('.flip img')]"
        ".map((one) => one.getBoundingClientRect()).map((box) => [box.width, box.x, box.y])"
    )

    def visible() -> tuple[int, list[float]]:
        """Which picture is shown, and where."""
        boxes = page.run(seen)
        (number,) = (n for n, box in enumerate(boxes) if box[0] > 0)
        return number, boxes[number]

    def press(key: str) -> int:
        event = f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})"
        page.run(f"document.body.dispatchEvent({event}) && null")
        return visible()[0]

    with browser(800, 600) as page:
        page.open(path.as_uri())
        assert page.wait("document.querySelector('.flip.ready') !== null")
        first, place = visible()
        page.run("document.querySelector('.flip figure.now img.now').click()")
        assert (first, visible()) == (0, (1, place)), "the other's picture, in the same place"
        assert [press(key) for key in (" ", "2", "ArrowRight", "1", "ArrowLeft", "ArrowLeft")] == (
            [0, 1, 3, 2, 0, 4]
        )
        page.run("document.querySelectorAll('.flip button[data-subject]')[1].click()")
        assert visible()[0] == 5
        chosen = "document.querySelector('.flip select')"
        page.run(f"{chosen}.value = '1', {chosen}.dispatchEvent(new Event('change')) && null")
        assert visible()[0] == 3
        pressed = "[...document.querySelectorAll('[data-subject]')].map((b) => b.ariaPressed)"
        assert page.run(pressed) == ["false", "true"]
