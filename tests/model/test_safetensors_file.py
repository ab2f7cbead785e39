"""Our judgement of a header against the safetensors library's own, and against hand-made files."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from symbio.errors import SymbioError
from symbio.model.safetensors_file import MAX_HEADER_BYTES, check_header, refuse_pickle

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn,
    torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64,
]  # fmt: skip


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def tensor(begin: int, end: int, **changed: Any) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end], **changed}


def test_what_the_library_writes_is_taken(tmp_path: Path) -> None:
    tensors = {str(dtype): torch.zeros(2, 3).to(dtype) for dtype in DTYPES}
    tensors |= {"scalar": torch.tensor(1.0), "none": torch.zeros(0, 4), "unicode é": torch.ones(1)}
    save_file(tensors, tmp_path / "a", metadata={"format": "pt"})
    check_header(tmp_path / "a")
    assert len(load_file(tmp_path / "a")) == len(tensors)


def test_a_header_whose_length_looks_like_a_pickle_is_taken(tmp_path: Path) -> None:
    """A length of 640 is written 80 02 00 ..., as a pickle of protocol 2 begins."""
    header = json.dumps({"a": tensor(0, 3)}).encode().ljust(640)
    check_header(write(tmp_path / "a", header, b"abc"))
    assert (tmp_path / "a").read_bytes()[:2] == pickle.dumps(0, 2)[:2]
    assert list(load_file(tmp_path / "a")["a"]) == [97, 98, 99]


TWICE = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":' + (
    b'{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
)


@pytest.mark.parametrize(
    ("header", "data", "says"),
    [
        ({"a": tensor(0, 3)}, b"ab", "ends at byte 3 of 2: outside the file"),
        ({"a": tensor(0, 3)}, b"abcd", "1 bytes after the last tensor"),
        ({"a": tensor(1, 3)}, b"abc", "1 bytes before tensor 'a'"),
        ({"a": tensor(0, 2), "b": tensor(1, 3)}, b"abc", "'b' overlaps"),
        ({"a": tensor(0, 2), "b": tensor(0, 2)}, b"ab", "'b' overlaps"),
        ({"a": tensor(0, 3, shape=[2])}, b"abc", r"3 bytes, its shape \[2\]"),
        ({"a": tensor(0, 3, dtype="F32")}, b"abc", r"3 bytes, its shape"),
        ({"a": tensor(0, 3, dtype="pickle")}, b"abc", "unknown dtype 'pickle'"),
        ({"a": tensor(0, 3, data_offsets=[-3, 0])}, b"abc", "no counts"),
        ({"a": tensor(0, 3, shape=[-1, -3])}, b"abc", "no counts"),
        ({"a": tensor(0, 1, shape=[True])}, b"a", "no counts"),
        ({"a": tensor(0, 3, data_offsets=[0, 1, 3])}, b"abc", "unreadable"),
        ({"a": {"shape": [3]}}, b"abc", "unreadable"),
        ({"a": 1}, b"", "unreadable"),
        ([], b"", "unreadable"),
        (b"{", b"", "unreadable"),
        (b"\xff" * 9, b"", "unreadable"),
        (b"[" * 200_000, b"", "unreadable"),
        (TWICE, b"a", "a name appears twice"),
    ],
)
def test_a_garbled_header_is_refused(tmp_path: Path, header: Any, data: bytes, says: str) -> None:
    path = write(tmp_path / "weights.safetensors", header, data)
    with pytest.raises(
        SymbioError, match=rf"weights\.safetensors: is no safetensors file: .*{says}"
    ):
        check_header(path)


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, MAX_HEADER_BYTES + 1, 100])
def test_a_header_longer_than_the_file_or_the_limit_is_not_read(
    tmp_path: Path, length: int
) -> None:
    path = tmp_path / "a"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    with path.open("ab") as file:  # sparse
        file.truncate(8 + 2 if length < 2**20 else 2**25)
    with pytest.raises(SymbioError, match=rf"its header would have {length} bytes"):
        check_header(path)


@pytest.mark.parametrize("start", [b"", b"\0", b"1234567"])
def test_a_file_without_a_length_is_refused(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "a").write_bytes(start)
    with pytest.raises(SymbioError, match=rf"it has {len(start)} bytes"):
        check_header(tmp_path / "a")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", [0, {"a": list(range(100))}, "x" * 10_000_000])
def test_pickles_are_recognised(tmp_path: Path, protocol: int, value: Any) -> None:
    (tmp_path / "a").write_bytes(pickle.dumps(value, protocol))
    with pytest.raises(SymbioError, match="a: is a pickle, not safetensors; .* was not opened"):
        refuse_pickle(tmp_path / "a")


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match="a: no such file"):
        check_header(tmp_path / "a")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_nothing_passes_that_the_library_refuses(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes of a good file are changed, cut off or put in anywhere."""
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    save_file({"a": torch.arange(5.0), "b": torch.ones(2, 2, dtype=torch.int16)}, path)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content)))
    removed = data.draw(st.integers(0, 4))
    content[at : at + removed] = data.draw(st.binary(max_size=4))
    path.write_bytes(content)
    try:
        load_file(path)
        taken = True
    except (SafetensorError, OSError, ValueError, KeyError):
        taken = False
    try:
        check_header(path)
    except SymbioError:
        return
    assert taken
