"""The run's metrics as JSON lines: checkpoints/{dataset}/journal.jsonl.

Rank 0 only ever appends, so training waits for no server and a crash costs at most the last line.
Each start of the run appends a line {"event": "start", "run": id, "from_step": n}; metric records
before it with a step above n were superseded by that start.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symbio.progress import say

JOURNAL_FILE = "journal.jsonl"
_MACHINES = "machines"


class Journal:
    """Appends records; a full disk is reported once and costs records, never the run."""

    def __init__(self, folder: Path, run_id: str, from_step: int) -> None:
        self._path = folder / JOURNAL_FILE
        self._complained = False
        torn = _ends_torn(self._path)
        self._append(("\n" if torn else "") + _line(event="start", run=run_id, from_step=from_step))

    def metrics(self, step: int, epoch: float, values: dict[str, float]) -> None:
        """Record metrics after `step` completed steps. Non-finite values are written as strings."""
        clean = {name: _number(value) for name, value in values.items()}
        self._append(_line(step=step, epoch=round(epoch, 4), metrics=clean))

    def event(self, name: str, step: int, **facts: Any) -> None:
        """Record something that happened: a skipped step, a checkpoint, the end."""
        self._append(_line(event=name, step=step, **facts))

    def machines(self, step: int, hosts: list[str], devices: list[str]) -> None:
        """Record on which host and device each rank is."""
        self.event(_MACHINES, step, hosts=hosts, devices=devices)

    def _append(self, text: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            if not self._complained:
                say(f"{self._path}: cannot be written ({error.strerror}); metrics are being lost")
            self._complained = True


class Follower:
    """Hands out each metric record of a run once, oldest first, while the run goes on."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._path = folder / JOURNAL_FILE
        self._run_id = run_id
        self._inode = -1
        self._offset = 0
        self._history: list[dict[str, Any]] = []
        self._started = False

    def new_records(self) -> Iterator[dict[str, Any]]:
        """Metric records since the last call; those of earlier starts that still stand come too."""
        for record in self._new_lines():
            if self._started:
                if "metrics" in record:
                    yield record
            elif record.get("run") == self._run_id:
                self._started = True
                yield from standing([*self._history, record])
            else:
                self._history.append(record)

    def _new_lines(self) -> list[dict[str, Any]]:
        try:
            with self._path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:  # the folder of an older run was moved away
                    self._inode, self._offset, self._history = inode, 0, []
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return _parsed(whole)


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The metric records of a run that stand, oldest first; torn lines are left out."""
    return standing(read_lines(folder))


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Every record of a run, oldest first, events and superseded ones too; no torn lines."""
    path = folder / JOURNAL_FILE
    return _parsed(path.read_bytes()) if path.is_file() else []


def machines_of(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the hosts that worked on a run, over all its starts; and the ranks' devices.

    The devices are those of the last start, one a rank.
    """
    told = [one for one in read_lines(folder) if one.get("event") == _MACHINES]
    hosts = sorted({host for one in told for host in one["hosts"]})
    return hosts, list(told[-1]["devices"]) if told else []


def standing(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop the metric records that a later start superseded."""
    kept: list[dict[str, Any]] = []
    for record in records:
        if record.get("event") == "start":
            kept = [old for old in kept if old["step"] <= record["from_step"]]
        elif "metrics" in record:
            kept.append(record)
    return kept


def _parsed(data: bytes) -> list[dict[str, Any]]:
    records = []
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run
        if isinstance(record, dict):
            records.append(record)
    return records


def _line(**record: Any) -> str:
    return json.dumps({**record, "time": round(time.time(), 3)}, allow_nan=False) + "\n"


def _number(value: float) -> float | str:
    finite = value == value and abs(value) != float("inf")
    return value if finite else str(value)


def _ends_torn(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
