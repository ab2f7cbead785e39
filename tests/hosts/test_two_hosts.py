"""Training over two hosts: however it is started, the run is that of one host."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from symbio.train.records.journal import read_journal
from symbio.train.records.status import read_status
from tests.hosts.job import (
    PORT,
    RUN,
    STEPS,
    Job,
    assert_each_frame_once,
    assert_equal_weights,
    exported,
    losses,
    start_by_hostfile,
    start_on_each,
    train_here,
)
from tests.hosts.remote_shell import RemoteShell

pytestmark = pytest.mark.slow


def assert_is_run(job: Job, undisturbed: Path, within_s: float = 120.0) -> None:
    """Wait for the end; the run is the undisturbed one, and every process left with 0."""
    codes, _ = job.wait_for_end(within_s)
    assert set(codes.values()) == {0}, job.story()
    assert_equal_weights(exported(job.root), exported(undisturbed), job.story())
    assert losses(job.root) == losses(undisturbed)
    assert_each_frame_once(job.root)


def test_one_command_on_each_host(job: Job, undisturbed: Path) -> None:
    start_on_each(job, {})
    assert_is_run(job, undisturbed)
    status = read_status(job.root / RUN)
    assert status is not None
    assert (status["state"], status["ranks"], status["host"]) == ("finished", 2, "alpha")


def test_a_hostfile_and_a_remote_shell(job: Job, shell: RemoteShell, undisturbed: Path) -> None:
    """The first host looks its own name up as 127.0.1.1, where no other host would find it."""
    start_by_hostfile(job, shell.command, {}, by_name=True)
    assert_is_run(job, undisturbed)


def test_torchrun_with_its_own_rendezvous(job: Job, undisturbed: Path) -> None:
    for number, host in enumerate(job.hosts):
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
        command += ["--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "test"]
        command += ["--rdzv-endpoint", f"{job.hosts[0].address}:{PORT}"]
        # Without these torchrun looks its own host's name up, which need not lead anywhere.
        command += ["--rdzv-conf", f"is_host={int(number == 0)}", "--local-addr", host.address]
        command += ["-m", "symbio.train", "nyu"]
        job.type_on(host, command, {"GLOO_SOCKET_IFNAME": "eth0"})
    assert_is_run(job, undisturbed)


def test_one_rank_follows_the_same_curve(
    undisturbed: Path, untrained: Path, tmp_path: Path
) -> None:
    """One rank takes the micro-batches of two, one after the other.

    BatchNorm normalises within a micro-batch and averages its running statistics over all of the
    step's, on any number of ranks, so what is left is the order of float sums: 3e-7 of the loss
    here, after 60 steps. Its other part is in weights that the loss does not depend on: a bias
    whose share the next BatchNorm subtracts has a gradient of nothing but rounding, which AdamW
    turns into full steps, and that BatchNorm's running mean follows it.
    """
    root = tmp_path / "project"
    shutil.copytree(untrained, root)
    train_here(root, 1)
    alone, together = losses(root), losses(undisturbed)
    assert sorted(alone) == sorted(together) == list(range(1, STEPS + 1))
    distance = max(abs(together[step] / alone[step] - 1) for step in alone)
    print(f"largest relative distance of the losses: {distance:.1e}")
    assert distance < 1e-5
    assert validation(root) == pytest.approx(validation(undisturbed), rel=1e-3)
    one, two = exported(root), exported(undisturbed)
    for name, weight in one.items():
        free = name.endswith(("conv.pre_norm.bias", "conv.norm1.running_mean"))
        if not free and weight.is_floating_point():
            scale = float(weight.abs().max())
            assert float((weight - two[name]).abs().max()) < 1e-2 * scale, name


def validation(root: Path) -> dict[str, float]:
    """The last scores on the val split."""
    records = [record["metrics"] for record in read_journal(root / RUN) if "metrics" in record]
    return next(metrics for metrics in reversed(records) if "val/abs_rel" in metrics)
