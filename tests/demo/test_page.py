"""`symbio demo` as a process, its page in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infra.browser import PROGRAMS, Page, browser
from symbio.data.classes import ade20k_names
from symbio.model.inference import infer
from symbio.model.saved import load_network
from symbio.pictures import colour_depth, overlay
from tests.tiny_model import put_model

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
NEEDS_BROWSER = pytest.mark.skipif(
    not any(map(shutil.which, PROGRAMS)), reason="no Chromium on the PATH"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("project")
    put_model(project / "models" / "nyu")
    coarse = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(coarse).resize((160, 120)).save(project / "room.png")
    return project


@pytest.fixture(scope="module")
def address(project: Path) -> Iterator[str]:
    """Where `symbio demo` says it is; Ctrl-C ends it, and it has written nothing."""
    before = sorted(project.rglob("*"))
    with (project.parent / "told").open("w+") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "symbio.cli", "demo", "models/nyu", "--port", "0"],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=told,
        )
        try:
            until = time.monotonic() + 60
            found = None
            while found is None:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
                found = re.search(r"http://127\.0\.0\.1:\d+/", Path(told.name).read_text())
            yield found.group()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        said = Path(told.name).read_text()
    assert "Ctrl-C" in said
    assert "Traceback" not in said
    assert sorted(project.rglob("*")) == before


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    with browser(1200, 1600) as page:
        page.open(address)
        assert page.wait("document.getElementById('facts')?.textContent.includes('models/nyu')")
        yield page


def pixels(page: Page, canvas: str) -> np.ndarray:
    """What a canvas of the page holds, uint8 (H, W, 3)."""
    # Of a copy: a browser complains of canvases that are read again and again.
    script = (
        f"(() => {{ const one = document.getElementById({canvas!r});"
        "const copy = new OffscreenCanvas(one.width, one.height).getContext('2d');"
        "copy.drawImage(one, 0, 0);"
        "const held = copy.getImageData(0, 0, one.width, one.height);"
        "return JSON.stringify([held.height, held.width, [...held.data]]); })()"
    )
    height, width, values = json.loads(page.run(script))
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


def text(page: Page, name: str) -> str:
    return str(page.run(f"document.getElementById({name!r}).textContent"))


def middle(page: Page, name: str) -> tuple[float, float]:
    box = f"document.getElementById({name!r}).getBoundingClientRect()"
    x, y = page.run(f"{box}.x + {box}.width / 2"), page.run(f"{box}.y + {box}.height / 2")
    return float(x), float(y)


@NEEDS_BROWSER
def test_a_picture_goes_in_and_what_the_model_says_comes_out(
    page: Page, project: Path, tmp_path: Path
) -> None:
    image = np.asarray(Image.open(project / "room.png"))
    network, card = load_network(project / "models" / "nyu")
    expected = infer(network, image[None])
    depth, classes = expected.depth_m[0], expected.classes[0]

    page.choose("#file", project / "room.png")
    assert page.wait("document.getElementById('status').textContent.includes('160 x 120')")
    assert np.array_equal(pixels(page, "image"), image)
    shown = pixels(page, "depth").astype(int)
    # A depth on the border of two colours may be rounded to the next of 256.
    assert np.abs(shown - colour_depth(depth, *card["depth_range"])).max() <= 12
    assert np.abs(pixels(page, "classes").astype(int) - overlay(image, classes)).max() <= 1

    page.hover(*middle(page, "depth"))
    told = re.fullmatch(r"([\d.]+) m · (.+) at \((\d+), (\d+)\)", text(page, "value"))
    assert told is not None
    column, row = int(told[3]), int(told[4])
    assert abs(column - 80) <= 1
    assert abs(row - 60) <= 1
    assert float(told[1]) == pytest.approx(depth[row, column], abs=0.0051)
    assert told[2] == ade20k_names()[classes[row, column]]
    most = ade20k_names()[np.bincount(classes.ravel()).argmax()]
    assert text(page, "legend").startswith(most)

    before = pixels(page, "cloud")
    assert before.any()
    x, y = middle(page, "cloud")
    page.drag((x, y), (x + 80, y + 20))
    time.sleep(0.3)
    assert (pixels(page, "cloud") != before).any(axis=2).mean() > 0.05

    page.keep_downloads(tmp_path)
    for button, name in (("save-depth", "room_depth.png"), ("save-points", "room.ply")):
        page.run(f"document.getElementById({button!r}).click()")
        until = time.monotonic() + 20
        while not (tmp_path / name).is_file():
            assert time.monotonic() < until, list(tmp_path.iterdir())
            time.sleep(0.1)
    saved = np.asarray(Image.open(tmp_path / "room_depth.png"))
    assert np.array_equal(saved, np.round(depth.astype(float) * 1000))
    assert page.complaints() == []


@NEEDS_BROWSER
def test_a_bad_picture_is_told_and_the_next_one_is_shown(page: Page) -> None:
    page.run(
        "(() => { const dropped = new DataTransfer();"
        "dropped.items.add(new File(['hello'], 'note.png', {type: 'image/png'}));"
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: dropped})); })()"
    )
    assert page.wait("!document.getElementById('alert').hidden")
    assert "note.png: the picture: cannot be read as a JPEG or PNG" in text(page, "alert")
    page.resize(360, 740)
    page.run("document.getElementById('example').click()")
    assert page.wait("document.getElementById('status').textContent.includes('640 x 480')")
    assert page.run("document.getElementById('alert').hidden")
    # On a telephone nothing is wider than the window.
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    (refused,) = page.complaints()
    assert "422" in refused


def test_a_taken_port_and_an_unknown_model_are_told(project: Path) -> None:
    def told(*arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "symbio.cli", "demo", *arguments],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr
        return ended.stderr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port}: Address already in use" in told("models/nyu", "--port", port)
    assert "holds no model.json" in told("models/gone", "--port", "0")
