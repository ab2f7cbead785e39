"""Makes the tracking store agree with a run's folder, idempotently."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from symbio.tracking.made import read_made
from symbio.tracking.record import RUNNING, JournalReader, Reading, RunRecord, read_record
from symbio.tracking.store import experiment_id, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY_TAG = "symbio.key"
PARENT_TAG = "mlflow.parentRunId"
STATE_TAG = "symbio.state"
"""What a training run is really doing; MLflow's own status only tells how it ended."""

_BATCH = 500
_PARAM_LIMIT = 6000
_TAG_LIMIT = 5000
_log = logging.getLogger(__name__)


class Mirror:
    """One run folder and its image in the store.

    `update` may be called again after any failure: nothing is stored twice. Creating a run is
    found again by its key; a metric row is named by key, value, time and step, so sending it again
    is no new row; tags and equal parameters overwrite themselves.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self.record = read_record(folder)
        self._client: MlflowClient | None = None
        self._found = False
        self._described = False
        self._readers = [
            JournalReader(Path(path), self.record.started_ms) for path in self.record.journals
        ]
        self._unsent: list[Reading] = []
        self._told_state: str | None = None

    def update(self) -> None:
        """Bring the store up to date. Raises what MLflow raises when the store is away."""
        client = self._open()
        run_id = self._run_id(client)
        if not self._described:
            self._describe(client, run_id)
            self._described = True
        state = self.record.tags.get(STATE_TAG)
        if state is not None and state != self._told_state:
            client.set_tag(run_id, STATE_TAG, state)
            self._told_state = state
        self._send_news(client, run_id)

    def note_state(self, state: str) -> None:
        """Note in run.json what the run is doing; `update` carries it to the store as a tag."""
        if self.record.tags.get(STATE_TAG) != state:
            tags = {**self.record.tags, STATE_TAG: state}
            self._remember(replace(self.record, tags=tags))

    def end(self, status: str) -> None:
        """Note in run.json how the run ended; `close` carries it to the store."""
        self._remember(self.record.ended(status))

    def close(self) -> None:
        """Send what is left and end the run in the store; run.json is the last to learn of it."""
        self.update()
        client = self._open()
        run_id = self._run_id(client)
        for local, place in self.record.artifacts.items():
            log_artifact(client, run_id, Path(local), place)
        for key, value in read_made(self.folder).items():
            client.set_tag(run_id, key, value)
        client.set_terminated(run_id, self.record.status, self.record.ended_ms)
        self._remember(replace(self.record, stored=True))

    def _open(self) -> MlflowClient:
        if self._client is None:
            self._client = open_store(self.root)
        return self._client

    def _run_id(self, client: MlflowClient) -> str:
        if not self._found:
            key, experiment = self.record.key, self.record.experiment
            run_id = self._known(client) or find_run(client, self.root, experiment, key)
            run_id = run_id or self._create(client)
            self._remember(replace(self.record, run_id=run_id))
            self._found = True
        run_id = self.record.run_id
        assert run_id is not None
        return run_id

    def _known(self, client: MlflowClient) -> str | None:
        """The remembered id, if this store has that run (it may be another store, or deleted)."""
        from mlflow.exceptions import MlflowException

        if self.record.run_id is None:
            return None
        try:
            run = client.get_run(self.record.run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return self.record.run_id if run.info.lifecycle_stage == "active" else None

    def _create(self, client: MlflowClient) -> str:
        tags = {KEY_TAG: self.record.key}
        if self.record.parent_key:
            parent = find_run(client, self.root, self.record.experiment, self.record.parent_key)
            if parent:
                tags[PARENT_TAG] = parent
        run = client.create_run(
            experiment_id(client, self.root, self.record.experiment),
            start_time=self.record.started_ms,
            tags=tags,
            run_name=self.record.name,
        )
        return str(run.info.run_id)

    def _describe(self, client: MlflowClient, run_id: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

        # A run that is continued after a stop runs again.
        client.update_run(run_id, status=RUNNING)
        params = [Param(key, value[:_PARAM_LIMIT]) for key, value in self.record.params.items()]
        tags = [RunTag(key, value[:_TAG_LIMIT]) for key, value in self.record.tags.items()]
        for start in range(0, max(len(params), len(tags)), 100):
            part = slice(start, start + 100)
            client.log_batch(run_id, params=params[part], tags=tags[part])
        inputs = [
            DatasetInput(
                Dataset(one.name, one.digest, "local", json.dumps({"uri": one.source})),
                [InputTag("mlflow.data.context", one.context)],
            )
            for one in self.record.inputs
        ]
        if inputs:
            client.log_inputs(run_id, inputs)

    def _send_news(self, client: MlflowClient, run_id: str) -> None:
        for reader in self._readers:
            self._unsent.extend(reader.news())
        while self._unsent:
            send_readings(client, run_id, self._unsent[:_BATCH])
            del self._unsent[:_BATCH]

    def _remember(self, record: RunRecord) -> None:
        self.record = record
        record.write(self.folder)


def find_run(client: MlflowClient, root: Path, experiment: str, key: str) -> str | None:
    """The store's id of the run with our `key`, if it has one."""
    found = client.search_runs(
        [experiment_id(client, root, experiment)],
        filter_string=f"tags.`{KEY_TAG}` = '{key}'",
        max_results=1,
    )
    return str(found[0].info.run_id) if found else None


def send_readings(client: MlflowClient, run_id: str, readings: Sequence[Reading]) -> None:
    """Store metric values; sending them again changes nothing."""
    from mlflow.entities import Metric

    metrics = [Metric(one.key, one.value, one.time_ms, one.step) for one in readings]
    client.log_batch(run_id, metrics=metrics)


def log_artifact(client: MlflowClient, run_id: str, local: Path, place: str) -> None:
    """Store a file or folder below `place` in the run's artifacts."""
    if local.is_dir():
        client.log_artifacts(run_id, str(local), place)
    elif local.is_file():
        client.log_artifact(run_id, str(local), place)
    else:
        _log.warning("%s: not there, so not stored with the run", local)
