"""`symbio status`: one line a run, and a table of its ranks."""

from __future__ import annotations

import sys
from pathlib import Path

from symbio.params import DATASETS
from symbio.ranks.heartbeat import filesystem_now
from symbio.status.state import Name, RankState, RunState, state_of

WELL: tuple[Name, ...] = ("running", "slow", "finished")
"""States in which nobody has to do anything: exit code 0."""

_COLUMNS = ("rank", "host", "process", "step", "phase", "got on", "heartbeat", "")


def run(dataset: str | None, root: Path = Path(".")) -> int:
    """Print the state of a data set's training run, or of all there are.

    Returns:
        0 if each of them is running, slow or finished; else, or if there is none, 1.
    """
    folder = root / "checkpoints"
    now = filesystem_now(folder)
    states = {name: state_of(folder / name, now) for name in DATASETS if dataset in (None, name)}
    found = {name: state for name, state in states.items() if state.name != "none"}
    for name, state in (found or states).items():
        sys.stdout.write(f"{described(name, state)}\n")
    return 0 if found and all(state.name in WELL for state in found.values()) else 1


def described(dataset: str, state: RunState) -> str:
    """The state in words, and a line for each rank of a run under way."""
    text = f"{dataset}: {state.name}"
    if state.step is not None:
        text += f" at step {state.step}" + (f" of {state.steps}" if state.steps else "")
    if state.why:
        text += f": {state.why}"
    return "\n".join([text, *_table(state.ranks)])


def _table(ranks: list[RankState]) -> list[str]:
    if not ranks:
        return []
    missing = ranks[0].beat.world - len(ranks)
    rows = [_COLUMNS, *(_row(rank) for rank in ranks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if missing > 0:
        lines.append(f"{missing} more without a heartbeat here")
    return lines


def _row(rank: RankState) -> tuple[str, ...]:
    beat = rank.beat
    return (
        str(beat.rank),
        beat.host,
        str(beat.pid),
        "-" if beat.step is None else str(beat.step),
        beat.phase,
        f"{beat.since_progress_s + rank.age_s:.1f} s ago",
        f"{rank.age_s:.1f} s ago",
        "" if rank.alive else "stopped, dead or out of reach",
    )
