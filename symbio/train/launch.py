"""Starting the ranks of one host, passing on signals, and telling how the run ended.

The ranks are started directly, one process each: it is what `torchrun --standalone` does, less
its own start-up, its thirty-second limit on a checkpoint after SIGTERM, and its tracebacks for
ranks that left in order. torchrun, DeepSpeed's launcher, Slurm and Kubernetes serve as well:
`python -m symbio.train` only needs the variables that they set.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.ending import ERRORS_VARIABLE, RESUME_ME, first_error
from symbio.ranks.place import RENDEZVOUS_VARIABLE
from symbio.train.paths import Paths
from symbio.train.status import EXIT_CODES, read_status, write_status

RANKS_VARIABLE = "SYMBIO_RANKS"
_ORDERLY = ("finished", "preempted", "interrupted")
_POLL_S = 0.1
_GRACE_S = 20.0
"""How long ranks may go on after one of them failed."""


def default_ranks() -> int:
    """SYMBIO_RANKS; else one a GPU; else two on a CPU with more than one core.

    Raises:
        SymbioError: SYMBIO_RANKS is no positive integer.
    """
    wish = os.environ.get(RANKS_VARIABLE)
    if wish is not None:
        if not wish.isdecimal() or int(wish) < 1:
            raise SymbioError(f"{RANKS_VARIABLE}={wish!r}: give a number of ranks, 1 or more")
        return int(wish)
    return _num_gpus() or min(2, _num_cpus())


def launch(
    dataset: str,
    root: Path,
    ranks: int,
    resume: str = "auto",
    environment: dict[str, str] | None = None,
    while_running: Callable[[], None] = lambda: None,
    run_id: str | None = None,
) -> int:
    """Run `python -m symbio.train` on `ranks` ranks of this host until it ends.

    SIGINT and SIGTERM are passed on and mean "checkpoint and stop"; a second one kills.

    Args:
        dataset: "nyu" or "kitti".
        root: the project's folder.
        ranks: how many.
        resume: "auto" or a step.
        environment: added to the ranks' environment.
        while_running: called several times a second.
        run_id: names this start in the journal.

    Returns:
        0 finished, 75 stopped on request: the same command continues.

    Raises:
        SymbioError: the run failed; the message is that of the rank that failed first.
    """
    run_id = run_id or new_run_id()
    with tempfile.TemporaryDirectory(prefix="symbio-ranks-") as errors:
        extra = {**(environment or {}), ERRORS_VARIABLE: errors, "SYMBIO_RUN_ID": run_id}
        processes = _start(dataset, root, ranks, resume, extra)
        try:
            with _signals_passed_on(processes) as asked:
                codes = _wait(processes, while_running)
        finally:
            _kill(processes)
        if asked and _ended_before_listening(codes, errors):
            say("stopped while starting; the same command goes on")
            return RESUME_ME
        return _verdict(Paths(root, dataset).run, codes, errors)


def new_run_id() -> str:
    """A name that no other start has."""
    return uuid.uuid4().hex


def _start(
    dataset: str, root: Path, ranks: int, resume: str, extra: dict[str, str]
) -> list[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "symbio.train", dataset]
    command += ["--resume", resume, "--root", str(root)]
    shared = {**os.environ, **extra}
    shared.setdefault("OMP_NUM_THREADS", str(max(1, _num_cpus() // ranks)))
    if ranks == 1:
        return [subprocess.Popen(command, env=shared, start_new_session=True)]
    if _num_gpus() == 0 and sys.platform == "linux":
        # Gloo otherwise looks up the host's name, which need not lead to a usable address.
        shared.setdefault("GLOO_SOCKET_IFNAME", "lo")
    processes = []
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2 * ranks)
        shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(listener.getsockname()[1])}
        for rank in range(ranks):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}
            own[RENDEZVOUS_VARIABLE] = str(listener.fileno())
            passed = (listener.fileno(),) if rank == 0 else ()
            processes.append(
                subprocess.Popen(
                    command, env={**shared, **own}, pass_fds=passed, start_new_session=True
                )
            )
    return processes


def _wait(processes: list[subprocess.Popen[bytes]], while_running: Callable[[], None]) -> list[int]:
    """Wait for all ranks; once one failed, the others get a moment and are then killed."""
    deadline = None
    while any(process.poll() is None for process in processes):
        while_running()
        time.sleep(_POLL_S)
        codes = [process.poll() for process in processes]
        if deadline is None and any(code not in (None, 0, RESUME_ME) for code in codes):
            deadline = time.monotonic() + _GRACE_S
        if deadline is not None and time.monotonic() > deadline:
            _kill(processes)
    while_running()
    return [process.wait() for process in processes]


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()


@contextlib.contextmanager
def _signals_passed_on(processes: list[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Pass SIGINT and SIGTERM on to the ranks; yields the list of those that came."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        if asked:
            _kill(processes)
            return
        asked.append(number)
        say("stopping: the ranks finish their step and write a checkpoint (again: kill them)")
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended_before_listening(codes: list[int], errors: str) -> bool:
    """Whether a signal ended a rank before it could catch one, and nothing else went wrong.

    A rank that was listening fails when its peer is gone; the first cause is the signal.
    """
    ended = any(code in (-signal.SIGINT, -signal.SIGTERM) for code in codes)
    cause = first_error(errors)
    return ended and (cause is None or cause["kind"] != "SymbioError")


def _verdict(run: Path, codes: list[int], errors: str) -> int:
    """Status file first, then the ranks' last words, then their exit codes."""
    status = read_status(run) if run.is_dir() else None
    in_order = all(code in (0, RESUME_ME) for code in codes)
    if status is not None and in_order and status["state"] in _ORDERLY:
        return EXIT_CODES[status["state"]]
    cause = first_error(errors)
    if cause is not None:
        who = f"rank {cause['rank']}: " if len(codes) > 1 else ""
        kind = "" if cause["kind"] == "SymbioError" else f"{cause['kind']}: "
        message = f"{who}{kind}{cause['message']}"
    else:
        ends = ", ".join(f"rank {rank} {_end_of(code)}" for rank, code in enumerate(codes))
        message = f"training of {run} ended without a word ({ends}); run the command again"
    if status is not None and status["state"] == "running" and cause is None:
        write_status(run, **{**status, "state": "failed", "message": message})
    raise SymbioError(message)


def _end_of(code: int) -> str:
    if code >= 0:
        return f"left with code {code}"
    return f"was killed by {signal.Signals(-code).name}"


def _num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _num_gpus() -> int:
    """Visible NVIDIA GPUs, counted without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    return len([path for path in Path("/dev").glob("nvidia[0-9]*")])
