"""Ranks that die for lack of memory: killed by the real kernel, or aborting under a cap."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from symbio.ranks.ending import OutOfMemory
from symbio.ranks.launch import launch
from symbio.ranks.local import Work
from symbio.ranks.node import Verdict
from symbio.ranks.settings import Settings
from tests.ranks.test_launch import PROJECT, starts, work

_LIMIT_BYTES = 200 * 2**20
_LAUNCHER = (
    "import os, sys\nfrom pathlib import Path\n"
    "Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()))\n"
    "from symbio.ranks.launch import launch\nfrom symbio.ranks.settings import Settings\n"
    "from tests.ranks.test_launch import work\n"
    "print(launch(work('greedy', Path(sys.argv[2])), Settings(ranks=2), Path()))\n"
)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of _LIMIT_BYTES, of version 1 or 2; skipped where none can be made."""
    mounted = Path("/sys/fs/cgroup")
    parent, limit = mounted / "memory", "memory.limit_in_bytes"
    if not parent.is_dir():
        parent, limit = mounted, "memory.max"
    folder = parent / f"symbio-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(_LIMIT_BYTES))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no control group can be made here ({error})")
    yield folder
    folder.rmdir()


def test_a_rank_that_the_kernel_killed_for_memory_is_not_started_again(
    tmp_path: Path, small_group: Path
) -> None:
    command = [sys.executable, "-c", _LAUNCHER, str(small_group), str(tmp_path)]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert "rank 0: killed by the kernel to get memory back" in told.stdout, told
    assert "code=1" in told.stdout
    assert "out_of_memory=True" in told.stdout
    assert len(starts(tmp_path, 0)) == 1


def test_a_rank_that_aborts_under_a_cap_ran_out_of_memory(tmp_path: Path) -> None:
    capped = {"SYMBIO_RANK_MEMORY": "1GiB", "CUDA_VISIBLE_DEVICES": ""}
    arguments = ["aborts", str(tmp_path)]
    verdict = launch(
        Work("test", "tests.ranks.work", arguments, capped), Settings(ranks=1), PROJECT
    )
    assert (verdict.code, verdict.out_of_memory) == (1, True)
    assert "ended by SIGABRT under a cap of 1024 MiB" in str(verdict.message)
    assert len(starts(tmp_path, 0)) == 1


def test_without_a_cap_an_abort_is_a_loss(tmp_path: Path) -> None:
    verdict = launch(work("aborts", tmp_path), Settings(ranks=1, restarts=0), PROJECT)
    assert (verdict.code, verdict.out_of_memory) == (75, False)


def test_the_error_is_no_mistake_and_tells_the_peak() -> None:
    error = OutOfMemory("too much", 5)
    assert (error.exit_code, error.peak_bytes, str(error)) == (1, 5, "too much")
    assert not Verdict(0).out_of_memory
