"""The page's server: its files, what the model is, and one prediction at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from symbio.demo.answer import Answer, answer
from symbio.demo.guard import Guard
from symbio.demo.refused import Refused
from symbio.demo.shown import Shown
from symbio.demo.upload import picture_of
from symbio.errors import SymbioError

_PAGE = Path(__file__).with_name("page")
_TYPES = MappingProxyType({
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
})  # fmt: skip
_BINARY = "application/octet-stream"

MOST_WAITING = 8
"""Requests with a picture that are in the house at once, the one being predicted included."""


class _Predictor:
    """Predicts one picture at a time; the others wait in turn, in memory, a few at most."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._turn = asyncio.Lock()
        self._inside = 0

    async def __call__(self, request: Request) -> Answer:
        """Read the request's picture and predict it.

        Raises:
            Refused: the picture is none that can be predicted, or too many wait.
        """
        if self._inside >= MOST_WAITING:
            raise Refused(503, f"{MOST_WAITING} pictures are waiting already; try again shortly")
        self._inside += 1
        try:
            upload = await picture_of(request)
            async with self._turn:
                if await request.is_disconnected():
                    raise ClientDisconnect
                return await run_in_threadpool(answer, self._shown, upload)
        except SymbioError as error:
            raise Refused(422, str(error)) from error
        except ClientDisconnect as error:
            raise Refused(400, "the connection ended before the answer") from error
        finally:
            self._inside -= 1


def app_of(shown: Shown, host: str) -> ASGIApp:
    """The server as an ASGI application; nothing is kept of a picture once it is answered.

    GET `/` and the page's files, `/facts` (JSON), `/example.jpg`. POST a picture's bytes to
    `/predict` (`Answer.packed`), `/depth.png` or `/cloud.ply`. What is refused is told as JSON,
    `{"error": "..."}`.

    Args:
        shown: the model.
        host: the name or address that the server listens on.
    """
    predict = _Predictor(shown)

    async def packed(request: Request) -> Response:
        found = await predict(request)
        return Response(await run_in_threadpool(found.packed), media_type=_BINARY)

    async def depth_png(request: Request) -> Response:
        found = await predict(request)
        return Response(await run_in_threadpool(found.depth_png), media_type="image/png")

    async def cloud_ply(request: Request) -> Response:
        if shown.focal_of_width is None:
            raise Refused(404, "the camera of this model's pictures is not known: no points")
        found = await predict(request)
        return Response(await run_in_threadpool(found.ply), media_type=_BINARY)

    example = "kitti.jpg" if shown.dataset == "kitti" else "nyu.jpg"
    pages = {f"/{path.name}": path for path in sorted(_PAGE.iterdir()) if path.suffix in _TYPES}
    pages |= {"/": pages.pop("/index.html"), "/example.jpg": _PAGE / example}
    facts = shown.facts()

    async def tell_facts(request: Request) -> Response:
        return JSONResponse(facts)

    routes = [
        *(Route(place, _file(path)) for place, path in pages.items()),
        Route("/facts", tell_facts),
        Route("/predict", packed, methods=["POST"]),
        Route("/depth.png", depth_png, methods=["POST"]),
        Route("/cloud.ply", cloud_ply, methods=["POST"]),
    ]
    handlers = {Refused: _tell_refused, HTTPException: _tell_http, Exception: _tell_mishap}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), host)


def _file(path: Path) -> Callable[[Request], Response]:
    content, kind = path.read_bytes(), _TYPES[path.suffix]
    return lambda request: Response(content, media_type=kind)


async def _tell_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": str(error)}, error.status)


async def _tell_http(request: Request, error: Exception) -> Response:
    """No such place, or not with that method."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _tell_mishap(request: Request, error: Exception) -> Response:
    """What no request should cause; the server's own output says more."""
    return JSONResponse({"error": "the server failed; its terminal says why"}, 500)
