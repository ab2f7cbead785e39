"""A server that speaks as much of MLflow's REST as a download needs, and lists what it is told to.

It stands for an artifact server that somebody else has taken over; the real one's own defences are
tested in `test_server.py`.
"""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from symbio.tracking.fetched import MANIFEST_TAG

NAME = "symbio-nyu"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_ROOT = "1/models/m-1/artifacts"

Listing = Callable[[str], list[dict[str, Any]]]


@dataclass
class Hostile:
    """One registered version, in whose store anything may be listed."""

    listing: Listing
    """Folder of the package ("" is its root) -> entries: path, is_dir, file_size."""
    manifest_sha256: str = "0" * 64
    contents: dict[str, bytes] = field(default_factory=dict)
    """Name of a file -> what is sent for it; others are sent as b"evil"."""
    downloads: list[str] = field(default_factory=list)
    """Files that were asked for."""
    listings: int = 0
    port: int = 0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, query: dict[str, str]) -> bytes | dict[str, Any] | None:
        """What is answered to GET; None: 404."""
        if path == "/api/2.0/mlflow/model-versions/get":
            tags = [{"key": MANIFEST_TAG, "value": self.manifest_sha256}]
            version = {"name": NAME, "version": "1", "source": "models:/m-1", "tags": tags}
            return {"model_version": {**version, "status": "READY", "run_id": "0"}}
        if path == "/api/2.0/mlflow/registered-models/get":
            return {"registered_model": {"name": NAME}}
        if path == "/api/2.0/mlflow/model-versions/get-download-uri":
            return {"artifact_uri": f"mlflow-artifacts:/{_ROOT}"}
        if path == _ARTIFACTS:
            self.listings += 1
            folder = query["path"].removeprefix(_ROOT).strip("/")
            return {"files": self.listing(folder)}
        if path.startswith(f"{_ARTIFACTS}/{_ROOT}/"):
            name = path.removeprefix(f"{_ARTIFACTS}/{_ROOT}/")
            self.downloads.append(name)
            return self.contents.get(name, b"evil")
        return None


@contextlib.contextmanager
def serving(hostile: Hostile) -> Iterator[Hostile]:
    """Let it answer on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            found = hostile.answer(urllib.parse.unquote(url.path), query)
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hostile.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hostile
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
