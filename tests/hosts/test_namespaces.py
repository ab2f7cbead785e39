"""The hosts of these tests are hosts: own names and addresses, cut and mended, gone afterwards."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hosts import remote_shell as remote
from tests.hosts.namespaces import Host, hosts

pytestmark = pytest.mark.usefixtures("can_make_hosts")

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 9000), 1)"
LISTEN = (
    "import socket; s = socket.create_server(('', 9000)); print('open', flush=True); s.accept()"
)


def reaches(host: Host, other: Host) -> bool:
    """Whether a connection can be made, the other host listening for one."""
    listening = other.popen([sys.executable, "-S", "-c", LISTEN], stdout=subprocess.PIPE)
    try:
        assert listening.stdout is not None
        assert listening.stdout.readline() == "open\n"
        host.run([sys.executable, "-S", "-c", CONNECT, other.address])
    except subprocess.CalledProcessError:
        return False
    finally:
        listening.kill()
        listening.communicate()
    return True


def asleep(host: Host) -> subprocess.Popen[str]:
    """A process that has arrived on the host and stays there."""
    process = host.popen(["sh", "-c", "echo here; exec sleep 100"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def test_hosts_reach_each_other_until_one_is_cut_off() -> None:
    with hosts(3) as (alpha, beta, gamma):
        assert [host.run(["cat", "/proc/sys/kernel/hostname"]) for host in (alpha, beta)] == [
            "alpha\n",
            "beta\n",
        ]
        assert reaches(alpha, beta)
        beta.cut()
        assert not reaches(alpha, beta)
        assert reaches(alpha, gamma)
        beta.mend()
        assert reaches(alpha, beta)
        assert reaches(gamma, beta)


def test_what_runs_on_a_host_is_seen_and_killed() -> None:
    with hosts(2) as (alpha, beta):
        sleeping = asleep(alpha)
        assert sleeping.pid in alpha.pids()
        assert beta.pids() == set()
        alpha.kill_all()
        assert sleeping.wait() == -signal.SIGKILL
        assert alpha.pids() == set()
        left = asleep(beta)
    assert left.wait() == -signal.SIGKILL
    for process in (sleeping, left):
        process.communicate()


def test_hosts_of_a_killed_test_run_are_removed_by_the_next() -> None:
    command = [sys.executable, "-m", "tests.hosts.namespaces"]
    script = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert script.stdout is not None
    namespace = script.stdout.readline().split("exec ")[1].split()[0]
    try:
        assert Path("/run/netns", namespace).exists()
    finally:
        script.kill()
        script.communicate()
    with hosts(1):
        assert not Path("/run/netns", namespace).exists()


def test_the_script_removes_its_hosts_on_ctrl_c() -> None:
    command = [sys.executable, "-m", "tests.hosts.namespaces"]
    script = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert script.stdout is not None
    said = [script.stdout.readline() for _ in range(3)]
    assert [line.split(":")[0] for line in said[:2]] == ["alpha 10.77.0.1", "beta 10.77.0.2"]
    script.send_signal(signal.SIGINT)
    script.communicate(timeout=10)
    assert script.returncode == 0
    assert not Path("/run/netns", said[0].split("exec ")[1].split()[0]).exists()


@pytest.mark.parametrize("real", [True, False], ids=["sshd", "stand-in"])
def test_a_remote_shell_runs_on_the_other_host(
    real: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if real and not remote.REAL:
        pytest.skip("no sshd here: the other tests of remote shells use the stand-in")
    monkeypatch.setattr(remote, "REAL", real)
    with hosts(2) as made, remote.remote_shell(made, tmp_path, {"MOOD": "fine"}) as shell:
        command = "cat /proc/sys/kernel/hostname; echo $MOOD; exit 3"
        done = subprocess.run(
            made[0].inside([*shlex.split(shell.command), made[1].address, command]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (3, "beta\nfine\n"), done.stderr
        assert len(shell.servers) == (2 if real else 0)
        deadline = time.monotonic() + 5
        while made[1].pids() - shell.servers:
            assert time.monotonic() < deadline
        assert all(os.path.exists(f"/proc/{pid}") for pid in shell.servers)
