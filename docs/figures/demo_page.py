"""The documentation's picture of the page that `symbio demo` shows.

Run `make demo` first, then `python docs/figures/demo_page.py`. Needs Chromium.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from infra.browser import Page, browser

ROOT = Path(__file__).parents[2]
SIZE = (1000, 1330)
STARTED_S = 60.0
MODEL = "models/nyu"


def main() -> None:
    """Write docs/figures/demo-page.png."""
    command = [sys.executable, "-m", "symbio.cli", "demo", MODEL, "--port", "0"]
    server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        address = re.search(r"http://\S+", server.stderr.readline())
        if address is None:
            raise SystemExit(f"{' '.join(command)}: did not start")
        with browser(*SIZE) as page:
            page.open(address.group())
            picture = taken(page)
    finally:
        server.terminate()
        server.wait()
    # All colours: the scale of depth has hundreds.
    (ROOT / "docs/figures/demo-page.png").write_bytes(picture)


def taken(page: Page) -> bytes:
    """The example on the page, the mouse on the person in it."""
    for script in (
        "!!document.getElementById('facts')?.textContent.trim()",
        "document.getElementById('example').click() || true",
        "document.getElementById('status').textContent.includes('pixels in')",
    ):
        if not page.wait(script, STARTED_S):
            raise SystemExit(f"the page did not come as far as {script}")
    box = "document.getElementById('depth').getBoundingClientRect()"
    page.hover(page.run(f"{box}.x + 0.4 * {box}.width"), page.run(f"{box}.y + 0.6 * {box}.height"))
    # Drawn with the next frame.
    time.sleep(0.5)
    return page.picture()


if __name__ == "__main__":
    main()
