"""The verb `demo`."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from symbio.errors import SymbioError
from symbio.progress import say

if TYPE_CHECKING:
    from uvicorn import Server

    from symbio.demo.shown import Shown

_SECONDS_TO_END = 5
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Address to listen on -> address at which this machine reaches itself."""


def run(model: str, root: Path, host: str = "127.0.0.1", port: int = 8000) -> int:
    """Show a model on a page until Ctrl-C; no file is written, nothing outside is asked.

    Args:
        model: as `symbio.predict.source.open_model` takes it.
        root: the project's folder.
        host: name or address to listen on. There is no password: only this machine's users
            reach the default; 0.0.0.0 lets in everybody who reaches the machine.
        port: 0 takes any that is free.

    Raises:
        SymbioError: there is no such model, or the place to listen cannot be had.
    """
    with _listening(host, port) as listener:
        import torch

        from symbio.demo.shown import Shown
        from symbio.predict.source import open_model

        device = "cuda" if torch.cuda.is_available() else "cpu"
        network, card = open_model(model, root, device)
        server = server_of(Shown(model, network, card), host)
        name = _EVERYWHERE.get(host, host)
        shown = f"[{name}]" if ":" in name else name
        say(f"http://{shown}:{listener.getsockname()[1]}/ shows {model} (Ctrl-C ends it)")
        # uvicorn hands the signal on once it has ended in order.
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listener])
    return 0


def server_of(shown: Shown, host: str) -> Server:
    """The page's server, which `run` starts on a socket that listens already."""
    from uvicorn import Config, Server

    from symbio.demo.server import app_of

    return Server(
        Config(
            app_of(shown, host),
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SECONDS_TO_END,
        )
    )


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; before the model is loaded, so that a taken port is told at once."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SymbioError(f"{host}, port {port}: {why}; choose another --host or --port") from error
