"""`symbio status` of studies: real storages, and trainings that are alive, dead or elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
import pytest

from symbio.files import write_json
from symbio.search.attributes import CHANGES, CLAIM, MESSAGE, SECONDS, SEED, VARIANT, WORKER
from symbio.search.storage import DATABASE, open_storage
from symbio.status.run import described_study, run
from symbio.status.study import LOST, studies_in
from symbio.tracking import record_run
from symbio.train.records.status import write_status

# Optuna's hint for studies that it runs itself.
pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")
CLAIMED = {"key": "k", "host": "h", "pid": 1, "started": 0.0}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an ablation: one trial finished, one failed, two under way."""
    monkeypatch.delenv("SYMBIO_STUDIES", raising=False)
    folder = tmp_path / "searches" / "nyu-mix"
    folder.mkdir(parents=True)
    write_json(folder / "result.json", {"dataset": "nyu", "metric": "abs_rel", "wanted": 12})
    study = optuna.create_study(study_name="nyu-mix", storage=open_storage(folder))
    for variant in ("none", "nearfarmix", "cutmix", "random"):
        study.enqueue_trial({}, user_attrs={VARIANT: variant, SEED: 1, CHANGES: {"seed": 1}})
    finished, failed, living, silent = (study.ask() for _ in range(4))
    finished.set_user_attr(SECONDS, 90.0)
    study.tell(finished, 0.125)
    failed.set_user_attr(MESSAGE, "the loss is not finite")
    study.tell(failed, state=optuna.trial.TrialState.FAIL)
    for trial in (living, silent):
        trial.set_user_attr(CLAIM, CLAIMED)
        trial.set_user_attr(WORKER, "here:1")
        trial.report(0.5, 20)
        # Nobody has a heartbeat, and nobody said how this training ended: it is dead.
        if trial is silent:
            run_folder = folder / f"trial-{trial.number:04d}" / "checkpoints" / "nyu"
            run_folder.mkdir(parents=True)
            write_status(run_folder, state="running", step=20, steps=100)
    return tmp_path


def test_every_trial_is_told_and_a_dead_training_is_no_running_one(root: Path) -> None:
    (study,) = studies_in(root)
    assert (study.name, study.dataset, study.state) == ("nyu-mix", "nyu", "running")
    assert [trial.state for trial in study.trials] == ["finished", "failed", "running", LOST]
    assert [trial.score for trial in study.trials] == [0.125, None, 0.5, 0.5]
    told = described_study(study).splitlines()
    states = "1 finished, 1 failed, 1 running, 1 lost, of 12"
    assert told[0] == f"study nyu-mix (nyu): running; {states}"
    assert told[1].split() == ["trial", "state", "abs_rel", "step", "minutes", "worker"]
    assert told[2].split() == ["0", "finished", "0.125", "1.5", "none,", "seed", "1"]
    assert told[3].endswith("nearfarmix, seed 1: the loss is not finite")
    assert "20 of 100" in told[5]


def test_a_study_of_another_data_set_is_left_out(root: Path) -> None:
    assert studies_in(root, "kitti") == []
    assert len(studies_in(root, "nyu")) == 1


@pytest.mark.parametrize(
    ("status", "state"), [("FINISHED", "finished"), ("FAILED", "failed"), ("KILLED", "stopped")]
)
def test_a_study_that_nobody_works_on_is_what_its_command_said_last(
    root: Path, status: str, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = root / "searches" / "nyu-mix"
    study = optuna.load_study(study_name="nyu-mix", storage=open_storage(folder))
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, 0.25)
    record_run(folder / "tracking", root, experiment="x", name="nyu-mix", status=status)
    (found,) = studies_in(root)
    assert found.state == state
    assert run("nyu", root) == (0 if state == "finished" else 1)
    assert f"study nyu-mix (nyu): {state}" in capsys.readouterr().out


def test_a_command_that_is_between_two_trials_is_running(root: Path) -> None:
    folder = root / "searches" / "nyu-mix"
    study = optuna.load_study(study_name="nyu-mix", storage=open_storage(folder))
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, 0.25)
    record = record_run(folder / "tracking", root, experiment="x", name="nyu-mix", status="RUNNING")
    assert record.pid == os.getpid()
    (found,) = studies_in(root)
    assert found.state == "running"


def test_a_database_that_is_elsewhere_or_away_is_no_reason_to_fail(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBIO_STUDIES", "postgresql://anna:secret@127.0.0.1:9/optuna")
    (away,) = studies_in(root)
    assert (away.state, away.trials) == ("unknown", [])
    assert "does not answer" in away.why
    assert "secret" not in described_study(away)
    monkeypatch.delenv("SYMBIO_STUDIES")
    (root / "searches/nyu-mix" / DATABASE).unlink()
    (elsewhere,) = studies_in(root)
    assert "set SYMBIO_STUDIES" in elsewhere.why
    assert not (root / "searches/nyu-mix" / DATABASE).exists()


def test_a_study_of_an_older_symbio_is_unknown(root: Path) -> None:
    write_json(root / "searches" / "nyu-mix" / "result.json", {"dataset": "nyu"})
    (study,) = studies_in(root)
    assert (study.name, study.state) == ("nyu-mix", "unknown")
    assert "older" in study.why
