"""Messages between the hosts of a run: JSON objects, one a line, over TCP.

Like torch's own rendezvous the connection is neither encrypted nor authenticated: it carries
numbers of ranks, ports and words, on a private network.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]

_BEATS_A_LIMIT = 5
_MOST_BYTES = 2**24


class Link:
    """One connection to another process of the run.

    A beat is sent several times within `limit_s`; a peer that is silent for longer is lost, as is
    one that closes the connection.
    """

    def __init__(
        self, connection: socket.socket, limit_s: float, take: Callable[[Message | None], None]
    ) -> None:
        """Start to listen.

        Args:
            connection: open.
            limit_s: silence, seconds, after which the peer counts as lost.
            take: called in a thread of the link with each message, and once with None when the
                peer is lost.
        """
        self._connection = connection
        self._limit_s = limit_s
        self._take = take
        self._sending = threading.Lock()
        self._closed = threading.Event()
        connection.settimeout(limit_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for work in (self._listen, self._beat):
            threading.Thread(target=work, daemon=True).start()

    @property
    def own_address(self) -> str:
        """The address of this end."""
        return str(self._connection.getsockname()[0])

    @property
    def peer_address(self) -> str:
        """The address of the other end."""
        return str(self._connection.getpeername()[0])

    def send(self, message: Message) -> None:
        """Send a message; a peer that is gone is noticed by the listener, not here."""
        line = json.dumps(message).encode() + b"\n"
        try:
            with self._sending:
                self._connection.sendall(line)
        except OSError:
            self.close()

    def close(self) -> None:
        """End the connection."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _beat(self) -> None:
        while not self._closed.wait(self._limit_s / _BEATS_A_LIMIT):
            self.send({})

    def _listen(self) -> None:
        waiting = b""
        try:
            while not self._closed.is_set():
                data = self._connection.recv(65536)
                if not data or len(waiting) > _MOST_BYTES:
                    break
                *lines, waiting = (waiting + data).split(b"\n")
                for message in map(json.loads, lines):
                    if message:
                        self._take(message)
        except (OSError, ValueError):
            pass
        self.close()
        self._take(None)


def connect(address: tuple[str, int], patience_s: float) -> socket.socket:
    """Connect, trying again for `patience_s` seconds: the peer may start later.

    Raises:
        OSError: nobody listens there, or the name is unknown; the last error.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return socket.create_connection(address, timeout=10.0)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
