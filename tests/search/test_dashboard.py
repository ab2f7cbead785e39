"""Optuna's own dashboard shows a study of ours; its server is the real one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from infra.local.ports import free_ports
from symbio.search.attributes import CHANGES, VARIANT
from symbio.search.storage import open_storage, storage_url

# Optuna's hint for studies that it runs itself.
pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard; its study has a finished, a pruned and a running trial."""
    folder = tmp_path_factory.mktemp("nyu")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SYMBIO_STUDIES", raising=False)
        study = optuna.create_study(study_name="nyu", storage=open_storage(folder))
        url = storage_url(folder)
    study.enqueue_trial({"train.lr": 0.001}, user_attrs={VARIANT: "default", CHANGES: {}})
    for score, state in ((0.25, None), (None, optuna.trial.TrialState.PRUNED)):
        trial = study.ask()
        trial.suggest_float("train.lr", 1e-4, 1e-2, log=True)
        trial.report(0.5, 10)
        study.tell(trial, score, state=state)
    study.ask()
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [Path(sys.executable).parent / "optuna-dashboard", url, f"--port={port}", "--quiet"]
    )
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60.0
        while not answers(address):
            assert time.monotonic() < until
            time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool:
    try:
        return bool(ask(f"{address}/api/studies"))
    except (urllib.error.URLError, OSError):
        return False


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def test_the_study_and_its_trials_are_shown(dashboard: str) -> None:
    (study,) = ask(f"{dashboard}/api/studies")["study_summaries"]
    assert (study["study_name"], study["directions"]) == ("nyu", ["minimize"])
    shown = ask(f"{dashboard}/api/studies/{study['study_id']}?after=0")["trials"]
    assert [trial["state"] for trial in shown] == ["Complete", "Pruned", "Running"]
    first = shown[0]
    assert first["values"] == [0.25]
    assert first["intermediate_values"] == [{"step": 10, "value": 0.5}]
    (parameter,) = first["params"]
    assert parameter["name"] == "train.lr"
    assert float(parameter["param_external_value"]) == 0.001
    assert {"key": "variant", "value": "default"} in first["user_attrs"]


def test_the_page_itself_is_there(dashboard: str) -> None:
    with urllib.request.urlopen(f"{dashboard}/dashboard/", timeout=10) as answer:
        assert b"Optuna Dashboard" in answer.read()
