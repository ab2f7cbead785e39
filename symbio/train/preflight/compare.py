"""Before the first step: what every rank has, in one table, and a refusal where it differs.

Hosts that train together with another commit, lock, parameter or data set than the others give a
model that nobody can make again, and say nothing. Nothing is moved or written before all agree.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.train.paths import Paths
from symbio.train.preflight.facts import Code, Facts, hosts_of, ranks_text
from symbio.train.preflight.table import show

CLOCK_LIMIT_S = 5.0
"""Clocks further apart are told: the order of messages and journal records is then doubtful."""

_MUST_AGREE = ("symbio", "torch", "deepspeed", "timm")
_KEYS_NAMED = 5
_LOOKS, _LOOK_EVERY_S = 5, 0.3


def preflight(facts: Facts, paths: Paths, place: Place) -> list[Facts]:
    """Show what the ranks have, and refuse to start where they do not agree. Collective.

    Returns:
        The facts of all ranks, rank 0 first.

    Args:
        facts: this rank's.
        paths: this rank's.
        place: which rank this is.

    Raises:
        SymbioError: on all ranks, the same; names every host that differs and what to do there.
    """
    group.wait_for_all()
    every: list[Facts] = group.gather(replace(facts, clock=time.time()))
    if place.first:
        show(every)
        for warning in clock_warnings(every):
            say(f"WARNING: {warning}")
    problems = mismatches(every) + full_disk(every[0])
    if not problems and place.world > 1:
        problems = _not_shared(every, paths.run, place)
    if problems:
        raise SymbioError("nothing was started or changed:\n  " + "\n  ".join(problems))
    return every


def mismatches(every: Sequence[Facts]) -> list[str]:
    """A line for each way in which a host is not as rank 0, and what to do there.

    Args:
        every: the facts of all ranks, rank 0 first.
    """
    first = every[0]
    found: dict[tuple[str, str], list[int]] = {}
    for ranks in hosts_of(every).values():
        on_host = [facts.rank for facts in ranks]
        code = next((facts.code for facts in ranks if facts.code is not None), None)
        for text in _code_differences(code, first):
            found.setdefault((ranks[0].host, text), []).extend(on_host)
        for facts in ranks:
            for text in _differences(facts, first):
                found.setdefault((facts.host, text), []).append(facts.rank)
    return [f"{_named(host, ranks)}: {text}" for (host, text), ranks in found.items()]


def full_disk(first: Facts) -> list[str]:
    """A line if the checkpoints do not fit on rank 0's disk."""
    if first.disk_free >= first.disk_needed:
        return []
    return [
        f"{_named(first.host, [0])}: {first.checkpoints}: {_size(first.disk_free)} are free; a "
        f"checkpoint and the exported network take about {_size(first.disk_needed)}: free some "
        "space"
    ]


def clock_warnings(every: Sequence[Facts]) -> list[str]:
    """A line for each host whose clock is far from rank 0's."""
    warnings = []
    for ranks in hosts_of(every).values():
        ahead = ranks[0].clock - every[0].clock
        if abs(ahead) > CLOCK_LIMIT_S:
            way = "ahead of" if ahead > 0 else "behind"
            warnings.append(
                f"{_named(ranks[0].host, [facts.rank for facts in ranks])}: its clock is "
                f"{abs(ahead):.0f} s {way} that of rank 0; set it by NTP"
            )
    return warnings


def _differences(facts: Facts, first: Facts) -> Iterable[str]:
    """What is told by every rank for itself."""
    other = f"{_named(first.host, [0])} has"
    if facts.problem is not None:
        yield facts.problem
    for library in _MUST_AGREE:
        mine, theirs = facts.versions[library], first.versions[library]
        if mine != theirs:
            yield (
                f"{library} {mine}, {other} {theirs}; install requirements.lock of the same "
                "commit there"
            )
    if facts.problem is not None or first.problem is not None:
        return
    keys = sorted(facts.settings.keys() | first.settings.keys())
    differing = [key for key in keys if facts.settings.get(key) != first.settings.get(key)]
    if differing:
        told = ", ".join(
            f"{key} {facts.settings.get(key)!r} ({other} {first.settings.get(key)!r})"
            for key in differing[:_KEYS_NAMED]
        )
        more = len(differing) - _KEYS_NAMED
        told += f" and {more} more" if more > 0 else ""
        yield f"{told}; start every host with the same params.yaml and flags"
    # By order: the folders have other paths where the roots have.
    for (folder, held), wanted in zip(facts.data.items(), first.data.values(), strict=True):
        if held != wanted:
            yield (
                f"{folder} holds {_short(held)}, {other} {_short(wanted)}; "
                f"run `dvc pull {folder}` there"
            )


def _code_differences(code: Code | None, first: Facts) -> Iterable[str]:
    """What one rank tells for its host."""
    theirs = first.code
    if code is None or theirs is None:
        return
    other = f"{_named(first.host, [0])} has"
    known = code.commit is not None and theirs.commit is not None
    if known and code.commit != theirs.commit:
        # Everything else follows from it.
        yield (
            f"commit {_short(code.commit)}, {other} {_short(theirs.commit)}; "
            f"run `git checkout {_short(theirs.commit)}` there"
        )
        return
    if code.lock != theirs.lock:
        yield (
            f"requirements.lock is {_short(code.lock)}, {other} {_short(theirs.lock)}; "
            "copy it there and install it"
        )
    if known and code.changes != theirs.changes:
        yield (
            f"uncommitted changes {_short(code.changes)}, {other} {_short(theirs.changes)}; "
            "commit them and check that commit out on every host"
        )
    elif code.package != theirs.package:
        yield (
            f"symbio's source files are {_short(code.package)}, {other} {_short(theirs.package)}; "
            "install the same symbio there"
        )


def _not_shared(every: Sequence[Facts], run: Path, place: Place) -> list[str]:
    """Whether all ranks see one checkpoints folder: rank 0 leaves a file there. Collective."""
    token = run.with_name(f".{run.name}.{uuid.uuid4().hex}.token")
    problem: str | None = None
    made = not token.parent.exists()
    if place.first:
        try:
            token.parent.mkdir(parents=True, exist_ok=True)
            token.touch()
        except OSError as error:
            problem = f"{token.parent}: cannot be written ({error.strerror})"
    problem, name = group.from_first((problem, token.name))
    seen_by = group.gather(problem is not None or _sees(run.with_name(name)))
    if place.first:
        with contextlib.suppress(OSError):
            token.unlink(missing_ok=True)
            if made:
                token.parent.rmdir()
    if problem is not None:
        return [problem]
    return [
        f"{_named(ranks[0].host, blind)}: {ranks[0].checkpoints} is not the folder that rank 0 "
        f"({every[0].host}) writes to, {every[0].checkpoints}; put the project on a file system "
        "that all hosts share, at the same path"
        for ranks in hosts_of(every).values()
        if (blind := [facts.rank for facts in ranks if not seen_by[facts.rank]])
    ]


def _sees(path: Path) -> bool:
    """Whether the file is there, or comes: network file systems may show it late."""
    for _ in range(_LOOKS):
        if path.exists():
            return True
        time.sleep(_LOOK_EVERY_S)
    return path.exists()


def _named(host: str, ranks: Sequence[int]) -> str:
    return f"host {host} (rank {ranks_text(ranks)})"


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:7]


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
