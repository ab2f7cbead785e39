"""Real trainings of a few steps: a search that is stopped and goes on, and an ablation."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import yaml

from symbio.errors import SymbioError
from symbio.params import Params, load_params
from symbio.ranks.settings import Settings
from symbio.search.attributes import CHANGES, WORKER
from symbio.search.claims import Beat
from symbio.search.objectives import objectives_of
from symbio.search.plan import search_plan
from symbio.search.run import ablate, recipe_of_study, search
from symbio.search.study import open_study, work
from symbio.search.turn import turn_of
from symbio.tell import read_progress
from symbio.tracking import sync
from symbio.train.records.journal import read_journal
from tests import project as whole_project
from tests.embedded_store import put_store
from tests.search.project import study_params
from tests.train.project import make_project

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
STUDY = Path("searches/nyu")
ONE = Settings(ranks=1)


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def project(folder: Path, params: Params) -> Path:
    make_project(folder)
    put_store(folder)
    values = params.model_dump(mode="json", exclude_unset=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return folder


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = whole_project.environment(ROOT)
    return subprocess.Popen(
        [sys.executable, "-m", "symbio.cli", *arguments],
        cwd=root,
        env={**environment, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends_with(process: subprocess.Popen[str], code: int) -> None:
    _, said = process.communicate(timeout=150)
    assert process.returncode == code, said[-6000:]
    assert "Traceback" not in said


def rows(root: Path, query: str) -> list[Any]:
    with sqlite3.connect(root / "mlruns" / "mlflow.db") as database:
        return database.execute(query).fetchall()


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]


def test_a_search_that_is_stopped_goes_on_with_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Steps long enough that a request to stop arrives before the last, also on a busy machine.
    params = study_params(batch=12, steps=24, validate_every=8, checkpoint_every=8)
    root = project(tmp_path / "a project", params)
    second = root / STUDY / "trial-0001" / "checkpoints" / "nyu"

    process = start(root, "search", "nyu", "--ranks", "1")
    until(lambda: len(read_journal(second)) >= 3, process)
    process.send_signal(signal.SIGTERM)
    ends_with(process, 75)
    result = json.loads((root / STUDY / "result.json").read_text())
    assert [trial["state"] for trial in result["trials"]] == ["finished", "interrupted"]
    trial_before = (root / STUDY / "trial-0001" / "params.yaml").read_text()
    assert rows(root, "select status from runs where name = 'nyu'") == [("KILLED",)]

    monkeypatch.setenv("SYMBIO_TELL", str(root / "told"))
    assert search(params, "nyu", root, ONE) == 0
    printed = capsys.readouterr().out
    assert (root / STUDY / "trial-0001" / "params.yaml").read_text() == trial_before
    starts = [event["from_step"] for event in events(second) if event.get("event") == "start"]
    assert len(starts) == 2
    assert 0 < starts[1] < 24
    result = json.loads((root / STUDY / "result.json").read_text())
    trials = result["trials"]
    assert [trial["state"] for trial in trials] == ["finished"] * 3
    for trial in trials:
        trained = root / STUDY / f"trial-{trial['number']:04d}"
        values = [
            record["metrics"]["val/abs_rel"]
            for record in read_journal(trained / "checkpoints" / "nyu")
            if "val/abs_rel" in record["metrics"]
        ]
        assert len(values) == 3
        assert trial["score"] == min(values)
        assert (trained / "models" / "nyu" / "weights.safetensors").is_file()
        lr = trial["changes"].get("train.lr", params.train.lr)
        assert load_params(trained / "params.yaml").train.lr == lr
        # What only a continued training would need is gone.
        assert not list(trained.glob("checkpoints/nyu/step-*"))
        assert (trained / "data").readlink() == Path("../../../data")
    assert printed == (root / STUDY / "result.md").read_text()

    # The same trials as of a study that nobody stopped, by the scores that these had.
    scores = [trial["score"] for trial in trials]
    straight = by_formula(tmp_path / "straight", params, 3, lambda number: scores[number])
    assert [t.user_attrs[CHANGES] for t in straight.trials] == [t["changes"] for t in trials]

    best = min(trials, key=lambda trial: trial["score"])
    written = yaml.safe_load((root / STUDY / "best-params.yaml").read_text())
    expected = yaml.safe_load((root / "params.yaml").read_text())
    for key, value in best["changes"].items():
        *sections, name = key.split(".")
        place = expected
        for section in sections:
            place = place[section]
        place[name] = value
    assert written == expected
    told = read_progress(root / "told")
    assert told is not None
    assert (told["what"], told["done"], told["total"]) == ("trials", 3, 3)

    nested = rows(
        root,
        "select child.name, child.status from runs child join tags on tags.run_uuid = "
        "child.run_uuid and tags.key = 'mlflow.parentRunId' join runs parent on "
        "parent.run_uuid = tags.value and parent.name = 'nyu' order by child.name",
    )
    assert nested == [(f"nyu-trial-000{number}", "FINISHED") for number in range(3)]
    tags = dict(
        rows(
            root,
            "select key, tags.value from tags join runs using (run_uuid) "
            "where name = 'nyu-trial-0001' and key like 'symbio.%'",
        )
    )
    assert (tags["symbio.study"], tags["symbio.trial"]) == ("nyu", "1")
    assert tags["symbio.state"] == "finished"
    drawn = "select value from params join runs using (run_uuid) where name = 'nyu-trial-0002' "
    assert rows(root, f"{drawn} and key = 'nearfarmix.mix'") == [
        (trials[2]["changes"]["nearfarmix.mix"],)
    ]
    measured = "join runs using (run_uuid) where name = 'nyu' and key = 'val/abs_rel'"
    found = rows(root, f"select step, value from metrics {measured} order by step")
    assert found == [(trial["number"], pytest.approx(trial["score"])) for trial in trials]
    assert rows(root, "select status from runs where name = 'nyu'") == [("FINISHED",)]
    stored = root / "mlruns/artifacts"
    assert len(list(stored.glob("**/study/best-params.yaml"))) == 1
    assert len(list(stored.glob("**/evaluation/frames.json"))) == 3
    pictures = [path.name for path in stored.glob("**/evaluation/report/pictures/*.png")]
    assert {pictures.count(name) for name in pictures} == {3}, "the same frames of each trial"
    assert sync(root) == 0

    # All trials have ended: nothing trains.
    journals = {path: path.stat().st_mtime for path in root.glob(f"{STUDY}/trial-*/**/*.jsonl")}
    assert search(params, "nyu", root, ONE) == 0
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime for path in journals} == journals


def test_an_ablation_with_a_variant_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = {
        "seeds": [4],
        "variants": {"huge": {"train.lr": 1e30}, "plain": {"nearfarmix.mix": "none"}},
    }
    params = study_params(suite=suite, max_bad_steps=1)
    root = project(tmp_path, params)
    assert ablate(params, "nyu", "suite", root, ONE, "mine") == 0
    result = json.loads((root / "searches/mine/result.json").read_text())
    failed, plain = result["trials"]
    assert (failed["state"], failed["variant"], failed["score"]) == ("failed", "huge", None)
    assert "skipped" in failed["message"]
    assert (plain["state"], plain["seed"]) == ("finished", 4)
    assert failed["message"] in capsys.readouterr().out
    assert rows(root, "select name, status from runs order by start_time") == [
        ("mine", "FINISHED"),
        ("mine-trial-0000", "FAILED"),
        ("mine-trial-0001", "FINISHED"),
    ]


def test_a_study_of_which_nothing_finished_fails_with_the_reason(tmp_path: Path) -> None:
    params = study_params({"trials": 2})
    root = project(tmp_path, params)

    def fails(_number: int) -> float:
        raise SymbioError("the GPU is full")

    by_formula(root / STUDY, params, 2, fails, root)
    with pytest.raises(SymbioError, match=r"none of 2 trials finished; .*: the GPU is full") as end:
        search(params, "nyu", root, ONE)
    assert end.value.exit_code == 1
    assert rows(root, "select name, status from runs") == [("nyu", "FAILED")]
    # With other params its trials could not be compared.
    with pytest.raises(SymbioError, match=r"searches/nyu: .*(?s:.*)train\.steps: 4 -> 8"):
        search(study_params({"trials": 3}, steps=8), "nyu", root, ONE)


def test_a_trial_over_two_ranks_is_pruned_on_both(tmp_path: Path) -> None:
    params = study_params({"pruner": "median", "trials": 7}, steps=60, validate_every=2)
    root = project(tmp_path, params)
    by_formula(root / STUDY, params, 6, lambda number: 1e-6, root, report_at=2)
    assert search(params, "nyu", root, Settings(ranks=2)) == 0
    trial = json.loads((root / STUDY / "result.json").read_text())["trials"][6]
    assert trial["state"] == "pruned"
    assert trial["score"] > 1e-6
    run = root / STUDY / "trial-0006" / "checkpoints" / "nyu"
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["ranks"]) == ("abandoned", 2)
    assert len(read_journal(run)) < 60
    assert not list(run.glob("step-*"))
    found = rows(root, "select status from runs where name = 'nyu-trial-0006'")
    assert found == [("KILLED",)]
    assert not [process for process in psutil.process_iter() if works_in(process, root)]


def test_a_worker_killed_in_a_trial_is_replaced_and_the_trial_goes_on(tmp_path: Path) -> None:
    # As above: the trial is still training when its worker is killed.
    params = study_params({"trials": 3}, batch=8, steps=24, validate_every=8, checkpoint_every=4)
    root = project(tmp_path, params)
    process = start(root, "search", "nyu", "--ranks", "1", "--workers", "2")
    run = root / STUDY / "trial-0001" / "checkpoints" / "nyu"
    until(lambda: (run / "newest.json").is_file(), process)
    database = optuna.load_study(
        study_name="nyu", storage=f"sqlite:///{root / STUDY / 'optuna.db'}"
    )
    _, pid = database.trials[1].user_attrs[WORKER].split(":")
    os.kill(int(pid), signal.SIGKILL)
    ends_with(process, 0)
    trials = json.loads((root / STUDY / "result.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["finished"] * 3
    starts = [event["from_step"] for event in events(run) if event.get("event") == "start"]
    assert starts[0] == 0
    assert all(0 < step < 24 for step in starts[1:])
    assert len(starts) == 2
    done = {record["step"] for record in read_journal(run)}
    assert done == set(range(1, 25))


def by_formula(
    folder: Path,
    params: Params,
    trials: int,
    formula: Callable[[int], float],
    root: Path | None = None,
    report_at: int | None = None,
) -> optuna.Study:
    """A study in which `trials` trials have ended, without any training."""
    plan = search_plan(params, "nyu", trials)
    recipe = {} if root is None else recipe_of_study(plan, root)
    folder.mkdir(parents=True, exist_ok=True)
    study = open_study(folder, plan, recipe, objectives_of(plan))

    def train(trial: optuna.Trial, _params: Params, _beat: Beat) -> list[float]:
        if report_at is not None:
            trial.report(formula(trial.number), report_at)
        return [formula(trial.number)]

    assert work(study, plan, train, turn_of(folder, plan.name))
    return study


def works_in(process: psutil.Process, root: Path) -> bool:
    try:
        return str(root) in " ".join(process.cmdline())
    except psutil.Error:
        return False


def until(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
