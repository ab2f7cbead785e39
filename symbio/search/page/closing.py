"""The end of every page: what failed, what it cost, how to have it again."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from symbio.blocks import Block, Heading, Listing, Points, Table, Text
from symbio.search.page.values import counted, duration, told
from symbio.search.result import (
    FAILED,
    FINISHED,
    INFEASIBLE,
    INTERRUPTED,
    PRUNED,
    RUNNING,
    WAITING,
    Result,
    Row,
)

_STATES = (FINISHED, PRUNED, INFEASIBLE, FAILED, RUNNING, INTERRUPTED, WAITING)
_DATA, _VERSION = "symbio.data.", "symbio.version."


def closing_blocks(result: Result, unreadable: Sequence[str]) -> list[Block]:
    """Failures (`unreadable` measurements among them), cost, reproduction."""
    return [*_failures(result, unreadable), *_cost(result), *_reproduction(result)]


def _failures(result: Result, unreadable: Sequence[str]) -> list[Block]:
    rows = [row for row in result.rows if row.message is not None]
    points = [f"Trial {row.number} {_ended(row)}: {row.message}" for row in rows]
    points += unreadable
    return [Heading("What did not work"), Points(points)] if points else []


def _ended(row: Row) -> str:
    peak = "" if row.peak_bytes is None else f" (a rank had {row.peak_bytes / 2**30:.2f} GiB)"
    return f"{'failed' if row.state == FAILED else 'was ' + row.state}{peak}"


def _cost(result: Result) -> list[Block]:
    groups = [(state, [row for row in result.rows if row.state == state]) for state in _STATES]
    groups = [(state, rows) for state, rows in groups if rows]
    rows = [_cost_row(state, rows) for state, rows in groups]
    if len(groups) > 1:
        rows.append(_cost_row("all", list(result.rows)))
    head = ("trials", "number", "wall time", "rank time", "training", "scoring")
    return [Heading("What it cost"), Table(head, rows), Text(_cost_told(result))]


def _cost_row(name: str, rows: list[Row]) -> list[str]:
    seconds = sum(row.seconds for row in rows)
    times = (sum(row.rank_seconds for row in rows), sum(row.training_s for row in rows))
    scoring = sum(row.measuring_s for row in rows)
    return [name, str(len(rows)), *map(duration, (seconds, *times, scoring))]


def _cost_told(result: Result) -> str:
    begun = [row.begun for row in result.rows if row.begun is not None]
    ended = [row.ended for row in result.rows if row.ended is not None]
    parts = [
        "Wall time is summed over trials, rank time over their ranks. Training is steps and "
        "validations, scoring that of single frames once a trial has finished."
    ]
    rest = [row.seconds - row.training_s - row.measuring_s for row in _warm(result)]
    if rest:
        parts.append(
            f"All else took {statistics.median(rest):.1f} s a finished trial (median; without the "
            "first of each worker, which waits for its imports)."
        )
    if begun and ended:
        parts.append(
            f"From the first start to the last end it took {duration(max(ended) - min(begun))}."
        )
    workers = {row.worker for row in result.rows if row.worker is not None}
    if workers:
        parts.append(f"{counted(len(workers), 'worker')} trained.")
    over = [row for row in result.rows if row.is_over]
    pruned = sum(row.state == PRUNED for row in over)
    if result.plan.suite is None and over:
        parts.append(f"{100 * pruned / len(over):.0f} % of the ended trials were pruned.")
    lost = sum(row.losses for row in result.rows)
    if lost:
        parts.append(f"{counted(lost, 'start')} of trials were lost, and made again.")
    return " ".join(parts)


def _warm(result: Result) -> list[Row]:
    """Finished trials that were not the first of their worker, and whose scoring was timed."""
    first: dict[str | None, float] = {}
    for row in result.rows:
        if row.begun is not None:
            first[row.worker] = min(row.begun, first.get(row.worker, row.begun))
    return [
        row
        for row in result.finished
        if row.measuring_s and row.begun is not None and row.begun > first[row.worker]
    ]


def _reproduction(result: Result) -> list[Block]:
    plan, lineage = result.plan, result.lineage
    commit = lineage.get("symbio.git_commit", "none")
    named = "" if plan.name == _own_name(result) else f" --study {plan.name}"
    command = f"{plan.title}{named}"
    lines = [*([] if commit == "none" else [f"git checkout {commit}"]), command]
    blocks: list[Block] = [Heading("How to have it again"), Listing("\n".join(lines))]
    rows = [
        ("commit", commit + (" and changes that it does not hold" if _dirty(result) else "")),
        *((f"{what} (DVC md5)", lineage[key]) for key, what in _named(lineage, _DATA)),
        ("prepared frames (sha256)", told(result.recipe.get("data.prepared"))),
        ("labels (sha256)", told(result.recipe.get("data.pseudo"))),
        ("params (sha256)", lineage.get("symbio.params_sha256", "")),
        ("requirements.lock (sha256)", lineage.get("symbio.lock_sha256", "")),
        *((what, lineage[key]) for key, what in _named(lineage, _VERSION)),
        ("devices", lineage.get("symbio.devices", "")),
    ]
    shown = [row for row in rows if row[1]]
    blocks.append(Table(("of", "value"), shown, frozenset({"value"})))
    blocks.append(
        Text(
            "Each trial's own params.yaml, checkpoints, network and scores of single frames "
            "(frames.json) are in its folder trial-NNNN beside this page."
        )
    )
    return blocks


def _own_name(result: Result) -> str:
    plan = result.plan
    return plan.dataset if plan.suite is None else f"{plan.dataset}-{plan.suite}"


def _dirty(result: Result) -> bool:
    return result.lineage.get("symbio.git_dirty") == "true"


def _named(lineage: dict[str, str], prefix: str) -> list[tuple[str, str]]:
    return [(key, key.removeprefix(prefix)) for key in sorted(lineage) if key.startswith(prefix)]
