"""One frame, read as `symbio prepare` reads it; where that fails, each of its files by itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from symbio.check.finding import Finding
from symbio.data.images import decode_depth, decode_labels, decode_rgb
from symbio.errors import SymbioError
from symbio.prepare.encode import Encoded, encode
from symbio.prepare.entry import Entry, Picture, RawFrame


@dataclass(frozen=True, slots=True)
class Examined:
    """One frame: what prepare would store, or what is wrong with it."""

    entry: Entry
    frame: Encoded | None
    """None if there are findings."""
    findings: list[Finding]


def examine(entry: Entry, label_space: str, shown: bool) -> Examined:
    """Decode a frame's files and judge them; `shown` keeps its arrays for the contact sheet."""
    try:
        return Examined(entry, encode(entry, label_space, shown), [])
    except SymbioError as error:
        return Examined(entry, None, _diagnose(entry, str(error)))


def _diagnose(entry: Entry, refusal: str) -> list[Finding]:
    """Every broken file of a frame that prepare refused for the first of its faults."""
    try:
        raw = entry.read(entry.split)
    except SymbioError as error:
        return [Finding("broken file", entry.source, str(error), entry.split)]
    findings, shapes = [], set()
    for picture, decode in _pictures(raw):
        try:
            shapes.add(_decoded(picture, decode).shape[:2])
        except SymbioError as error:
            damage = _damage(picture)
            kind = "broken file" if damage else "wrong format"
            findings.append(Finding(kind, picture.source, damage or str(error), entry.split))
    if not any(refusal.startswith(finding.file) for finding in findings):
        findings.append(_other(entry, raw, refusal, len(shapes)))
    return findings


def _pictures(raw: RawFrame) -> list[tuple[Picture, Callable[[bytes, str], NDArray[Any]]]]:
    pictures: list[tuple[Picture, Callable[[bytes, str], NDArray[Any]]]]
    pictures = [(raw.image, decode_rgb), (raw.depth, decode_depth)]
    return pictures if raw.truth is None else [*pictures, (raw.truth, decode_labels)]


def _decoded(picture: Picture, decode: Callable[[bytes, str], NDArray[Any]]) -> NDArray[Any]:
    content = picture.content
    return decode(content, picture.source) if isinstance(content, bytes) else content


def _damage(picture: Picture) -> str:
    """Why it is no whole picture of any kind; empty if it is one."""
    assert isinstance(picture.content, bytes), "arrays are not decoded"
    if not picture.content:
        return "the file is empty"
    try:
        Image.open(io.BytesIO(picture.content)).load()
    except UnidentifiedImageError:
        return f"is no picture: it begins with {picture.content[:12]!r}"
    except Exception as error:
        # Pillow raises many types (OSError, SyntaxError, struct.error, ...) on broken files.
        return f"cannot be decoded ({error})"
    return ""


def _other(entry: Entry, raw: RawFrame, refusal: str, num_shapes: int) -> Finding:
    """A fault of a frame whose files can all be decoded."""
    if num_shapes > 1:
        return Finding("sizes differ", entry.source, refusal, entry.split)
    if raw.truth is not None and refusal.startswith(raw.truth.source):
        return Finding("class ids", raw.truth.source, refusal, entry.split)
    at_fault = raw.depth if refusal.startswith(raw.depth.source) else raw.image
    return Finding("wrong format", at_fault.source, refusal, entry.split)
