"""Starting, losing, restarting and stopping ranks, with real processes on one or two nodes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.ranks.job import Job, Plan
from symbio.ranks.launch import launch
from symbio.ranks.local import Work, run_here
from symbio.ranks.node import Verdict
from symbio.ranks.settings import Settings
from symbio.ranks.ssh import Host, read_hostfile

PROJECT = Path(__file__).parents[2]
NODE = (
    "import sys\nfrom pathlib import Path\nfrom symbio.ranks.launch import launch\n"
    "from symbio.ranks.settings import Settings\nfrom tests.ranks.test_launch import work\n"
    "settings = Settings(ranks=1, nodes=2, node_rank=int(sys.argv[3]), restarts=1, grace_s=3,\n"
    "    master=('127.0.0.1', int(sys.argv[4])), host_timeout_s=2)\n"
    "verdict = launch(work(sys.argv[1], Path(sys.argv[2])), settings, Path())\n"
    "print(verdict)\nsys.exit(verdict.code)\n"
)


def work(behaviour: str, folder: Path) -> Work:
    """Work of `tests.ranks.work`; a restart is told by an argument of its own."""
    arguments = [behaviour, str(folder)]
    return Work("test", "tests.ranks.work", arguments, {}, [*arguments, "again"])


def starts(folder: Path, rank: int) -> list[str]:
    """One line a start of the rank."""
    return (folder / f"starts-{rank}").read_text().splitlines()


def alive(folder: Path) -> list[int]:
    """Processes of ranks that still run."""
    lines = [line for path in folder.glob("starts-*") for line in path.read_text().splitlines()]
    return [
        pid for pid in (int(line.split()[1]) for line in lines) if Path(f"/proc/{pid}").exists()
    ]


def wait_until(holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


def node(behaviour: str, folder: Path, rank: int, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", NODE, behaviour, str(folder), str(rank), str(port)]
    return subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize(
    ("behaviour", "verdict", "times"),
    [
        ("ok", Verdict(0), 1),
        ("mistaken", Verdict(2, "rank 0: the parameter is wrong"), 1),
        ("broken", Verdict(1, "rank 0: ZeroDivisionError: division by zero"), 1),
    ],
)
def test_what_no_restart_can_help_is_not_started_again(
    tmp_path: Path, behaviour: str, verdict: Verdict, times: int
) -> None:
    assert launch(work(behaviour, tmp_path), Settings(ranks=2), PROJECT) == verdict
    assert len(starts(tmp_path, 0)) == len(starts(tmp_path, 1)) == times


def test_a_killed_rank_is_started_again_up_to_the_limit(tmp_path: Path) -> None:
    verdict = launch(work("always killed", tmp_path), Settings(ranks=2, restarts=2), PROJECT)
    assert verdict.code == 75
    assert f"rank 0 on {socket.gethostname()} was killed by SIGKILL (after 2" in str(
        verdict.message
    )
    assert [line.split(maxsplit=2)[2] for line in starts(tmp_path, 0)] == [
        "[]",
        "['again']",
        "['again']",
    ]


@pytest.mark.slow
def test_the_others_of_a_killed_rank_are_ended_before_the_restart(tmp_path: Path) -> None:
    assert launch(work("killed once", tmp_path), Settings(ranks=2), PROJECT) == Verdict(0)
    assert len(starts(tmp_path, 0)) == len(starts(tmp_path, 1)) == 2


def test_two_nodes_share_the_ranks(tmp_path: Path, port: int) -> None:
    nodes = [node("ok", tmp_path, rank, port) for rank in (1, 0)]
    said = [process.communicate(timeout=30)[0] for process in nodes]
    assert [process.returncode for process in nodes] == [0, 0], said
    assert [starts(tmp_path, rank)[0].split()[0] for rank in (0, 1)] == ["2", "2"]


@pytest.mark.parametrize("asked", [0, 1])
def test_a_request_to_stop_one_node_stops_all_in_order(
    tmp_path: Path, port: int, asked: int
) -> None:
    nodes = [node("waits", tmp_path, rank, port) for rank in (0, 1)]
    wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
    nodes[asked].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=20)[0] for process in nodes]
    assert [process.returncode for process in nodes] == [75, 75], said
    assert all("stopped=True" in text for text in said)


def test_ranks_that_do_not_stop_are_killed_after_the_grace(tmp_path: Path, port: int) -> None:
    nodes = [node("deaf", tmp_path, rank, port) for rank in (0, 1)]
    wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
    begun = time.monotonic()
    nodes[0].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=20)[0] for process in nodes]
    assert 3 <= time.monotonic() - begun < 8
    assert all("within 3 s of the request" in text for text in said)
    assert alive(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_launcher_takes_its_ranks_along_and_the_other_node_ends(
    tmp_path: Path, port: int, killed: int
) -> None:
    nodes = [node("waits", tmp_path, rank, port) for rank in (0, 1)]
    wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
    nodes[killed].kill()
    said = nodes[1 - killed].communicate(timeout=40)[0]
    assert nodes[1 - killed].returncode == 75, said
    assert "lost" in said
    wait_until(lambda: alive(tmp_path) == [])
    nodes[killed].communicate()


def test_a_node_of_another_run_is_refused_and_a_stranger_is_ignored() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    plan = Plan(Work("train nyu", "x", [], {}), ["127.0.0.1"], 1, 0, 2.0, 2.0)
    job = Job(plan, listener)
    for text in (b"GET / HTTP/1.1\r\n\r\n", b'{"start": 1}\n', b"[]\n" * 3):
        with socket.create_connection(listener.getsockname()) as stranger:
            stranger.sendall(text)
    hello = {"name": "train kitti", "version": "0", "node": 3, "ranks": 1, "host": "b"}
    with socket.create_connection(listener.getsockname()) as guest:
        guest.sendall(json.dumps({"hello": hello}).encode() + b"\n")
        for _ in range(8):
            job._take(0.5)
        answer = json.loads(guest.makefile().readline())
    assert answer["done"]["code"] == 2
    for part in ("host b is refused", "'train kitti'", "node rank 3", "version '0'"):
        assert part in answer["done"]["message"]
    listener.close()


def test_a_world_that_cannot_be_dealt_is_refused(tmp_path: Path) -> None:
    def check(world: int) -> None:
        raise SymbioError(f"not on {world} ranks")

    verdict = launch(work("ok", tmp_path), Settings(ranks=2), PROJECT, check)
    assert verdict == Verdict(2, "not on 2 ranks")
    assert not list(tmp_path.iterdir())


def test_what_the_callback_raises_ends_the_ranks(tmp_path: Path) -> None:
    def prune() -> None:
        if (tmp_path / "ready-0").exists():
            raise RuntimeError("pruned")

    with pytest.raises(RuntimeError, match="pruned"):
        launch(work("waits", tmp_path), Settings(ranks=2), PROJECT, while_running=prune)
    assert alive(tmp_path) == []


def test_hostfile_of_this_host(tmp_path: Path) -> None:
    hostfile = tmp_path / "hosts"
    hostfile.write_text("127.0.0.1 slots=2  # this one\n")
    (tmp_path / "out").mkdir()
    settings = Settings(ranks=1, hostfile=hostfile)
    assert launch(work("ok", tmp_path / "out"), settings, PROJECT) == Verdict(0)
    assert starts(tmp_path / "out", 1)[0].startswith("2 ")


def test_reading_a_hostfile(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# lab\n\ngpu-a slots=8\ngpu-b.lab  # as many as it has\n")
    assert read_hostfile(path) == [Host("gpu-a", 8), Host("gpu-b.lab", None)]
    for text, problem in [
        ("gpu-a slots=0", ":1: 'gpu-a slots=0'"),
        ("a\nb c", ":2: 'b c'"),
        ("a\na slots=2", ":2: host a comes twice"),
        ("-oProxyCommand=x", "give `NAME slots=N`"),
        ("a\nlocalhost", "give an address"),
        ("# none", "names no host"),
    ]:
        path.write_text(text)
        with pytest.raises(SymbioError) as caught:
            read_hostfile(path)
        assert problem in str(caught.value)


def test_run_here_tells_the_first_failure(tmp_path: Path) -> None:
    run_here("tests.ranks.work", ["ok", str(tmp_path)], 2)
    with pytest.raises(SymbioError, match="rank 0: the parameter is wrong"):
        run_here("tests.ranks.work", ["mistaken", str(tmp_path)], 2)


def test_a_rank_whose_launcher_is_dead_already_ends_at_once() -> None:
    code = "from symbio.ranks.place import die_with_parent; die_with_parent(); print('on')"
    environment = {**os.environ, "SYMBIO_LAUNCHER": "1"}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (75, "")


def test_a_host_that_no_shell_reaches_ends_the_start_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBIO_SSH", "false")
    hostfile = tmp_path / "hosts"
    hostfile.write_text("192.0.2.77\n")  # an address for documentation: nobody's
    begun = time.monotonic()
    verdict = launch(work("ok", tmp_path), Settings(ranks=1, hostfile=hostfile), PROJECT)
    assert verdict.code == 2
    assert "host 192.0.2.77: the remote shell ended with code 1" in str(verdict.message)
    assert time.monotonic() - begun < 10
