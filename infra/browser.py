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

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Names of the browser, the first of which on the PATH is started."""

_START_S = 30.0
_LOOK_S = 0.2


class Page:
    """One tab."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._number = 0
        self._complaints: list[str] = []
        self._call("Runtime.enable")
        self._call("Log.enable")

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

    def choose(self, selector: str, file: Path) -> None:
        """Give the file to the file input that a CSS selector finds."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve())])

    def keep_downloads(self, folder: Path) -> None:
        """Put what pages hand over into the folder, under the names that they give."""
        where = str(folder.resolve())
        self._call("Browser.setDownloadBehavior", behavior="allow", downloadPath=where)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse's left button at `start`, in pixels of the window, let go at `end`."""
        self.hover(*start)
        self._mouse("mousePressed", *start, button="left", clickCount=1)
        self._mouse("mouseMoved", *end, button="left", buttons=1)
        self._mouse("mouseReleased", *end, button="left", clickCount=1)

    def hover(self, x: float, y: float) -> None:
        """Bring the mouse to a place in the window, in pixels."""
        self._mouse("mouseMoved", x, y)

    def complaints(self) -> list[str]:
        """Errors and warnings of all pages so far: of scripts, policies and requests."""
        self.run("0")  # Whatever was told before this answer has been read.
        return list(self._complaints)

    def resize(self, width: int, height: int) -> None:
        """Give the page this size, in pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def picture(self) -> bytes:
        """What is to be seen, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def _note(self, told: dict[str, Any]) -> None:
        """Keep what an event complains of."""
        what = told.get("params", {})
        if told.get("method") == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            words = details.get("exception", {}).get("description", details["text"])
            self._complaints.append(str(words))
        elif told.get("method") == "Runtime.consoleAPICalled":
            if what["type"] in ("error", "warning", "assert"):
                values = [str(one.get("value", one.get("description"))) for one in what["args"]]
                self._complaints.append(" ".join(values))
        elif told.get("method") == "Log.entryAdded":
            entry = what["entry"]
            if entry["level"] in ("error", "warning"):
                self._complaints.append(f"{entry['text']} {entry.get('url', '')}".strip())

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            self._note(answer)
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
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit(f"no browser: none of {', '.join(PROGRAMS)} is on the PATH")
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
