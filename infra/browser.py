"""A headless Chromium, driven by its DevTools: enough to open pages, click and take pictures."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_START_S = 30.0
_LOOK_S = 0.2


class Page:
    """One tab."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._number = 0

    def open(self, url: str) -> None:
        """Go to an address, from an empty page: of a hash alone a page would take no note."""
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        done = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in done:
            raise RuntimeError(f"{script}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def wait(self, script: str, seconds: float = 30.0) -> bool:
        """Wait until the expression is true; whether it became so in time."""
        until = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_S)
        return True

    def resize(self, width: int, height: int) -> None:
        """Give the page this size, in pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def picture(self) -> bytes:
        """What is to be seen, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result


@contextlib.contextmanager
def browser(width: int, height: int) -> Iterator[Page]:
    """Yield a tab of a Chromium of its own, ended with the block.

    Raises:
        SystemExit: there is no Chromium, or it does not start.
    """
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise SystemExit(f"no browser: none of {', '.join(_PROGRAMS)} is on the PATH")
    with tempfile.TemporaryDirectory(prefix="symbio-browser-", ignore_cleanup_errors=True) as home:
        command = [
            program, "--headless", "--disable-gpu", "--disable-background-networking",
            "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
            "--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank",
        ]  # fmt: skip
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(_tab(_port(Path(home), process)), max_size=None) as socket:
                page = Page(socket)
                page.resize(width, height)
                yield page
        finally:
            process.terminate()
            process.wait()


def _port(home: Path, process: subprocess.Popen[bytes]) -> int:
    """Where the browser listens; it writes that into its folder."""
    told = home / "DevToolsActivePort"
    until = time.monotonic() + _START_S
    while not told.is_file() or not told.read_text():
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"{process.args!r}: did not start")
        time.sleep(_LOOK_S)
    return int(told.read_text().splitlines()[0])


def _tab(port: int) -> str:
    """The WebSocket of the first tab."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
        tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
    return str(tabs[0]["webSocketDebuggerUrl"])
