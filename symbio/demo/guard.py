"""What every answer of the page's server carries, and whom it answers at all."""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    # The page's own files and nothing else; pictures from memory.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Refuses names that it was not started for, and puts strict headers on every answer.

    A foreign site can let its own name point here (DNS rebinding) and would then count as this
    page's origin. An address cannot be made to point elsewhere, so every address may be used.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = {"localhost", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI asks."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) == 1 and self._is_known(hosts[0]):
            await self._app(scope, receive, guarded)
        else:
            error = "this server goes by its address, or by the name given with --host"
            await JSONResponse({"error": error}, 403)(scope, receive, guarded)

    def _is_known(self, host: str) -> bool:
        name = name_of(host)
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def name_of(host: str) -> str:
    """Of `name:port`, `address:port` and `[address]:port`, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")
