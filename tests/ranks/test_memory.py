"""The cap on a rank's memory, and which errors mean that there was none."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from symbio.errors import SymbioError
from symbio.ranks.memory import cap_gpu_memory, cap_memory, lift_cap, near_cap, tells_of_memory
from symbio.ranks.settings import rank_memory, settings_from

_CAPPED = """
from symbio.ranks.memory import cap_memory, lift_cap, near_cap, resident_peak
cap_memory()
assert not near_cap()
taken = []
try:
    while True:
        taken.append(bytearray(2**22))
except MemoryError:
    print(len(taken) * 4, near_cap())
lift_cap()
taken.append(bytearray(2**27))
print(near_cap(), resident_peak() >> 20)
"""


def test_a_capped_process_gets_no_more_until_the_cap_is_lifted() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _CAPPED],
        env={"SYMBIO_RANK_MEMORY": "300MiB"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert told[1:3] == ["True", "False"]
    assert 200 < int(told[0]) < 300 < int(told[3]) < 450


def test_a_cap_below_what_the_libraries_take_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBIO_RANK_MEMORY", "50MiB")
    with pytest.raises(SymbioError, match=r"SYMBIO_RANK_MEMORY: 50 MiB are not enough .* take \d+"):
        cap_memory()
    assert not near_cap()
    lift_cap()


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("4GiB", 4 * 2**30), ("1.5 GiB", 3 * 2**29), ("800MiB", 800 * 2**20), ("123456", 123456)],
)
def test_sizes(text: str, num_bytes: int) -> None:
    assert rank_memory({"SYMBIO_RANK_MEMORY": text}) == num_bytes
    assert settings_from({"rank_memory": text}, {}).rank_memory == num_bytes


@pytest.mark.parametrize("text", ["", "0", "4GB", "-1", "much", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SymbioError, match="SYMBIO_RANK_MEMORY='.*': give bytes, or a size"):
        rank_memory({"SYMBIO_RANK_MEMORY": text})
    with pytest.raises(SymbioError, match="--rank-memory='.*'"):
        settings_from({"rank_memory": text}, {})


def test_errors_that_tell_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46)
    wrapped = ValueError("the batch cannot be made")
    wrapped.__cause__ = caught.value
    for error in (
        MemoryError(),
        caught.value,
        wrapped,
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
    ):
        assert tells_of_memory(error), error
    for other in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("memory")):
        assert not tells_of_memory(other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_capped_gpu_gives_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBIO_RANK_MEMORY", "1GiB")
    device = torch.device("cuda", 0)
    cap_gpu_memory(device)
    try:
        with pytest.raises(torch.OutOfMemoryError) as caught:
            torch.empty(2**31, dtype=torch.uint8, device=device)
        assert tells_of_memory(caught.value)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
