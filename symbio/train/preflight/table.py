"""The table of a preflight: a line a host, and above it what all hosts have alike."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from symbio.progress import say
from symbio.train.preflight.facts import Facts, Host, hosts_of, ranks_text

_WIDTH = 120
"""Characters a line where there is no terminal."""


def show(every: Sequence[Facts]) -> None:
    """Tell what the ranks have: one line for one host, else a table."""
    hosts = hosts_of(every)
    told = {host: _described(ranks) for host, ranks in hosts.items()}
    first, names = next(iter(told.values())), list(next(iter(told.values())))
    alike = [name for name in names if all(one[name] == first[name] for one in told.values())]
    who = f"{len(every)} ranks" if len(every) > 1 else "1 rank"
    if len(hosts) == 1:
        devices, disk = _devices(every), _gib(every[0].disk_free)
        own = f"{devices}, {_memory(every)} GiB of memory free, {disk} GiB of disk"
        say(f"{who} on {every[0].host}: {own}; {_line(first, names)}")
        return
    say(f"{who} on {len(hosts)} hosts; all have {_line(first, alike)}")
    _table(every[0], hosts, told, [name for name in names if name not in alike])


def _table(
    first: Facts,
    hosts: Mapping[Host, Sequence[Facts]],
    told: Mapping[Host, Mapping[str, str]],
    differing: Sequence[str],
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("host", "ranks", "device", "memory free, GiB", "disk free, GiB", "clock, s"):
        table.add_column(title, justify="right" if "," in title else "left")
    for title in differing:
        table.add_column(title, style="red")
    for host, ranks in hosts.items():
        name, node = host
        table.add_row(
            name if node is None else f"{name} ({node})",
            ranks_text([facts.rank for facts in ranks]),
            _devices(ranks),
            _memory(ranks),
            _gib(ranks[0].disk_free),
            f"{ranks[0].clock - first.clock:+.1f}",
            *(told[host][title] for title in differing),
        )
    width = None if sys.stderr.isatty() else _WIDTH
    Console(stderr=True, highlight=False, width=width).print(table)


def _described(ranks: Sequence[Facts]) -> dict[str, str]:
    """Name -> value of what should be alike on all hosts; the names are always the same."""
    told = {name: _values(facts.versions[name] for facts in ranks) for name in ranks[0].versions}
    commit, lock = "unknown", "unknown"
    for code in (facts.code for facts in ranks if facts.code is not None):
        commit = _short(code.commit) + (f" + {code.changes[:7]}" if code.changes else "")
        lock = _short(code.lock)
    told |= {"commit": commit, "lock": lock}
    for number, name in enumerate(("prepared", "pseudo")):
        held = (list(facts.data.values()) or [None, None] for facts in ranks)
        told[name] = _values(_short(digests[number]) for digests in held)
    return told


def _line(told: Mapping[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {told[name]}" for name in names)


def _values(values: Iterable[str]) -> str:
    """The value of all ranks of a host, or every one that occurs."""
    return " / ".join(dict.fromkeys(values))


def _devices(ranks: Sequence[Facts]) -> str:
    counts = Counter(facts.device for facts in ranks)
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items())


def _memory(ranks: Sequence[Facts]) -> str:
    """Of the rank that has least."""
    least = min(ranks, key=lambda facts: facts.memory_free)
    return f"{_gib(least.memory_free)} of {_gib(least.memory_total)}"


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:7]
