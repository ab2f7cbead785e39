"""Hosts reached by ssh: the hostfile, and the processes that hold a host's end of the run."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from symbio.errors import SymbioError

SSH_VARIABLE = "SYMBIO_SSH"
"""Environment variable: the remote shell's command line, for ports, keys and jump hosts."""
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3"
_LINE = re.compile(r"(?P<name>[^\s#=]+)(\s+slots=(?P<slots>[1-9]\d*))?\s*(#.*)?")


@dataclass(frozen=True, slots=True)
class Host:
    """A line of a hostfile."""

    name: str
    """Name or address, as all hosts reach it."""
    slots: int | None
    """Ranks there; None: as many as the host itself finds fit."""


def read_hostfile(path: Path) -> list[Host]:
    """Read lines `NAME slots=N`, the format that DeepSpeed and MPI use; `slots` may be left out.

    Raises:
        SymbioError: the file is missing, a line is malformed, a host comes twice, or none is there.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SymbioError(f"{path}: the hostfile cannot be read ({error.strerror})") from error
    hosts: list[Host] = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or match["name"].startswith("-"):
            raise SymbioError(f"{path}:{number}: {line!r}: give `NAME slots=N`")
        if any(host.name == match["name"] for host in hosts):
            raise SymbioError(f"{path}:{number}: host {match['name']} comes twice")
        hosts.append(Host(match["name"], int(match["slots"]) if match["slots"] else None))
    if not hosts:
        raise SymbioError(f"{path}: names no host; give lines `NAME slots=N`")
    if len(hosts) > 1 and any(host.name in ("localhost", "127.0.0.1", "::1") for host in hosts):
        raise SymbioError(f"{path}: `localhost` is another host to each of them; give an address")
    return hosts


class Shells:
    """The nodes that a hostfile's launcher has started."""

    def __init__(
        self, hosts: list[Host], root: Path, name: str, port: int, limits: tuple[float, float]
    ) -> None:
        """Nothing is started yet.

        Args:
            hosts: by node rank.
            root: the project's folder, the same path on every host.
            name: of the work.
            port: where this process listens for the nodes.
            limits: host_timeout_s and grace_s.
        """
        self._hosts = hosts
        self._root = root.resolve()
        self._name = name
        self._port = port
        self._limits = limits
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, node_ranks: list[int]) -> None:
        """Start the nodes of these hosts; one that is still there from before is ended first."""
        for node_rank in node_ranks:
            self._end(node_rank)
            host = self._hosts[node_rank]
            command = self._node(node_rank, host)
            if not is_here(host.name):
                shell = os.environ.get(SSH_VARIABLE, _SSH)
                command = [*shlex.split(shell), host.name, self._remote(command)]
            self._processes[node_rank] = subprocess.Popen(
                command, cwd=self._root, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def ended(self, node_rank: int) -> str | None:
        """How the process that holds this host's end ended, in words; None while it runs."""
        process = self._processes.get(node_rank)
        code = None if process is None else process.poll()
        if code is None:
            return None
        name = self._hosts[node_rank].name
        if is_here(name):
            return f"host {name}: its process ended with code {code} before it called in"
        shell = os.environ.get(SSH_VARIABLE, "ssh")
        return (
            f"host {name}: the remote shell ended with code {code} before the host called in; "
            f"does `{shell} {name} true` work, and is the project at {self._root} there?"
        )

    def close(self, patience_s: float) -> None:
        """Wait for the nodes to leave by themselves, then end the shells."""
        for node_rank, process in list(self._processes.items()):
            try:
                process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self._end(node_rank)

    def _end(self, node_rank: int) -> None:
        process = self._processes.pop(node_rank, None)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def _node(self, node_rank: int, host: Host) -> list[str]:
        address = "127.0.0.1" if is_here(host.name) else _address_towards(host.name)
        host_timeout_s, grace_s = self._limits
        command = [sys.executable, "-m", "symbio.ranks.node", "--name", self._name]
        command += ["--coordinator", f"{address}:{self._port}", "--node-rank", str(node_rank)]
        command += ["--host-timeout", str(host_timeout_s), "--grace", str(grace_s)]
        return command if host.slots is None else [*command, "--ranks", str(host.slots)]

    def _remote(self, command: list[str]) -> str:
        carried = [f"{n}={os.environ[n]}" for n in ("PYTHONPATH",) if n in os.environ]
        return f"cd {shlex.quote(str(self._root))} && exec env {shlex.join([*carried, *command])}"


def is_here(name: str) -> bool:
    """Whether a host's name or address is this host's own: only then can it be listened at.

    Raises:
        SymbioError: the name is unknown.
    """
    for family, _, _, _, address in _resolved(name):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((address[0], 0))
            except OSError:
                continue
            return True
    return False


def _address_towards(name: str) -> str:
    """The address of this host by which it reaches another; nothing is sent."""
    family, _, _, _, address = _resolved(name)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address[0], 9))
        except OSError as error:
            raise SymbioError(f"host {name}: there is no route to it ({error.strerror})") from error
        return str(probe.getsockname()[0])


def _resolved(name: str) -> list[tuple[socket.AddressFamily, int, int, str, tuple[str, int]]]:
    try:
        return socket.getaddrinfo(name, 9, type=socket.SOCK_STREAM)  # type: ignore[return-value]
    except OSError as error:
        raise SymbioError(f"host {name}: the name is unknown here ({error})") from error
