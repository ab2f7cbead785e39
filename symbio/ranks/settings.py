"""Where and how ranks are started: facts about machines, so from flags and the environment.

What shapes a result is in params.yaml; nothing here does. A flag of the command line comes before
a SYMBIO_* variable, that before what Slurm set. Imports nothing heavy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from symbio.errors import SymbioError
from symbio.ranks.slurm import nodes_from as slurm_nodes

RANKS_VARIABLE = "SYMBIO_RANKS"
NODES_VARIABLE = "SYMBIO_NODES"
NODE_RANK_VARIABLE = "SYMBIO_NODE_RANK"
MASTER_VARIABLE = "SYMBIO_MASTER"
HOSTFILE_VARIABLE = "SYMBIO_HOSTFILE"
MIN_NODES_VARIABLE = "SYMBIO_MIN_NODES"
RESTARTS_VARIABLE = "SYMBIO_RESTARTS"
STEP_TIMEOUT_VARIABLE = "SYMBIO_STEP_TIMEOUT"
HOST_TIMEOUT_VARIABLE = "SYMBIO_HOST_TIMEOUT"
GRACE_VARIABLE = "SYMBIO_GRACE"
PROFILE_VARIABLE = "SYMBIO_PROFILE"
RANK_MEMORY_VARIABLE = "SYMBIO_RANK_MEMORY"

HOSTFILE = Path("infra/hosts")
"""The project's hostfile, taken where nothing else says on which hosts to run."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]iB)?")
_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


@dataclass(frozen=True)
class Settings:
    """How a run is spread over processes and hosts."""

    ranks: int
    """Ranks on this host."""
    nodes: int = 1
    """Hosts of the run."""
    node_rank: int = 0
    """Which of them this is."""
    master: tuple[str, int] | None = None
    """Address and port at which node 0 calls the roll; None on one host."""
    hostfile: Path | None = None
    """Hosts to be reached by ssh; then this process starts and follows them."""
    min_nodes: int | None = None
    """With fewer hosts a run is not continued; None: all of them are needed."""
    restarts: int = 2
    """How often a run that lost a process or a host is started again by itself."""
    host_timeout_s: float = 30.0
    """Silence after which a host counts as lost."""
    grace_s: float = 120.0
    """Time between a request to stop and the end of all ranks by force."""
    rank_memory: int | None = None
    """The most that a rank may take, in bytes (`symbio.ranks.memory`); None: what there is."""


def settings_from(
    flags: Mapping[str, object | None] | None = None,
    environment: Mapping[str, str] = os.environ,
    root: Path = Path(),
) -> Settings:
    """Put the settings of this process together.

    Args:
        flags: of the command line, by the names of `Settings` (master as "host:port"); None or
            absent: not given.
        environment: the process's.
        root: the project's folder; its infra/hosts, if there is one, is the hostfile unless
            something says otherwise (`nodes` 1: this host alone).

    Raises:
        SymbioError: a value is malformed, or values contradict each other; names flag or variable.
    """
    slurm, flags = slurm_nodes(environment), flags or {}

    def value(name: str, variable: str) -> tuple[str, str] | None:
        """The text given for a setting, and where."""
        if flags.get(name) is not None:
            return str(flags[name]), f"--{name.replace('_', '-').removesuffix('-s')}"
        if variable in environment:
            return environment[variable], variable
        return (slurm[name], "Slurm's environment") if name in slurm else None

    def count(name: str, variable: str, default: int, least: int) -> int:
        given = value(name, variable)
        return default if given is None else _count(*given, least)

    def seconds(name: str, variable: str, default: float) -> float:
        given = value(name, variable)
        return default if given is None else _seconds(*given)

    given_memory = value("rank_memory", RANK_MEMORY_VARIABLE)
    hostfile = value("hostfile", HOSTFILE_VARIABLE)
    if hostfile is None and value("nodes", NODES_VARIABLE) is None and (root / HOSTFILE).is_file():
        hostfile = str(root / HOSTFILE), str(HOSTFILE)
    nodes = count("nodes", NODES_VARIABLE, 1, 1)
    given_master = value("master", MASTER_VARIABLE)
    settings = Settings(
        ranks=count("ranks", RANKS_VARIABLE, default_ranks(), 1),
        nodes=nodes,
        node_rank=count("node_rank", NODE_RANK_VARIABLE, 0, 0),
        master=None if given_master is None or nodes == 1 else _address(*given_master),
        hostfile=None if hostfile is None else Path(hostfile[0]),
        min_nodes=count("min_nodes", MIN_NODES_VARIABLE, 0, 1) or None,
        restarts=count("restarts", RESTARTS_VARIABLE, Settings.restarts, 0),
        host_timeout_s=seconds("host_timeout_s", HOST_TIMEOUT_VARIABLE, Settings.host_timeout_s),
        grace_s=seconds("grace_s", GRACE_VARIABLE, Settings.grace_s),
        rank_memory=None if given_memory is None else _bytes(*given_memory),
    )
    _check(settings)
    return settings


def step_timeout_s(environment: Mapping[str, str] = os.environ) -> float:
    """Longest time without progress of a rank before it counts as hung: SYMBIO_STEP_TIMEOUT.

    Raises:
        SymbioError: it is no positive number.
    """
    text = environment.get(STEP_TIMEOUT_VARIABLE)
    return 300.0 if text is None else _seconds(text, STEP_TIMEOUT_VARIABLE)


def rank_memory(environment: Mapping[str, str] = os.environ) -> int | None:
    """The most memory that a rank may take, in bytes: SYMBIO_RANK_MEMORY; None: no cap.

    Raises:
        SymbioError: it is no size.
    """
    text = environment.get(RANK_MEMORY_VARIABLE)
    return None if text is None else _bytes(text, RANK_MEMORY_VARIABLE)


def default_ranks() -> int:
    """One rank a GPU; else two on a CPU with more than one core."""
    return num_gpus() or min(2, num_cpus())


def num_cpus() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_threads(ranks: int) -> int:
    """OpenMP threads of each of so many ranks on this host: as told, else their share of cores."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdigit() and int(told) > 0 else max(1, num_cpus() // ranks)


def num_gpus() -> int:
    """Visible NVIDIA GPUs, counted without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    return len([path for path in Path("/dev").glob("nvidia[0-9]*")])


def _check(settings: Settings) -> None:
    if settings.hostfile is not None and settings.nodes > 1:
        raise SymbioError(
            "--hostfile and --nodes exclude each other: a hostfile starts all hosts from here, "
            "--nodes is typed on each host"
        )
    if settings.nodes > 1 and settings.master is None:
        raise SymbioError(
            f"{settings.nodes} nodes need the address of node 0: --master HOST:PORT "
            f"({MASTER_VARIABLE}), the same on every host"
        )
    if settings.node_rank >= settings.nodes:
        raise SymbioError(
            f"--node-rank {settings.node_rank} ({NODE_RANK_VARIABLE}): there are {settings.nodes} "
            f"nodes (--nodes), so give 0 to {settings.nodes - 1}"
        )


def _count(text: str, source: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise SymbioError(f"{source}={text!r}: give a whole number, {least} or more")
    return int(text)


def _seconds(text: str, source: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise SymbioError(f"{source}={text!r}: give a number of seconds above 0")
    return number


def _bytes(text: str, source: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    num_bytes = 0 if match is None else int(float(match[1]) * _UNITS[match[2] or ""])
    if num_bytes <= 0:
        raise SymbioError(f"{source}={text!r}: give bytes, or a size such as 4GiB or 800MiB")
    return num_bytes


def _address(text: str, source: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SymbioError(f"{source}={text!r}: give HOST:PORT, for example 10.0.0.1:29400")
    return host.strip("[]"), int(port)
