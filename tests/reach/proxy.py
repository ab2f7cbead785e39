"""An HTTP proxy in front of a real server, which can be made to fail as servers and networks do.

Each connection carries one request (the proxy asks for `Connection: close`), so a fault strikes
every request from the moment it is set.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

PASS, UNAVAILABLE, CUT, HANG, LATE = "pass", "unavailable", "cut", "hang", "late"
"""Forward; answer 503; hang up inside the request's body; take the request and stay silent;
forward it a while after the client has given up.
"""

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_BLOCK = 1 << 16
_CUT_AFTER = 1000
_LATE_S = 1.0


class Proxy:
    """Switchboard of the running proxy.

    `seen` counts requests by what was done to them; `carried_out` is set after a late one, to
    which the server said `late_answers`.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.seen: Counter[str] = Counter()
        self.ended, self.carried_out = threading.Event(), threading.Event()
        self.late_answers = b""
        self._lock = threading.Lock()
        self._fault = PASS
        self._seconds = self._until = 0.0
        self._requests = 0
        self._only: Callable[[bytes], bool] = lambda head: True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(
        self,
        fault: str,
        *,
        seconds: float = 3600.0,
        requests: int = 1_000_000,
        only: Callable[[bytes], bool] = lambda head: True,
    ) -> None:
        """Do `fault` to the next `requests` requests within `seconds` whose head is one of `only`.

        The seconds begin with the first of them.
        """
        with self._lock:
            self._fault, self._requests, self._only = fault, requests, only
            self._until, self._seconds = 0.0, seconds

    def heal(self) -> None:
        """Forward everything again."""
        self.fail(PASS)

    def verdict(self, head: bytes) -> str:
        """What to do with the request that begins with `head`."""
        with self._lock:
            verdict = self._fault if self._only(head) else PASS
            if verdict != PASS:
                self._until = self._until or time.monotonic() + self._seconds
                self._requests -= 1
                if self._requests < 0 or time.monotonic() > self._until:
                    verdict = self._fault = PASS
            self.seen[verdict] += 1
            return verdict


@contextlib.contextmanager
def proxy_to(target: int) -> Iterator[Proxy]:
    """A proxy to port `target` of this machine."""
    proxy = Proxy(target)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                _handle(proxy, self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.ended.set()
            server.shutdown()
            thread.join()


def _handle(proxy: Proxy, client: socket.socket) -> None:
    head, body = _read_head(client)
    if not head:
        return
    verdict = proxy.verdict(head)
    if verdict == UNAVAILABLE:
        # The body first: closing with bytes unread would be a reset instead of an answer.
        _drain(client, head, len(body))
        client.sendall(_UNAVAILABLE)
    elif verdict == HANG:
        proxy.ended.wait()
    elif verdict == LATE:
        while block := client.recv(_BLOCK):
            body += block
        proxy.ended.wait(_LATE_S)
        with socket.create_connection(("127.0.0.1", proxy.target)) as server:
            server.sendall(_closing(head) + body)
            # To the end: before the answer may come a 100 that asks for the body.
            while answer := server.recv(_BLOCK):
                proxy.late_answers += answer
        proxy.carried_out.set()
    else:
        with socket.create_connection(("127.0.0.1", proxy.target)) as server:
            server.sendall(_closing(head))
            if verdict == CUT:
                server.sendall(body[:_CUT_AFTER])
                return
            server.sendall(body)
            threading.Thread(target=_pour, args=(client, server), daemon=True).start()
            _pour(server, client)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """The request's head, blank line included, and what came of its body with it."""
    read = b""
    while b"\r\n\r\n" not in read:
        block = client.recv(_BLOCK)
        if not block:
            return b"", b""
        read += block
    end = read.index(b"\r\n\r\n") + 4
    return read[:end], read[end:]


def _closing(head: bytes) -> bytes:
    lines = [one for one in head.split(b"\r\n") if not one.lower().startswith(b"connection:")]
    return b"\r\n".join([lines[0], b"Connection: close", *lines[1:]])


def _drain(client: socket.socket, head: bytes, done: int) -> None:
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if b"expect" in fields:
        return
    left = int(fields.get(b"content-length", 0)) - done
    while left > 0 and (block := client.recv(_BLOCK)):
        left -= len(block)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(_BLOCK):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)
