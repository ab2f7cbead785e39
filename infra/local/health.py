"""Asking a server over HTTP whether it works."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT_S = 5.0
# A proxy named in the environment is not for servers on this machine.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answer(
    url: str, body: dict[str, Any] | None = None, login: tuple[str, str] | None = None
) -> Any:
    """The JSON that a server answers (to a POST, if there is a body); None if it does not.

    `login` is an account and its password, for a server that asks for them.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    if login is not None:
        told = base64.b64encode(":".join(login).encode()).decode()
        request.add_header("Authorization", f"Basic {told}")
    try:
        with _direct.open(request, timeout=_TIMEOUT_S) as response:
            return json.loads(response.read())
    except (OSError, http.client.HTTPException, urllib.error.URLError, ValueError):
        return None
