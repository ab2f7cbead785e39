"""Ranks for tests: forked from one parent that has torch and DeepSpeed imported."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from symbio.params import Params


@dataclass(frozen=True)
class End:
    """How a rank ended."""

    value: Any
    error: str | None
    code: int | None
    """Exit code; negative: killed by that signal."""
    said: str
    """What it wrote to standard error."""


def run_ranks(
    world: int, function: Callable[..., Any], *args: Any, timeout_s: float = 90.0
) -> list[End]:
    """Call `function(place, *args)` on `world` ranks, `function` being importable."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.train.warm"])
    port = _free_port()
    started = []
    said = Path(tempfile.mkdtemp(prefix="symbio-said-"))
    for rank in range(world):
        receive, send = context.Pipe(duplex=False)
        process = context.Process(
            target=_be_rank, args=(send, said, rank, world, port, function, args)
        )
        process.start()
        send.close()
        started.append((process, receive))
    deadline = time.monotonic() + timeout_s
    ends = []
    for rank, (process, receive) in enumerate(started):
        value, error = None, None
        with contextlib.suppress(EOFError):
            if receive.poll(max(0.0, deadline - time.monotonic())):
                value, error = receive.recv()
        process.join(max(0.1, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
            error = f"still running after {timeout_s} s"
        text = (said / str(rank)).read_text()
        sys.stderr.write(text)
        ends.append(End(value, error, process.exitcode, text))
    shutil.rmtree(said)
    return ends


def _be_rank(
    send: Connection,
    said: Path,
    rank: int,
    world: int,
    port: int,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    import warnings

    from symbio.ranks.place import Place

    warnings.simplefilter("ignore")
    os.dup2(os.open(said / str(rank), os.O_WRONLY | os.O_CREAT), 2)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        GLOO_SOCKET_IFNAME="lo",
        CUDA_VISIBLE_DEVICES="",
    )
    code = 0
    try:
        result: tuple[Any, str | None] = (function(Place(rank, world, rank), *args), None)
    except Exception as error:
        traceback.print_exc()
        result, code = (None, f"{type(error).__name__}: {error}"), 1
    send.send(result)
    send.close()
    sys.stderr.flush()
    os._exit(code)


def train(place: Any, params: Params, root: Path, resume: str, fault: Any, *fault_args: Any) -> str:
    """Be one rank of a training run, with a fault planted before it starts."""
    from symbio.ranks.stop import StopRequest
    from symbio.train.rank import train_rank

    stop = StopRequest()
    signal.signal(signal.SIGTERM, stop._on_signal)
    signal.signal(signal.SIGINT, stop._on_signal)
    if fault is not None:
        fault(place, *fault_args)
    return train_rank(params, "nyu", root, resume, place, stop)


def train_on(
    world: int,
    params: Params,
    root: Path,
    resume: str = "auto",
    fault: Callable[..., None] | None = None,
    *fault_args: Any,
) -> list[End]:
    """Train in `root` on `world` ranks of this host."""
    return run_ranks(world, train, params, root, resume, fault, *fault_args)


def trained(ends: list[End], outcome: str = "finished") -> None:
    """Check that every rank came to `outcome`."""
    assert [(end.value, end.error) for end in ends] == [(outcome, None)] * len(ends)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
