"""The picture in a request, and no more of it than is allowed."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from symbio.demo.refused import Refused
from symbio.demo.shown import MOST_BYTES

_TYPES = ("image/jpeg", "image/png", "application/octet-stream")
"""None of them may be sent across origins unasked, as text/plain may: the browser asks first, and
this server says no. So no other site's page can keep the model busy."""

_READ_BYTES = 4 * MOST_BYTES
"""Read before giving up: a browser that is still sending does not see an answer."""

_SECONDS = 60.0


async def picture_of(request: Request) -> bytes:
    """The body of a request, at most MOST_BYTES.

    Raises:
        Refused: 400 where there is none, 408 too slow, 413 too large, 415 no picture's type.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            body = await _read(request)
    except TimeoutError as error:
        raise Refused(408, f"the picture did not arrive within {_SECONDS:.0f} s") from error
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise Refused(415, f"the picture's type is {kind or 'not told'}; give a JPEG or PNG file")
    if not body:
        raise Refused(400, "the picture is empty: 0 bytes arrived")
    return body


async def _read(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= MOST_BYTES:
            parts.append(part)
        else:
            parts.clear()
        if size > _READ_BYTES:
            break
    if size > MOST_BYTES:
        most = MOST_BYTES / 2**20
        raise Refused(413, f"the picture has more than {most:.0f} MiB; make it smaller first")
    return b"".join(parts)
