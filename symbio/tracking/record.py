"""A run as a folder: run.json (what the run is) and journals (its metrics, one JSON a line)."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json, write_json
from symbio.lineage.collect import InputHash, Lineage

RUN_FILE = "run.json"
JOURNAL = "journal.jsonl"
SYSTEM_JOURNAL = "system.jsonl"
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"

_DIGEST_LIMIT = 36


@dataclass(frozen=True, slots=True)
class RunInput:
    """A data set that a run reads; `digest` is at most 36 characters, which a DVC md5 fits."""

    name: str
    digest: str
    source: str
    context: str

    def __post_init__(self) -> None:
        if not 0 < len(self.digest) <= _DIGEST_LIMIT:
            raise ValueError(f"digest must have 1..{_DIGEST_LIMIT} characters: {self.digest!r}")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run is. `key` names it before, and also without, the store's own `run_id`."""

    experiment: str
    name: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    parent_key: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: tuple[RunInput, ...] = ()
    artifacts: dict[str, str] = field(default_factory=dict)
    """Local file or folder -> folder in the run's artifacts."""
    journals: tuple[str, ...] = ()
    status: str = RUNNING
    started_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    ended_ms: int | None = None
    stored: bool = False
    """Whether the store holds the run to its end."""
    run_id: str | None = None
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)

    def ended(self, status: str) -> RunRecord:
        """The same run, over."""
        return replace(self, status=status, ended_ms=int(time.time() * 1000), stored=False)

    def write(self, folder: Path) -> None:
        """Write run.json into `folder`, whole."""
        write_json(folder / RUN_FILE, asdict(self))


def read_record(folder: Path) -> RunRecord:
    """Read run.json back.

    Raises:
        SymbioError: it is missing, garbled, or not of this version.
    """
    path = folder / RUN_FILE
    values = read_json(path, "a tracked run")
    try:
        values["inputs"] = tuple(RunInput(**one) for one in values["inputs"])
        values["journals"] = tuple(values["journals"])
        return RunRecord(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise SymbioError(
            f"{path}: is no run record ({error}); remove it to start a new run"
        ) from (error)


def run_inputs(inputs: tuple[InputHash, ...], dataset: str) -> tuple[RunInput, ...]:
    """Lineage inputs as data sets of a run.

    An input that DVC does not know is named by the start of its index's SHA-256 instead.
    """
    found = []
    for one in inputs:
        digest = one.md5 or (one.index_sha256 or "unknown")[:32]
        name = f"{dataset}-{Path(one.path).parent.name}"
        found.append(RunInput(name=name, digest=digest, source=one.path, context="training"))
    return tuple(found)


def lineage_files(folder: Path, lineage: Lineage) -> dict[str, str]:
    """Write the lineage of a run, and what its commit lacks, into its folder.

    Returns:
        The artifacts of the record.
    """
    files = [folder / "lineage.json"]
    write_json(files[0], lineage.as_dict())
    if lineage.git.dirty:
        files.append(folder / "uncommitted.diff")
        files[1].write_bytes(lineage.git.diff.encode("utf-8", "surrogateescape"))
    return {str(path.resolve()): "lineage" for path in files}


def record_before(folder: Path) -> RunRecord | None:
    """The record that is in `folder` already; a garbled one counts as none."""
    try:
        return read_record(folder)
    except SymbioError:
        return None


def as_params(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested parameters as the flat strings that a store keeps; strings stay themselves."""
    return {
        key: one if isinstance(one, str) else json.dumps(one)
        for key, one in flatten(values).items()
    }


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric value: `time_ms` since the epoch (UTC), `step` in optimiser steps."""

    key: str
    value: float
    step: int
    time_ms: int


class JournalReader:
    """Reads a growing journal: each call of `news` returns what has been appended since.

    A metric line is `{"step": int, "epoch": number, "time": seconds, "metrics": {name: value}}`;
    values may be null (passed over), "nan" or "inf". Lines without metrics are events and not for
    us. A half-written last line waits for its end; a garbled line (a crash in mid-write)
    is skipped and counted. A key's step counts once, the first time, so that steps repeated after
    a resume do not appear twice. Infinities become NaN: stores would turn them into large numbers.
    """

    def __init__(self, path: Path, started_ms: int) -> None:
        self.path = path
        self.num_garbled = 0
        self._started_ms = started_ms
        self._offset = self._num_lines = 0
        self._inode = -1
        self._seen: set[tuple[str, int]] = set()

    def news(self) -> list[Reading]:
        """Readings appended since the last call, oldest first."""
        return [reading for line in self._lines() for reading in self._parse(line)]

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._offset:
                    # Another file, or cut back: read from its start, known steps are passed over.
                    self._inode, self._offset, self._num_lines = stat.st_ino, 0, 0
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    self._num_lines += 1
                    yield line
        except FileNotFoundError:
            return

    def _parse(self, line: bytes) -> Iterator[Reading]:
        try:
            record: dict[str, Any] = json.loads(line) if line.strip() else {}
            if "metrics" not in record:
                return
            step, metrics = int(record["step"]), dict(record["metrics"])
            # Replay must give the same time for the same line, whatever the clock says now.
            seconds = record.get("time")
            time_ms = int(seconds * 1000) if seconds else self._started_ms + self._num_lines
            if record.get("epoch") is not None:
                metrics.setdefault("epoch", record["epoch"])
            values = {key: float(value) for key, value in metrics.items() if value is not None}
        except (ValueError, KeyError, TypeError):
            self.num_garbled += 1
            return
        for key, value in values.items():
            if (key, step) not in self._seen:
                self._seen.add((key, step))
                finite = value if math.isfinite(value) else math.nan
                yield Reading(_allowed(key), finite, step, time_ms)


def _allowed(key: str) -> str:
    """A metric's name with the characters that stores take."""
    return re.sub(r"[^/\w.\- :]", "_", key)
