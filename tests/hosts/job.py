"""Training jobs spread over hosts, what becomes of them, and what they leave."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

from symbio.train.records.frames import read_frames
from symbio.train.records.journal import read_journal
from tests.hosts.namespaces import Host, hosts
from tests.train.project import make_project, tiny_params

RUN = Path("checkpoints/nyu")
PORT = 29400
FRAMES = 22
BATCH = 4
STEPS = 60
"""Times four frames: ten epochs and ten of the 22 frames of the eleventh."""

LOGIN = {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}
"""What a login on every host sets."""

_TRAIN = [sys.executable, "-m", "symbio.cli", "train", "nyu"]
_LAUNCHERS = {"symbio.cli", "symbio.ranks.node"}
_FOREIGN = ("SYMBIO_", "MLFLOW_TRACKING", "SLURM_", "GLOO_", "NCCL_", "MASTER_")


def environment(**settings: str) -> dict[str, str]:
    """This environment without what other launchers put there, and with the settings."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**own, **LOGIN, **settings}


def project(root: Path, **train: Any) -> Path:
    """A project whose run takes a few seconds and a checkpoint every ten steps."""
    make_project(root, {"train": FRAMES, "val": 4, "test": 2})
    settings = {"steps": STEPS, "batch": BATCH, "checkpoint_every": 10, "validate_every": 30}
    # Four micro-batches a step: with two, sums come out alike in any order.
    params = tiny_params(**{**settings, "micro_batch": 1, **train})
    (root / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    return root


@dataclass
class Job:
    """The commands of one run, by the host they were typed on."""

    root: Path
    hosts: list[Host]
    servers: frozenset[int] = frozenset()
    """Processes on the hosts that are no part of any job."""
    commands: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    said: Path | None = None

    def __post_init__(self) -> None:
        self.said = self.root.with_name(f"{self.root.name}.said")

    def type_on(self, host: Host, command: list[str], settings: Mapping[str, str]) -> None:
        """Type a command in the project's folder on a host."""
        assert self.said is not None
        with self.said.open("a") as log:
            self.commands[host.name] = host.popen(
                command, cwd=self.root, env=environment(**settings), stdout=log, stderr=log
            )

    def alive(self) -> set[int]:
        """Every process of the job on the hosts, however far from us."""
        return {pid for host in self.hosts for pid in host.pids()} - self.servers

    def wait_for_step(self, step: int, timeout_s: float = 60.0) -> None:
        """Return when the journal has a step."""
        self._wait(lambda: _newest_step(self.root) >= step, f"step {step}", timeout_s)

    def wait_for_end(self, within_s: float) -> tuple[dict[str, int], float]:
        """Exit codes by host, and the seconds until no process of the job was left."""
        start = time.monotonic()
        self._wait(lambda: not self._running(), "the end of every process", within_s)
        codes = {name: command.wait() for name, command in self.commands.items()}
        return codes, time.monotonic() - start

    def ranks(self, host: Host) -> list[int]:
        """The ranks that run on a host."""
        return [pid for pid in host.pids() if "symbio.train" in _command_line(pid)]

    def launchers(self, host: Host) -> list[int]:
        """The processes on a host that start and follow ranks."""
        return [pid for pid in host.pids() if _LAUNCHERS & set(_command_line(pid))]

    def story(self) -> str:
        """What was printed, for the message of a failure."""
        assert self.said is not None
        return self.said.read_text()[-6000:]

    def _running(self) -> bool:
        return bool(self.alive()) or any(c.poll() is None for c in self.commands.values())

    def _wait(self, holds: Any, what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                left = [" ".join(_command_line(pid)) for pid in self.alive()]
                raise AssertionError(
                    f"no {what} within {timeout_s} s; running: {left}\n{self.story()}"
                )
            time.sleep(0.02)


@contextlib.contextmanager
def job_on_hosts(root: Path, count: int = 2) -> Iterator[Job]:
    """Make hosts for a job in the project at `root`; at the end of the block nothing is left."""
    with hosts(count) as made:
        job = Job(root, made)
        try:
            yield job
        finally:
            for host in made:
                host.kill_all()
            for command in job.commands.values():
                command.wait()


def start_on_each(job: Job, settings: Mapping[str, str], *flags: str) -> Job:
    """One command a host."""
    for rank, host in enumerate(job.hosts):
        where = ["--nodes", str(len(job.hosts)), "--node-rank", str(rank)]
        where += ["--master", f"{job.hosts[0].address}:{PORT}", "--ranks", "1"]
        job.type_on(host, [*_TRAIN, *where, *flags], settings)
    return job


def start_by_hostfile(
    job: Job, remote_shell: str, settings: Mapping[str, str], by_name: bool = False
) -> Job:
    """One command on the first host, which reaches all of them by remote shell."""
    places = [host.name if by_name else host.address for host in job.hosts]
    lines = ["# the hosts of this test", *(f"{place} slots=1" for place in places)]
    hostfile = job.root / "hosts"
    hostfile.write_text("\n".join(lines) + "\n")
    command = [*_TRAIN, "--hostfile", str(hostfile)]
    job.type_on(job.hosts[0], command, {**settings, "SYMBIO_SSH": remote_shell})
    return job


def train_here(root: Path, ranks: int) -> Path:
    """The undisturbed run on this machine."""
    command = [*_TRAIN, "--ranks", str(ranks)]
    done = subprocess.run(
        command, cwd=root, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def losses(root: Path) -> dict[int, float]:
    """The loss of each step, as the journal stands."""
    records = read_journal(root / RUN)
    return {
        record["step"]: record["metrics"]["train/loss"]
        for record in records
        if "train/loss" in record["metrics"]
    }


def started_from(root: Path) -> list[int]:
    """The step at which each start of the run began."""
    lines = (root / RUN / "journal.jsonl").read_text().splitlines()
    return [record["from_step"] for record in map(json.loads, lines) if "from_step" in record]


def exported(root: Path) -> dict[str, torch.Tensor]:
    """The weights of the exported network, buffers included."""
    weights: dict[str, torch.Tensor] = load_file(root / "models" / "nyu" / "weights.safetensors")
    return weights


def exported_step(root: Path) -> int:
    """The step whose network was exported."""
    card = json.loads((root / "models" / "nyu" / "model.json").read_text())
    return int(card["train"]["step"])


def assert_equal_weights(
    one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor], story: str = ""
) -> None:
    """Bit for bit."""
    assert one.keys() == two.keys(), story
    different = [name for name in one if not torch.equal(one[name], two[name])]
    assert not different, f"{len(different)} tensors differ, {different[:3]}\n{story}"


def assert_each_frame_once(root: Path, steps: int = STEPS, batch: int = BATCH) -> None:
    """The log of frames holds every step, and every frame once in each epoch."""
    log = read_frames(root / RUN)
    assert sorted(log) == list(range(steps))
    seen = [frame for step in sorted(log) for frame in log[step]]
    assert len(seen) == steps * batch
    for start in range(0, len(seen), FRAMES):
        epoch = seen[start : start + FRAMES]
        if len(epoch) == FRAMES:
            assert sorted(epoch) == list(range(FRAMES)), f"epoch {start // FRAMES}: {epoch}"
        else:
            assert len(set(epoch)) == len(epoch)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes."""
    for pid in pids:
        os.kill(pid, number)


def _newest_step(root: Path) -> int:
    path = root / RUN / "journal.jsonl"
    return max(losses(root), default=0) if path.exists() else 0


def _command_line(pid: int) -> list[str]:
    try:
        text = Path("/proc", str(pid), "cmdline").read_text()
    except OSError:
        return []
    return text.split("\0")
