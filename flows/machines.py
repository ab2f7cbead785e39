"""On what a flow runs: facts about machines, which no stage's hash depends on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import whole_file
from symbio.ranks.settings import HOSTFILE_VARIABLE, RANKS_VARIABLE

WHERE_VARIABLE = "SYMBIO_WHERE"
"""Environment variable that each deployment sets: local, cluster, slurm or kubernetes."""


def where() -> str | None:
    """Where this flow run runs; None outside a deployment."""
    return os.environ.get(WHERE_VARIABLE)


@dataclass(frozen=True, slots=True)
class Machines:
    """Processes and hosts for a flow's stages."""

    ranks: int | None = None
    """Processes on each host; None: one a GPU."""
    hosts: tuple[str, ...] = ()
    """Names for ssh; none: infra/hosts if it is there, else this host alone."""

    def __post_init__(self) -> None:
        if self.ranks is not None and self.ranks < 1:
            raise SymbioError(f"ranks is {self.ranks}: give 1 or more")
        for host in self.hosts:
            if not host or any(letter.isspace() for letter in host) or host.startswith("-"):
                raise SymbioError(f"hosts: {host!r} is no host name")

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables for `symbio` (docs/hosts.md); a hostfile goes into `folder`."""
        values = {}
        if self.ranks is not None:
            values[RANKS_VARIABLE] = str(self.ranks)
        if self.hosts:
            values[HOSTFILE_VARIABLE] = str(_hostfile(folder, self.hosts, self.ranks).resolve())
        return values


def _hostfile(folder: Path, hosts: Sequence[str], ranks: int | None) -> Path:
    path = folder / "hosts"
    slots = "" if ranks is None else f" slots={ranks}"
    with whole_file(path) as aside:
        aside.write_text("".join(f"{host}{slots}\n" for host in hosts), encoding="utf-8")
    return path
