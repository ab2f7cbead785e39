"""Ranks forked from a warm parent: like cold ones in everything but the time that they take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from symbio.ranks import warm
from symbio.ranks.ending import RankEnd
from symbio.ranks.launch import launch
from symbio.ranks.local import LocalRanks, Share, Work, listen_locally, loopback
from symbio.ranks.node import Verdict
from symbio.ranks.settings import Settings
from symbio.ranks.warm import WarmRank, warm_ranks
from symbio.train.run import run
from tests.ranks.test_launch import PROJECT, alive, starts, wait_until, work
from tests.train.project import make_project, tiny_params

pytestmark = pytest.mark.slow

FACTS = """
import json, os, signal, stat, sys

def sockets():
    found = []
    for n in map(int, os.listdir("/proc/self/fd")):
        if os.path.exists(f"/proc/self/fd/{n}") and stat.S_ISSOCK(os.stat(n).st_mode):
            found.append(n)
    return found

facts = {
    "name": [__name__, __spec__.name], "arguments": sys.argv[1:], "path": sys.path,
    "environment": dict(os.environ), "folder": os.getcwd(), "leads": os.getsid(0) == os.getpid(),
    "signals": [str(signal.getsignal(name)) for name in (signal.SIGINT, signal.SIGPIPE)],
    "stdio": [os.readlink(f"/proc/self/fd/{n}") for n in range(3)],
    "only the rendezvous": sockets() == [int(os.environ["SYMBIO_RENDEZVOUS_FD"])],
    "torch": "torch" in sys.modules,
}
with open("facts.json", "w") as file:
    json.dump(facts, file)
print("said")
sys.exit("the last word")
"""
OWNER = """
import sys, time
from pathlib import Path
from symbio.ranks import warm
from tests.ranks.test_warm import started
with warm.warm_ranks():
    ranks = started("waits", Path(sys.argv[1]))
    print(warm._warmth._parent._process.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module", autouse=True)
def _warm() -> Iterator[None]:
    # Else one rank would get more threads than two, another environment that is.
    with pytest.MonkeyPatch.context() as patch, warm_ranks():
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def started(behaviour: str, folder: Path) -> LocalRanks:
    """Two ranks of `tests.ranks.work`."""
    return start(work(behaviour, folder))


def start(what: Work, ranks: int = 2) -> LocalRanks:
    _forget_test()
    with listen_locally() as listener:
        address, port = listener.getsockname()
        share = Share(ranks, 0, ranks, 0, 1, (address, port))
        return LocalRanks(what, share, listener, loopback())


def ends(ranks: LocalRanks) -> list[RankEnd]:
    wait_until(lambda: not ranks.running)
    return ranks.report().ends


def test_a_fork_finds_what_a_new_process_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "facts.py").write_text(FACTS)
    monkeypatch.chdir(tmp_path)
    what = Work("facts", "facts", ["--a", "b c"], {"SYMBIO_WORD": "ü"})
    found: list[dict[str, Any]] = []
    for is_warm in (True, False):
        if not is_warm:
            monkeypatch.setattr(warm, "_warmth", None)
        assert [end.code for end in ends(start(what, 1))] == [1]
        assert capfd.readouterr() == ("said\n", "the last word\n")
        found.append(json.loads((tmp_path / "facts.json").read_text()))
    forked, cold = found
    assert (forked.pop("torch"), cold.pop("torch")) == (True, False)
    # Imports add to environment and path, as those of a cold rank do once it comes to them.
    assert forked["path"][: len(cold["path"])] == cold["path"]
    del forked["path"], cold["path"]
    variables, others = forked.pop("environment"), cold.pop("environment")
    own = ("SYMBIO_ERRORS", "SYMBIO_LAUNCHER", "SYMBIO_RENDEZVOUS_FD", "MASTER_PORT")
    assert {n: variables[n] for n in others if n not in own} == {
        n: text for n, text in others.items() if n not in own
    }
    assert others["SYMBIO_WORD"] == "ü"
    assert forked == cold
    assert forked["only the rendezvous"]
    assert forked["folder"] == str(tmp_path)


@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [
        ("ok", Verdict(0)),
        ("mistaken", Verdict(2, "rank 0: the parameter is wrong")),
        ("always killed", None),
    ],
)
def test_their_launcher_sees_the_same_ends(
    tmp_path: Path, behaviour: str, verdict: Verdict | None
) -> None:
    _forget_test()
    told = launch(work(behaviour, tmp_path), Settings(ranks=2, restarts=1), PROJECT)
    given = [line.split(maxsplit=2)[2] for line in starts(tmp_path, 0)]
    if verdict is None:
        assert told.code == 75
        assert "was killed by SIGKILL (after 1 restarts)" in str(told.message)
        assert given == ["[]", "['again']"]
    else:
        assert (told, given) == (verdict, ["[]"])


def test_signals_reach_them(tmp_path: Path) -> None:
    for behaviour, codes in (("waits", [75, 75]), ("deaf", [-9, -9])):
        folder = tmp_path / behaviour
        folder.mkdir()
        ranks = started(behaviour, folder)
        assert all(isinstance(process, WarmRank) for process in ranks._processes)
        wait_until(lambda folder=folder: len(list(folder.glob("ready-*"))) == 2)
        assert sorted(process.pid for process in ranks._processes) == sorted(alive(folder))
        ranks.signal(signal.SIGTERM)
        if behaviour == "deaf":
            ranks.kill()
        told = ends(ranks)
        assert [end.code for end in told] == codes
        assert [end.ended_by_us for end in told] == [behaviour == "deaf"] * 2


def test_nobody_is_left_when_the_owner_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        parent = int(owner.stdout.readline())
        wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
        assert len(alive(tmp_path)) == 2
        owner.kill()
    wait_until(lambda: alive(tmp_path) == [] and not Path(f"/proc/{parent}").exists(), 5.0)


def test_another_environment_is_started_cold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    assert [end.code for end in ends(started("ok", tmp_path / "a"))] == [0, 0]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    ranks = started("ok", tmp_path)
    assert not any(isinstance(process, WarmRank) for process in ranks._processes)
    assert [end.code for end in ends(ranks)] == [0, 0]
    assert capsys.readouterr().err.count("another OMP_NUM_THREADS") == 1


def test_hosts_with_gpus_start_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_warmth", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with warm_ranks():
        assert warm._warmth is None


def test_a_warm_training_gives_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = []
    for is_warm in (True, False):
        if not is_warm:
            monkeypatch.setattr(warm, "_warmth", None)
        _forget_test()
        root = make_project(tmp_path / str(is_warm))
        told = run(tiny_params(validate_every=2), "nyu", root, Settings(ranks=2))
        assert told["state"] == "finished"
        weights.append(load_file(Path(told["model"]) / "weights.safetensors"))
    forked, cold = weights
    assert forked.keys() == cold.keys()
    assert all(torch.equal(forked[name], cold[name]) for name in cold)


def test_a_dead_warm_parent_takes_its_ranks_along_and_is_replaced(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    ranks = started("waits", tmp_path / "a")
    wait_until(lambda: len(list((tmp_path / "a").glob("ready-*"))) == 2)
    assert warm._warmth is not None
    assert warm._warmth._parent is not None
    warm._warmth._parent._process.kill()
    assert [end.code for end in ends(ranks)] == [-9, -9]
    wait_until(lambda: alive(tmp_path / "a") == [])
    ranks = started("ok", tmp_path / "b")
    assert all(isinstance(process, WarmRank) for process in ranks._processes)
    assert [end.code for end in ends(ranks)] == [0, 0]


def _forget_test() -> None:
    """pytest notes each test in the environment, and another environment is started cold."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)
