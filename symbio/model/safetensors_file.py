"""Whether a file is a safetensors file, seen from its header alone, before anything loads it.

The format: 8 bytes, the header's length as an unsigned little-endian number; the header, a JSON
object of tensor name -> dtype, shape and data_offsets (first byte, one past the last, counted from
the header's end); then the tensors' bytes, without gaps
(https://github.com/huggingface/safetensors, "Format"). Nothing in it can run code, which cannot be
said of the pickles that `torch.save` writes: those are recognised here, and never opened.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError

MAX_HEADER_BYTES = 16 * 2**20
"""The library's own limit is 100 MB; a network of 3 000 tensors has 0.3 MB."""

_LENGTH_BYTES = 8
_ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2,
    "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
_NO_TENSOR = "__metadata__"


def refuse_pickle(path: Path) -> None:
    """See that a file does not begin as a pickle, or as the zip archive around one, begins.

    Raises:
        SymbioError: it does, or there is no such file.
    """
    start = _start(path)
    # The length of a header may look like anything; a pickle has no brace after it.
    if start[_LENGTH_BYTES:] == b"{" and _length(start) <= MAX_HEADER_BYTES:
        return
    kind = None
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        kind = "a zip archive, as torch.save writes it around a pickle"
    elif start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        kind = "a pickle"
    if kind is not None:
        raise SymbioError(
            f"{path}: is {kind}, not safetensors; loading it could run anything, so it was not "
            "opened"
        )


def check_header(path: Path) -> None:
    """See that a file is a whole safetensors file, as far as its header tells.

    Raises:
        SymbioError: it is a pickle or a zip archive; its header is too long, no JSON, or describes
            tensors that overlap, leave gaps, or lie outside the file.
    """
    refuse_pickle(path)
    size = path.stat().st_size
    if size < _LENGTH_BYTES:
        raise _broken(path, f"it has {size} bytes, the length of a header has {_LENGTH_BYTES}")
    length = _length(_start(path))
    room = size - _LENGTH_BYTES
    if length > min(room, MAX_HEADER_BYTES):
        raise _broken(
            path,
            f"its header would have {length} bytes; {room} follow, and {MAX_HEADER_BYTES} are "
            "the most that is read",
        )
    with path.open("rb") as file:
        file.seek(_LENGTH_BYTES)
        text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
        spans = sorted(_span(name, value) for name, value in header.items() if name != _NO_TENSOR)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise _broken(path, f"its header is unreadable ({reason:.200})") from error
    _require_adjoining(path, spans, room - length)


def _require_adjoining(path: Path, spans: list[tuple[int, int, str]], data_bytes: int) -> None:
    """Tensors lie one after the other, from the first byte of the data to the last."""
    end_before = 0
    for begin, end, name in spans:
        if end > data_bytes:
            raise _broken(
                path, f"tensor {name!r:.80} ends at byte {end} of {data_bytes}: outside the file"
            )
        if begin < end_before:
            raise _broken(path, f"tensor {name!r:.80} overlaps the one before it")
        if begin > end_before:
            raise _broken(
                path, f"{begin - end_before} bytes before tensor {name!r:.80} are no one's"
            )
        end_before = end
    if end_before != data_bytes:
        raise _broken(path, f"{data_bytes - end_before} bytes after the last tensor are no one's")


def _span(name: str, value: Any) -> tuple[int, int, str]:
    """First byte, one past the last, and name of a tensor whose shape explains them."""
    shape, (begin, end) = value["shape"], value["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"tensor {name!r:.80} has sizes that are no counts")
    item = _ITEM_BYTES.get(value["dtype"])
    if item is None:
        raise ValueError(f"tensor {name!r:.80} has the unknown dtype {value['dtype']!r:.40}")
    if end - begin != item * math.prod(shape):
        raise ValueError(f"tensor {name!r:.80} has {end - begin} bytes, its shape {shape!r:.80}")
    return begin, end, name


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ: of two values each reader would choose its own."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _start(path: Path) -> bytes:
    """The length of the header, and the header's first byte."""
    if not path.is_file():
        raise SymbioError(f"{path}: no such file")
    with path.open("rb") as file:
        return file.read(_LENGTH_BYTES + 1)


def _length(start: bytes) -> int:
    return int.from_bytes(start[:_LENGTH_BYTES], "little")


def _broken(path: Path, what: str) -> SymbioError:
    return SymbioError(f"{path}: is no safetensors file: {what}")
