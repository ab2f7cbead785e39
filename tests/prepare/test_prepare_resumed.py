"""Interrupted at any moment, `prepare` goes on after what is finished, and the bytes are the same.

Every frame here fills a shard of its own, so that an interruption may fall between any two.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.prepare import prepare as module
from symbio.prepare.encode import Encoded, encode
from symbio.prepare.entry import Entry
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer

ROOT = Path(__file__).parents[2]
ONE_FRAME = 1024
"""Bytes of a shard that no frame fits into twice."""
FRAMES = {"nyu": 8, "kitti": 7}
KILLED = """
import os, signal, sys
from pathlib import Path
from symbio.prepare import prepare as module
from tests.prepare.preparing import Preparer

encode, frame = module.encode, sys.argv[2]

def encode_or_die(entry, *others, **more):
    if entry.key == frame:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(entry, *others, **more)

module.encode = encode_or_die
root = Path(sys.argv[1])
preparer = Preparer.__new__(Preparer)
preparer.raw, preparer.out, preparer.work = root / "raw", root / "data" / "prepared", root / "work"
preparer.run("nyu", workers=1, shard_bytes=1024)
"""


class Interruption:
    """Stands for `encode`: notes what is read, and is interrupted at the n-th frame."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int | None) -> None:
        self.read: list[str] = []
        self._at = at
        monkeypatch.setattr(module, "encode", self)

    def __call__(self, entry: Entry, label_space: str, shown: bool) -> Encoded:
        if len(self.read) == self._at:
            raise KeyboardInterrupt
        self.read.append(entry.key)
        return encode(entry, label_space, shown)


@pytest.fixture(params=["nyu", "kitti"])
def undisturbed(request: pytest.FixtureRequest, preparer: Preparer) -> tuple[str, dict[str, bytes]]:
    """A data set and the bytes of its prepared folder."""
    writers: dict[str, Callable[[Path], object]] = {
        "nyu": official.nyu_sync,
        "kitti": functools.partial(official.kitti, sizes=((24, 80), (25, 81))),
    }
    writers[request.param](preparer.raw)
    return request.param, preparer.run(request.param, shard_bytes=ONE_FRAME).bytes()


def test_goes_on_from_anywhere(
    preparer: Preparer, undisturbed: tuple[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same bytes, report and page included, and no finished frame is read again."""
    dataset, expected = undisturbed
    whole = Interruption(monkeypatch, None)
    assert preparer.run(dataset, workers=1, shard_bytes=ONE_FRAME).bytes() == expected
    assert not preparer.work.exists()
    for at in range(len(whole.read)):
        first = Interruption(monkeypatch, at)
        with pytest.raises(KeyboardInterrupt):
            preparer.run(dataset, workers=1, shard_bytes=ONE_FRAME)
        finished = len(list(preparer.work.glob("*/part-*.json")))
        # The last frame read may be in a shard that is not yet finished.
        assert finished >= at - 2
        rest = Interruption(monkeypatch, None)
        assert preparer.run(dataset, workers=1, shard_bytes=ONE_FRAME).bytes() == expected
        assert len(first.read) == at
        assert rest.read == whole.read[-len(rest.read) :]
        assert len(rest.read) <= len(whole.read) - finished
        assert not preparer.work.exists()


def test_killed(preparer: Preparer) -> None:
    """A process that is killed, not one that can tidy up."""
    official.nyu_sync(preparer.raw)
    expected = preparer.run("nyu", shard_bytes=ONE_FRAME).bytes()
    before = {path.name: path.stat().st_ino for path in preparer.out.iterdir()}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(preparer.raw.parent), "kitchen-00002"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # What was there stays as it was until its successor is whole.
    assert {path.name: path.stat().st_ino for path in preparer.out.iterdir()} == before
    assert len(list(preparer.work.glob("*/part-*.json"))) >= 4
    assert preparer.run("nyu", shard_bytes=ONE_FRAME).bytes() == expected
    assert [path.name for path in preparer.out.parent.iterdir()] == ["prepared"]


@pytest.mark.parametrize("change", ["depth", "behind a link", "params", "list"])
def test_begins_anew_where_something_changed(
    preparer: Preparer, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    official.nyu_sync(preparer.raw)
    if change == "behind a link":
        elsewhere = (preparer.raw / "sync").rename(preparer.raw.parent / "elsewhere")
        (preparer.raw / "sync").symlink_to(elsewhere)
        (elsewhere / "back").symlink_to(preparer.raw)
    Interruption(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        preparer.run("nyu", workers=1, shard_bytes=ONE_FRAME)
    changes = {}
    if change in ("depth", "behind a link"):
        path = next((preparer.raw / "sync").resolve().rglob("sync_depth_00007.png"))
        state = path.stat()
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    elif change == "params":
        changes = {"depth_range": (0.002, 10.0)}
    else:
        lines = (preparer.raw / official.NYU_TRAIN).read_text().splitlines()
        (preparer.raw / official.NYU_TRAIN).write_text("\n".join(reversed(lines)))
    again = Interruption(monkeypatch, None)
    preparer.run("nyu", workers=1, shard_bytes=ONE_FRAME, **changes)
    assert len(again.read) == FRAMES["nyu"]
    assert not preparer.work.exists()


def test_checks_remember_frames_of_the_interrupted_run(
    preparer: Preparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test frame that repeats a training frame, which is not read again."""
    official.nyu_sync(preparer.raw)
    seen = sorted((preparer.raw / "sync").rglob("rgb_00000.jpg"))[0]
    test = preparer.raw / "official_splits/test/study/rgb_00005.jpg"
    test.write_bytes(seen.read_bytes())
    Interruption(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        preparer.run("nyu", workers=1, shard_bytes=ONE_FRAME)
    rest = Interruption(monkeypatch, None)
    with pytest.raises(SymbioError, match="rgb_00005.jpg of split test holds the same pixels"):
        preparer.run("nyu", workers=1, shard_bytes=ONE_FRAME)
    assert len(rest.read) <= 2


def test_a_damaged_shard_is_made_again(preparer: Preparer, monkeypatch: pytest.MonkeyPatch) -> None:
    official.nyu_sync(preparer.raw)
    expected = preparer.run("nyu", shard_bytes=ONE_FRAME).bytes()
    Interruption(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        preparer.run("nyu", workers=1, shard_bytes=ONE_FRAME)
    (shard,) = preparer.work.glob("*/made/train-00001.tar")
    shard.write_bytes(shard.read_bytes()[:-512])
    rest = Interruption(monkeypatch, None)
    assert preparer.run("nyu", workers=1, shard_bytes=ONE_FRAME).bytes() == expected
    assert len(rest.read) == FRAMES["nyu"] - 1


def test_two_at_once_are_refused(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    preparer.work.mkdir()
    with (preparer.work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SymbioError, match="another `symbio prepare` is at work"):
            preparer.run("nyu")
    preparer.run("nyu")


def test_interrupted_after_the_last_frame(
    preparer: Preparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read again where only the page was missing; also without hard links."""
    official.nyu_sync(preparer.raw)
    expected = preparer.run("nyu", shard_bytes=ONE_FRAME).bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_page", interrupted)
        with pytest.raises(KeyboardInterrupt):
            preparer.run("nyu", workers=1, shard_bytes=ONE_FRAME)
    rest = Interruption(monkeypatch, None)
    monkeypatch.setattr(os, "link", no_links)
    assert preparer.run("nyu", workers=1, shard_bytes=ONE_FRAME).bytes() == expected
    assert rest.read == []
