"""The page's server on a port of its own, and plain requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symbio.demo.run import server_of
from symbio.demo.shown import Shown
from symbio.model.saved import load_network


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        told = json.loads(self.body)
        assert list(told) == ["error"]
        return str(told["error"])


@dataclass(frozen=True)
class Served:
    port: int
    shown: Shown

    def ask(self, place: str, headers: dict[str, str] | None = None, method: str = "GET") -> Reply:
        return self._send(method, place, None, headers or {})

    def post(self, place: str, body: bytes, kind: str | None = "image/png") -> Reply:
        return self._send("POST", place, body, {} if kind is None else {"Content-Type": kind})

    def _send(self, method: str, place: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        ) as connection:
            connection.request(method, place, body, headers)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, answer.read())


@contextlib.contextmanager
def serving(model: Path, card: dict[str, Any] | None = None) -> Iterator[Served]:
    """Serve a model's folder; `card` replaces what the model says about itself."""
    network, own = load_network(model)
    shown = Shown("models/tiny", network, own if card is None else card)
    server = server_of(shown, "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            until = time.monotonic() + 30
            while not server.started:
                assert time.monotonic() < until
                time.sleep(0.01)
            yield Served(listener.getsockname()[1], shown)
        finally:
            server.should_exit = True
            thread.join()


@dataclass(frozen=True)
class Unpacked:
    header: dict[str, Any]
    depth: np.ndarray
    classes: np.ndarray | None
    rgb: np.ndarray


def unpacked(body: bytes) -> Unpacked:
    """What `/predict` answers, read by the format's description alone."""
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    height, width = header["height"], header["width"]
    pixels = height * width
    assert (4 + length) % 4 == 0
    depth_end = 4 + length + 4 * pixels
    depth = np.frombuffer(body[4 + length : depth_end], "<f4").reshape(height, width)
    rest = np.frombuffer(body[depth_end:], np.uint8)
    classes = None
    if header["has_classes"]:
        classes, rest = rest[:pixels].reshape(height, width), rest[pixels:]
    return Unpacked(header, depth, classes, rest.reshape(height, width, 3))
