"""A training run and the process that carries it to the store."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import symbio
from symbio.files import read_json
from symbio.lineage.collect import Lineage
from symbio.params import DATASETS, section_in, section_key
from symbio.progress import say
from symbio.tracking.made import forget_made, note_made
from symbio.tracking.record import (
    FAILED,
    FINISHED,
    JOURNAL,
    KILLED,
    RUNNING,
    SYSTEM_JOURNAL,
    RunRecord,
    as_params,
    lineage_files,
    read_record,
    record_before,
    run_inputs,
)
from symbio.tracking.store import experiment_name, tracking_uri

LOG_FILE = "tracking.log"
WEIGHTS_TAG = "symbio.weights_sha256"
"""Of a training run: the weights that it exported. Of a version: its weights."""
HOSTS_TAG, DEVICES_TAG = "symbio.hosts", "symbio.devices"
_OF_OTHER_VERBS = ("search", "ablations", "promote")
"""Sections of params.yaml that no training reads."""
SEND_EVERY_S = 5.0
GRACE_S = 60.0
"""How long the end of a training waits for a store that is away."""

_JOIN_SLACK_S = 15.0


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """What makes a training the trial of a study."""

    root: Path
    """The trial's own, with its checkpoints; data and tracking store are the project's."""
    name: str
    parent: RunRecord
    """The study's run."""
    tags: dict[str, str]
    artifacts: dict[Path, str] = dataclasses.field(default_factory=dict)
    """File or folder that is there when the block ends -> folder in the run's artifacts."""


class TrainingRun:
    """A training run that a separate process carries to the store.

    Nothing here waits for the store or fails because of it, except `finish`, which waits at most
    about a minute for the last metrics (inside `sending_behind` it does not).
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self._pid = os.getpid()
        self._written = _marks(folder / JOURNAL)
        command = [sys.executable, "-m", "symbio.tracking.uploader", str(folder), str(root)]
        command += [str(SEND_EVERY_S), str(GRACE_S)]
        with (folder / LOG_FILE).open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Out of reach of Ctrl-C, and of a flow that ends its process group.
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": _python_path()},
            )

    def metrics(self, record: dict[str, Any]) -> None:
        """Take a journal record {"step", "epoch", "time", "metrics"}; known ones are passed over.

        It is written to a file; a full disk costs the record, never the training.
        """
        mark = (int(record["step"]), *sorted(record["metrics"]))
        if mark in self._written:
            return
        self._written.add(mark)
        with contextlib.suppress(OSError), (self.folder / JOURNAL).open("a") as file:
            file.write(json.dumps(record) + "\n")

    def finish(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED; the first call counts."""
        process = self._process
        # A forked rank holds a copy of this object; it has no say in how the run ended.
        if process.stdin is None or process.stdin.closed or os.getpid() != self._pid:
            return
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{status}\n".encode("ascii"))
            process.stdin.close()
        if _behind is None:
            self._see_off(status)
            return
        _behind[:] = [one for one in _behind if one[0]._process.poll() != 0]
        _behind.append((self, status))

    def made(
        self, model_folder: Path, hosts: Sequence[str] = (), devices: Sequence[str] = ()
    ) -> None:
        """Note which weights the run has exported; before the block ends.

        The run is found by them again: the model's folder holds nothing that differs between two
        runs of the same training.

        Args:
            model_folder: the exported network's.
            hosts: that it was trained on.
            devices: of its ranks, one a rank.
        """
        card = read_json(model_folder / "model.json", "an exported network's description")
        tags = {WEIGHTS_TAG: str(card["weights_sha256"])}
        if hosts:
            tags[HOSTS_TAG] = ", ".join(hosts)
        if devices:
            tags[DEVICES_TAG] = ", ".join(f"{n} x {one}" for one, n in Counter(devices).items())
        note_made(self.folder, tags)

    def _see_off(self, status: str) -> None:
        """Wait for the uploader, and say so if the store has not got everything."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S + _JOIN_SLACK_S)
        if self._process.returncode == 0:
            return
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        record = read_record(self.folder)
        if record.status == RUNNING:
            record.ended(status).write(self.folder)
        say(
            f"The tracking store ({tracking_uri(self.root)}) could not be brought up to date; "
            f"metrics are kept in {self.folder}, and `symbio sync` sends them "
            f"({self.folder / LOG_FILE} says what went wrong)."
        )


_behind: list[tuple[TrainingRun, str]] | None = None
"""Runs that ended inside `sending_behind`, and how."""


@contextlib.contextmanager
def sending_behind() -> Iterator[None]:
    """Let trainings that follow each other not wait for the store: the block's end waits for all.

    Each has its own uploader, which needs nobody once it knows how its run ended. A block within
    a block changes nothing.
    """
    global _behind
    if _behind is not None:
        yield
        return
    _behind = []
    try:
        yield
    finally:
        ended, _behind = _behind, None
        for run, status in ended:
            run._see_off(status)


@contextlib.contextmanager
def tracked_training(
    root: Path, dataset: str, lineage: Lineage, trial: Trial | None = None
) -> Iterator[TrainingRun]:
    """Track the training of `dataset` in this block; feed `TrainingRun.metrics` with its journal.

    A run is continued when parameters and inputs are those of the run before and its checkpoints
    are still there, as the trainer does; else a new one is begun. The block's end says how it
    ended: FINISHED, KILLED on Ctrl-C, FAILED on any other exception, `sys.exit` with a code
    included; `finish` inside the block says it first (a training that was told to stop: KILLED).
    """
    trained_in = root if trial is None else trial.root
    folder = run_folder(trained_in, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    started_before = (trained_in / "checkpoints" / dataset / JOURNAL).is_file()
    record = _record(folder, dataset, lineage)
    _begin(folder, record if trial is None else _nested(record, trial), started_before)
    run = TrainingRun(folder, root)
    try:
        yield run
    except KeyboardInterrupt:
        run.finish(KILLED)
        raise
    except SystemExit as error:
        run.finish(FINISHED if error.code in (None, 0) else FAILED)
        raise
    except BaseException:
        run.finish(FAILED)
        raise
    run.finish(FINISHED)


def run_folder(root: Path, dataset: str) -> Path:
    """Where the newest training run of `dataset` is kept for the store.

    Beside the checkpoints and not among them: the trainer moves those of another run away.
    """
    return root / "checkpoints" / "tracking" / dataset


def _record(folder: Path, dataset: str, lineage: Lineage) -> RunRecord:
    """A new run, with its lineage written beside it."""
    unread = (*DATASETS, "custom", *_OF_OTHER_VERBS)
    values = {key: one for key, one in lineage.params.items() if key not in unread}
    values[section_key(dataset)] = section_in(lineage.params, dataset)
    journals = [folder / JOURNAL, folder / SYSTEM_JOURNAL]
    commit = lineage.git.commit
    return RunRecord(
        experiment=experiment_name(dataset),
        name=f"train-{dataset}-{(commit or 'no-git')[:7]}-{lineage.params_sha256[:6]}",
        params=as_params(values),
        tags={
            **lineage.tags(),
            "symbio.stage": "train",
            "symbio.dataset": dataset,
            "mlflow.source.name": f"symbio train {dataset}",
            "mlflow.source.type": "LOCAL",
            **({"mlflow.source.git.commit": commit} if commit else {}),
        },
        inputs=run_inputs(lineage.inputs, dataset),
        artifacts=lineage_files(folder, lineage),
        journals=tuple(str(path.resolve()) for path in journals),
    )


def _nested(record: RunRecord, trial: Trial) -> RunRecord:
    artifacts = {str(path.resolve()): place for path, place in trial.artifacts.items()}
    return dataclasses.replace(
        record,
        name=trial.name,
        parent_key=trial.parent.key,
        tags={**record.tags, **trial.tags},
        artifacts={**record.artifacts, **artifacts},
    )


def _begin(folder: Path, record: RunRecord, started_before: bool) -> None:
    """Write run.json: the new run's, or that of the old one going on."""
    forget_made(folder)
    before = record_before(folder)
    if before is not None and started_before and _is_same(before, record):
        record = dataclasses.replace(
            record,
            key=before.key,
            name=before.name,
            run_id=before.run_id,
            started_ms=before.started_ms,
        )
    else:
        for journal in record.journals:
            Path(journal).unlink(missing_ok=True)
        if before is not None:
            record.tags["symbio.run_before"] = before.key
    record.write(folder)


def _is_same(before: RunRecord, now: RunRecord) -> bool:
    return (before.experiment, before.params, before.inputs) == (
        now.experiment,
        now.params,
        now.inputs,
    )


def _marks(journal: Path) -> set[tuple[Any, ...]]:
    """What tells the records of a journal apart."""
    lines = journal.read_bytes().splitlines() if journal.is_file() else []
    marks = set()
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            marks.add((int(record["step"]), *sorted(record["metrics"])))
    return marks


def _python_path() -> str:
    """Lets the uploader import this very package, wherever it was started from."""
    here = str(Path(symbio.__file__).resolve().parents[1])
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
