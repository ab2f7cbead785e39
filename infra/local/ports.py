"""The platform's ports on the loopback interface."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, astuple, dataclass, fields, replace
from itertools import islice
from typing import Self

from symbio.errors import SymbioError

HOST = "127.0.0.1"
"""The only address that the platform's servers listen at."""

_TRIED = range(20_000, 32_000)
"""Below the range from which kernels take ports for outgoing connections."""
_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Ports:
    """One port for each server; 0 stands for any free one."""

    prefect: int = 4200
    mlflow: int = 5000
    s3: int = 8333
    postgres: int = 5433

    @classmethod
    def free(cls) -> Self:
        """Ports at which nobody listens."""
        return cls(0, 0, 0, 0).chosen()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The defaults, but what SYMBIO_PREFECT_PORT, SYMBIO_MLFLOW_PORT, ... say.

        Raises:
            SymbioError: one of them is no port.
        """
        values = {
            field.name: port_from(environment[variable(field.name)], variable(field.name))
            for field in fields(cls)
            if environment.get(variable(field.name))
        }
        return cls(**values)

    def chosen(self) -> Self:
        """The same, with a free port in place of each 0."""
        zeros = [name for name, port in asdict(self).items() if port == 0]
        free = free_ports(len(zeros), besides=astuple(self))
        return replace(self, **dict(zip(zeros, free, strict=True)))

    def check(self) -> None:
        """Make sure that each port is free and used once.

        A port that a platform just killed had is given a moment.

        Raises:
            SymbioError: somebody listens there; names the port and the flag to change.
        """
        named = asdict(self)
        for name, port in named.items():
            others = [other for other in named if other != name and named[other] == port]
            if others:
                raise SymbioError(
                    f"port {port} is asked for {name} and for {others[0]}; "
                    f"give another --{name}-port"
                )
            until = time.monotonic() + _PATIENCE_S
            while not _is_free(port):
                if time.monotonic() > until:
                    raise SymbioError(
                        f"port {port}, for {name}, is taken{_by_whom(port)}; give another with "
                        f"--{name}-port or {variable(name)}; 0 means any free one"
                    )
                time.sleep(0.1)


def variable(name: str) -> str:
    """Environment variable of a server's port."""
    return f"SYMBIO_{name.upper()}_PORT"


def port_from(text: str, what: str) -> int:
    """Read a port number; `what` names its flag or variable.

    Raises:
        SymbioError: it is none.
    """
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise SymbioError(f"{what} is {text!r}: give a port, 1 to 65535, or 0 for any free one")
    return int(text)


def free_ports(count: int, besides: Collection[int] = ()) -> list[int]:
    """As many different ports at which nobody listens now.

    None is one of `besides`: ports of servers that are still to start.
    """
    tried = random.sample(_TRIED, len(_TRIED))
    free = (port for port in tried if port not in besides and _is_free(port))
    found = list(islice(free, count))
    if len(found) < count:
        raise SymbioError(f"no {count} ports are free between {_TRIED[0]} and {_TRIED[-1]}")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it: connections of an ended server that time out are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _by_whom(port: int) -> str:
    """The process that listens there, where the system tells."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if listens and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (PID {connection.pid})"
    except psutil.Error:
        pass
    return ""
