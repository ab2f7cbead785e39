"""The page's server, over real connections: what it says, what it refuses, and to whom."""

from __future__ import annotations

import io
import json
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from symbio.demo import upload
from symbio.demo.answer import LONGEST_PX
from symbio.demo.server import MOST_WAITING
from symbio.demo.shown import MOST_BYTES
from symbio.model.inference import infer
from symbio.pictures import colour_depth
from symbio.predict.run import run as predict
from tests.demo.serving import Served, serving, unpacked
from tests.tiny_model import put_model

PICTURE = cv2.resize(np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8), (90, 60))
PLACES = ("/predict", "/depth.png", "/cloud.ply")


def encoded(array: np.ndarray, kind: str = "PNG", **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **how)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG file that says how large it is and holds no pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_model(tmp_path_factory.mktemp("models") / "nyu")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Served]:
    with serving(model) as served:
        yield served


def test_the_page_names_only_files_that_the_server_has(server: Served) -> None:
    page = server.ask("/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    places = set(re.findall(r'(?:src|href)="([^"]+)"', page.body.decode()))
    seen: set[str] = set()
    while places - seen:
        place = (places - seen).pop()
        seen.add(place)
        answer = server.ask(f"/{place}")
        assert answer.status == 200, place
        text = answer.body.decode()
        places |= set(re.findall(r'from "\./([^"]+)"', text))
        assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), place
    assert {"page.js", "answer.js", "panels.js", "cloud.js", "probe.js", "style.css"} <= seen
    example = server.ask("/example.jpg")
    assert Image.open(io.BytesIO(example.body)).size == (640, 480)


def test_the_page_knows_the_colours_that_predictions_have(server: Served) -> None:
    facts = json.loads(server.ask("/facts").body)
    scale, (low, high) = facts["scale"], server.shown.card["depth_range"]
    assert (scale["high"], facts["classes"]["names"][0]) == (high, "wall")
    colours = np.array(scale["colours"], np.uint8)
    depth = np.random.default_rng(1).uniform(low, high, (50, 1))
    place = (np.log(high) - np.log(depth)) / (np.log(high) - np.log(scale["low"]))
    expected = colours[np.round(np.clip(place, 0, 1) * 255).astype(int)]
    assert np.array_equal(colour_depth(depth, low, high), expected)


@pytest.mark.parametrize("place", ["/", "/facts", "/nothing", "/../run.py", "/page.js", "/predict"])
def test_every_answer_has_strict_headers(server: Served, place: str) -> None:
    headers = server.ask(place).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_the_answer_is_the_prediction(server: Served) -> None:
    found = unpacked(server.post("/predict", encoded(PICTURE)).body)
    expected = infer(server.shown.network, PICTURE[None])
    assert np.array_equal(found.rgb, PICTURE)
    assert np.array_equal(found.depth, expected.depth_m[0])
    assert found.classes is not None
    assert np.array_equal(found.classes, expected.classes[0])
    assert found.header["focal_px"] == pytest.approx(518.8579 / 640 * 90)
    assert found.header["notes"] == []


def test_downloads_are_the_files_of_symbio_predict(
    server: Served, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(encoded(PICTURE))
    predict(str(model), [tmp_path / "a.png"], tmp_path / "out", ply=True)
    for place, name in (("/depth.png", "a_depth.png"), ("/cloud.ply", "a.ply")):
        assert server.post(place, encoded(PICTURE)).body == (tmp_path / "out" / name).read_bytes()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_turned_photograph_comes_upright(server: Served, kind: str) -> None:
    exif = Image.Exif()
    exif[274] = 6  # EXIF 2.3: to be turned clockwise by a quarter.
    lying = encoded(PICTURE, kind, exif=exif)
    found = unpacked(server.post("/predict", lying, f"image/{kind.lower()}").body)
    stored = np.asarray(Image.open(io.BytesIO(lying)))
    assert np.array_equal(found.rgb, np.rot90(stored, -1))


@pytest.mark.parametrize("what", ["alpha", "16-bit colour", "grey", "one pixel", "one row"])
def test_every_kind_of_picture_is_answered(server: Served, what: str) -> None:
    alpha = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    alpha[:30, :, 3] = 0
    done, deep = cv2.imencode(".png", PICTURE[..., ::-1].astype(np.uint16) * 257)
    assert done
    picture, expected = {
        "alpha": (encoded(alpha), PICTURE * (alpha[..., 3:] > 0)),
        "16-bit colour": (deep.tobytes(), PICTURE),
        "grey": (encoded(PICTURE[..., 0]), np.repeat(PICTURE[..., :1], 3, axis=2)),
        "one pixel": (encoded(PICTURE[:1, :1]), PICTURE[:1, :1]),
        "one row": (encoded(PICTURE[:1]), PICTURE[:1]),
    }[what]
    for place in PLACES:
        assert server.post(place, picture).status == 200, place
    assert np.array_equal(unpacked(server.post("/predict", picture).body).rgb, expected)


def test_large_pictures_are_brought_to_what_is_shown(server: Served) -> None:
    large = encoded(np.zeros((90, 2560, 3), np.uint8), "JPEG")
    header = unpacked(server.post("/predict", large, "image/jpeg").body).header
    assert (header["width"], header["height"]) == (LONGEST_PX, 45)
    assert any("from 2560 x 90 to 1280 x 45" in note for note in header["notes"])
    thin = encoded(np.zeros((2, 3000, 3), np.uint8))
    header = unpacked(server.post("/predict", thin).body).header
    assert (header["width"], header["height"]) == (LONGEST_PX, 1)
    assert any("far from the 96:64" in note for note in header["notes"])


NOISE = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
CMYK = io.BytesIO()
Image.fromarray(PICTURE).convert("CMYK").save(CMYK, "JPEG")
REFUSED = {
    "empty": (b"", "image/png", 400, "empty"),
    "text": (b"hello", "image/png", 422, "cannot be read as a JPEG or PNG"),
    "another format": (encoded(PICTURE, "GIF"), "image/png", 422, "cannot be read"),
    "cut off": (NOISE[: len(NOISE) // 2], "image/png", 422, "cannot be read"),
    "a depth map": (encoded(np.full((4, 4), 5000, np.uint16)), "image/png", 422, "16-bit grey"),
    "CMYK": (CMYK.getvalue(), "image/jpeg", 422, "CMYK"),
    "60 million pixels": (png_header(10_000, 6_000), "image/png", 422, "more than 50 million"),
    "a bomb": (png_header(60_000, 60_000), "image/png", 422, "cannot be read"),
    "a web page's form": (encoded(PICTURE), "text/plain", 415, "text/plain"),
    "no type": (encoded(PICTURE), None, 415, "not told"),
    "too large": (bytes(MOST_BYTES + 1), "image/png", 413, "more than 32 MiB"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_picture_is_refused_in_words(server: Served, what: str) -> None:
    body, kind, status, words = REFUSED[what]
    for place in PLACES:
        answer = server.post(place, body, kind)
        assert answer.status == status
        assert words in answer.error
        assert not re.search(r"Traceback|0x[0-9a-f]{6}|/site-packages|\.py", answer.error)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7:8000", 200),
        ("attacker.example", 403),
        ("127.0.0.1.attacker.example:8000", 403),
        ("localhost.attacker.example", 403),
        ("[attacker.example]", 403),
        ("", 403),
    ],
)
def test_only_addresses_and_this_machines_own_name_are_answered(
    server: Served, host: str, status: int
) -> None:
    answer = server.ask("/facts", {"Host": host})
    assert answer.status == status
    assert "content-security-policy" in answer.headers
    if status == 403:
        assert "--host" in answer.error


def test_unknown_places_and_methods_are_told_as_json(server: Served) -> None:
    assert server.ask("/nothing").status == 404
    assert server.ask("/nothing").error == "Not Found"
    assert server.ask("/predict").status == 405
    assert server.ask("/", method="DELETE").status == 405
    assert server.ask("/%2e%2e/run.py").status == 404


def test_a_network_that_fails_tells_no_secret(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("a secret of the inside")

    with server.shown.network.register_forward_pre_hook(fail):
        answer = server.post("/predict", encoded(PICTURE))
    assert answer.status == 500
    assert answer.error == "the server failed; its terminal says why"
    assert "content-security-policy" in answer.headers
    assert server.post("/predict", encoded(PICTURE)).status == 200


def test_pictures_are_predicted_one_at_a_time_and_each_gets_its_own(server: Served) -> None:
    inside, most = [0], [0]

    def come(*given: object) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)

    def go(*given: object) -> None:
        inside[0] -= 1

    pictures = [np.roll(PICTURE, 7 * turn, axis=1) for turn in range(MOST_WAITING)]
    network = server.shown.network
    with (
        network.register_forward_pre_hook(come),
        network.register_forward_hook(go),
        ThreadPoolExecutor(MOST_WAITING) as pool,
    ):
        answers = list(pool.map(lambda one: server.post("/predict", encoded(one)), pictures))
    assert most == [1]
    for picture, answer in zip(pictures, answers, strict=True):
        found = unpacked(answer.body)
        assert np.array_equal(found.rgb, picture)
        assert np.array_equal(found.depth, infer(network, picture[None]).depth_m[0])


def test_a_crowd_is_sent_away_and_those_who_wait_are_served(server: Served) -> None:
    entered, opened = threading.Event(), threading.Event()

    def wait(*given: object) -> None:
        entered.set()
        assert opened.wait(30)

    picture = encoded(PICTURE)
    with (
        server.shown.network.register_forward_pre_hook(wait),
        ThreadPoolExecutor(MOST_WAITING + 4) as pool,
    ):
        asked = [pool.submit(server.post, "/predict", picture) for _ in range(MOST_WAITING + 4)]
        assert entered.wait(30)
        until = time.monotonic() + 30
        while sum(one.done() for one in asked) < 4:
            assert time.monotonic() < until
            time.sleep(0.01)
        # The page itself is still there while pictures wait.
        assert server.ask("/facts").status == 200
        opened.set()
        answers = [one.result() for one in asked]
    assert sorted(one.status for one in answers) == [200] * MOST_WAITING + [503] * 4
    assert all("waiting" in one.error for one in answers if one.status == 503)


def test_connections_that_break_or_dawdle_leave_no_trace(
    server: Served, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    for _ in range(MOST_WAITING):
        with socket.create_connection(("127.0.0.1", server.port)) as broken:
            broken.sendall(head + b"Content-Length: 1000\r\n\r\nabc")
    # The server sees the ends a little later; while it does not, they count as waiting.
    until = time.monotonic() + 30
    while server.post("/predict", encoded(PICTURE)).status == 503:
        assert time.monotonic() < until
        time.sleep(0.05)
    with (
        monkeypatch.context() as hurried,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow,
    ):
        hurried.setattr(upload, "_SECONDS", 0.3)
        slow.sendall(head + b"Content-Length: 1000\r\n\r\nabc")
        assert slow.recv(12) == b"HTTP/1.1 408"
    assert server.post("/predict", encoded(PICTURE)).status == 200
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_model_of_depth_alone_and_of_an_unknown_camera(tmp_path: Path) -> None:
    model = put_model(tmp_path / "model", semantics=False)
    card = json.loads((model / "model.json").read_text())
    with serving(model, {**card, "dataset": "mine"}) as server:
        facts = json.loads(server.ask("/facts").body)
        assert (facts["classes"], facts["has_points"]) == (None, False)
        found = unpacked(server.post("/predict", encoded(PICTURE)).body)
        assert (found.classes, found.header["focal_px"]) == (None, None)
        assert server.post("/cloud.ply", encoded(PICTURE)).status == 404
        assert "camera" in server.post("/cloud.ply", encoded(PICTURE)).error
