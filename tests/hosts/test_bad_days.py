"""Bad days: what dies, hangs or is cut off in the middle of a run over hosts changes no result."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from symbio.ranks.local import AFTER_FAILURE_S
from symbio.train.records.status import read_status
from tests.hosts.job import (
    RUN,
    STEPS,
    Job,
    assert_each_frame_once,
    assert_equal_weights,
    exported,
    job_on_hosts,
    losses,
    project,
    send,
    start_by_hostfile,
    start_on_each,
    started_from,
)
from tests.hosts.namespaces import Host
from tests.hosts.remote_shell import RemoteShell

pytestmark = pytest.mark.slow

SEED = 20261122
HOST_TIMEOUT_S = 6
STEP_TIMEOUT_S = 8
GRACE_S = 20
SLACK_S = 10
"""For a loaded machine."""

LIMITS = {
    "SYMBIO_HOST_TIMEOUT": str(HOST_TIMEOUT_S),
    "SYMBIO_STEP_TIMEOUT": str(STEP_TIMEOUT_S),
    "SYMBIO_GRACE": str(GRACE_S),
}


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong."""

    strike: Callable[[Job, Host], None]
    noticed_s: float
    """After how long it must be known."""
    by_hostfile: bool
    """How the run was started."""


def _rank(job: Job, host: Host) -> None:
    send(job.ranks(host), signal.SIGKILL)


def _launcher(job: Job, host: Host) -> None:
    send(job.launchers(host), signal.SIGKILL)


def _host(job: Job, host: Host) -> None:
    host.kill_all()


def _link(job: Job, host: Host) -> None:
    host.cut()


def _stopped(job: Job, host: Host) -> None:
    send(job.ranks(host), signal.SIGSTOP)


FAULTS = {
    "rank killed": Fault(_rank, 1, by_hostfile=True),
    "launcher killed": Fault(_launcher, 1, by_hostfile=True),
    "host killed": Fault(_host, 1, by_hostfile=False),
    "link cut": Fault(_link, HOST_TIMEOUT_S, by_hostfile=False),
    "rank stopped": Fault(_stopped, STEP_TIMEOUT_S, by_hostfile=False),
}


@dataclass(frozen=True)
class Moment:
    """When and where."""

    step: int
    delay_s: float
    host: int

    def __str__(self) -> str:
        return f"{self.delay_s * 1000:.0f} ms after step {self.step} on host {self.host}"


def moments() -> list[Moment]:
    """Five random moments, always the same, after the first checkpoint; the hosts take turns."""
    rng = random.Random(SEED)
    return [
        Moment(rng.randrange(14, STEPS - 10), rng.uniform(0, 0.1), host=(number + 1) % 2)
        for number in range(len(FAULTS))
    ]


@pytest.mark.parametrize(
    ("name", "moment"), list(zip(FAULTS, moments(), strict=True)), ids=lambda value: str(value)
)
def test_the_same_command_continues_as_if_nothing_had_happened(
    name: str, moment: Moment, job: Job, shell: RemoteShell, undisturbed: Path
) -> None:
    fault, settings = FAULTS[name], {**LIMITS, "SYMBIO_RESTARTS": "0"}

    def start() -> None:
        if fault.by_hostfile:
            start_by_hostfile(job, shell.command, settings)
        else:
            start_on_each(job, settings)

    start()
    job.wait_for_step(moment.step)
    time.sleep(moment.delay_s)
    fault.strike(job, job.hosts[moment.host])
    codes, seconds = job.wait_for_end(fault.noticed_s + AFTER_FAILURE_S + SLACK_S)
    told = f"{name} {moment}: {codes} in {seconds:.1f} s\n{job.story()}"
    print(told.splitlines()[0])
    assert set(codes.values()) <= {75, -signal.SIGKILL}, told
    assert name == "launcher killed" or 75 in codes.values(), told
    assert not (job.root / "models").exists(), told
    job.hosts[moment.host].mend()
    start()
    codes, _ = job.wait_for_end(120)
    told = f"{told}\n{job.story()}"
    assert set(codes.values()) == {0}, told
    assert_equal_weights(exported(job.root), exported(undisturbed), told)
    assert losses(job.root) == losses(undisturbed), told
    assert_each_frame_once(job.root)
    first, second = started_from(job.root)
    assert (first, second > 0) == (0, True), told


def test_a_lost_rank_costs_one_restart_and_no_command(job: Job, undisturbed: Path) -> None:
    start_on_each(job, {**LIMITS, "SYMBIO_RESTARTS": "1"})
    job.wait_for_step(25)
    send(job.ranks(job.hosts[1]), signal.SIGKILL)
    codes, _ = job.wait_for_end(120)
    assert codes == {"alpha": 0, "beta": 0}, job.story()
    assert "rank 1 on beta was killed by SIGKILL; restart 1 of 1" in job.story()
    assert_equal_weights(exported(job.root), exported(undisturbed), job.story())
    assert losses(job.root) == losses(undisturbed)
    assert_each_frame_once(job.root)
    assert started_from(job.root)[1:] in ([10], [20])


def test_a_short_cut_is_waited_out(job: Job, undisturbed: Path) -> None:
    start_on_each(job, {**LIMITS, "SYMBIO_RESTARTS": "0"})
    job.wait_for_step(25)
    job.hosts[1].cut()
    time.sleep(HOST_TIMEOUT_S / 3)
    job.hosts[1].mend()
    codes, _ = job.wait_for_end(120)
    assert codes == {"alpha": 0, "beta": 0}, job.story()
    assert_equal_weights(exported(job.root), exported(undisturbed), job.story())
    assert started_from(job.root) == [0]


def test_sigterm_on_one_host_is_a_checkpoint_on_all(job: Job, undisturbed: Path) -> None:
    start_on_each(job, LIMITS)
    job.wait_for_step(25)
    send(job.launchers(job.hosts[1]), signal.SIGTERM)
    codes, seconds = job.wait_for_end(GRACE_S)
    assert codes == {"alpha": 75, "beta": 75}, job.story()
    print(f"all left {seconds:.1f} s after SIGTERM")
    status = read_status(job.root / RUN)
    assert status is not None
    assert (status["state"], status["checkpoint"]) == ("preempted", status["step"])
    assert status["step"] == max(losses(job.root)) < STEPS
    start_on_each(job, LIMITS)
    codes, _ = job.wait_for_end(120)
    assert codes == {"alpha": 0, "beta": 0}, job.story()
    assert_equal_weights(exported(job.root), exported(undisturbed), job.story())
    assert losses(job.root) == losses(undisturbed)


def test_the_remaining_hosts_go_on_where_the_minimum_allows(
    can_make_hosts: None, tmp_path: Path
) -> None:
    root = project(tmp_path / "project", batch=12, micro_batch=2, steps=20, checkpoint_every=4)
    with job_on_hosts(root, 3) as job:
        start_on_each(job, {**LIMITS, "SYMBIO_RESTARTS": "1", "SYMBIO_MIN_NODES": "2"})
        job.wait_for_step(9)
        # As by a power failure: it is gone, and nobody is told.
        job.hosts[2].cut()
        job.hosts[2].kill_all()
        codes, seconds = job.wait_for_end(150)
        print(f"finished {seconds:.1f} s after the third host was gone")
    assert codes == {"alpha": 0, "beta": 0, "gamma": -signal.SIGKILL}, job.story()
    status = read_status(root / RUN)
    assert status is not None
    assert (status["state"], status["step"], status["ranks"]) == ("finished", 20, 2)
    assert_each_frame_once(root, steps=20, batch=12)
    assert started_from(root)[1:] in ([4], [8])


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_launchers_killed_while_ranks_start_leave_none_behind(job: Job, seconds: float) -> None:
    """Ranks import for seconds before they do anything, and would find each other all the same."""
    start_on_each(job, {**LIMITS, "SYMBIO_RESTARTS": "0"})
    deadline = time.monotonic() + 30
    while not all(job.ranks(host) for host in job.hosts):
        assert time.monotonic() < deadline, job.story()
        time.sleep(0.01)
    time.sleep(seconds)
    send([pid for host in job.hosts for pid in job.launchers(host)], signal.SIGKILL)
    codes, _ = job.wait_for_end(5)
    assert codes == {"alpha": -signal.SIGKILL, "beta": -signal.SIGKILL}, job.story()


def test_an_unreachable_host_is_named(job: Job, shell: RemoteShell) -> None:
    if not shell.servers:
        pytest.skip("no sshd here that could be missing on a host")
    job.hosts[1].kill_all()
    start_by_hostfile(job, shell.command, LIMITS)
    codes, _ = job.wait_for_end(30)
    assert codes == {"alpha": 2}, job.story()
    assert job.hosts[1].address in job.story()
