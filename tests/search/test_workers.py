"""Several workers on one study, and what may befall them; their trainings are a formula."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest

from infra.local import lock
from infra.local.ports import Ports
from infra.local.postgres import Postgres
from infra.local.secret import Secrets
from infra.local.service import Service
from infra.local.surroundings import clients
from symbio.search.attributes import CHANGES, WORKER
from symbio.search.storage import STUDIES_VARIABLE
from tests.search.formula_worker import opened, plan_of

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def start(folder: Path, trials: int, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.search.formula_worker", str(folder), str(trials)],
        cwd=ROOT,
        env={**os.environ, **environment},
        start_new_session=True,
    )


@contextlib.contextmanager
def workers(folder: Path, count: int, trials: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [start(folder, trials) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def notes(folder: Path, word: str) -> list[list[str]]:
    path = folder / "notes"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [line.split() for line in lines if line.split()[1] == word]


def training(folder: Path, started: list[subprocess.Popen[bytes]]) -> int | None:
    """The place of a worker that is in the middle of a training."""
    begun, ended = (Counter(words[0] for words in notes(folder, word)) for word in ("begin", "end"))
    pids = [str(process.pid) for process in started]
    return next((place for place, pid in enumerate(pids) if begun[pid] > ended[pid]), None)


def until(reached: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def assert_whole(folder: Path, trials: int) -> list[optuna.trial.FrozenTrial]:
    """Every trial has ended once, with its own params."""
    study = opened(folder, plan_of(trials))
    found = study.get_trials()
    assert [trial.number for trial in found] == list(range(trials))
    assert {trial.state.name for trial in found} == {"COMPLETE"}
    assert len({str(trial.user_attrs[CHANGES]) for trial in found}) == trials
    ended = Counter(int(words[2]) for words in notes(folder, "end"))
    assert set(ended) == set(range(trials))
    for trial in found:
        assert len(trial.intermediate_values) == 5
        # Whoever began it, and however often, it was the same trial.
        begun = {words[3] for words in notes(folder, "begin") if int(words[2]) == trial.number}
        assert len(begun) == 1
    return found


def test_three_workers_share_the_trials(tmp_path: Path) -> None:
    with workers(tmp_path, 3, 15) as started:
        assert [process.wait(120) for process in started] == [0, 0, 0]
    found = assert_whole(tmp_path, 15)
    assert len(notes(tmp_path, "begin")) == len(notes(tmp_path, "end")) == 15
    assert len({trial.user_attrs[WORKER] for trial in found}) == 3


def test_killed_workers_lose_no_trial_and_count_none_twice(tmp_path: Path) -> None:
    draw = random.Random(4)
    with workers(tmp_path, 2, 12) as started:
        for turn in range(4):
            until(lambda turn=turn: len(notes(tmp_path, "end")) > 2 * turn, "no trial ends")
            place = turn % 2
            if turn < 2:
                # In the middle of a training, whoever trains; later at any moment.
                until(lambda: training(tmp_path, started) is not None, "nobody trains")
                place = training(tmp_path, started) or 0
            time.sleep(draw.uniform(0.0, 0.3 if turn < 2 else 0.6))
            started[place].kill()
            started[place].wait()
            started[place] = start(tmp_path, 12)
        assert [process.wait(120) for process in started] == [0, 0]
    assert_whole(tmp_path, 12)
    # A trial that was cut off was begun again, and soon: the dead worker was seen to be gone.
    assert len(notes(tmp_path, "begin")) > 12


def test_stopped_and_continued_as_often_as_one_likes(tmp_path: Path) -> None:
    straight, folder = tmp_path / "straight", tmp_path / "stopped"
    with workers(straight, 1, 8) as (alone,):
        assert alone.wait(120) == 0
    codes = []
    for number in (1, 3, 6, None):
        with workers(folder, 1, 8) as (worker,):
            if number is not None:
                until(lambda number=number: len(notes(folder, "end")) >= number, "no trial ends")
                worker.send_signal(signal.SIGTERM)
            codes.append(worker.wait(120))
    assert codes == [75, 75, 75, 0]
    changes = [
        [trial.user_attrs[CHANGES] for trial in assert_whole(place, 8)]
        for place in (straight, folder)
    ]
    assert changes[0] == changes[1]


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A PostgreSQL in which studies are kept."""
    with tempfile.TemporaryDirectory(prefix="symbio-") as name:
        state = Path(name)
        state.chmod(0o755)
        ports, secrets = Ports.free(), Secrets.of(state)
        program = Postgres(state, ports.postgres, secrets)
        held = lock.take(state / "lock")
        service = Service(program, state / "logs", held)
        try:
            service.start()
            told = clients(ports, secrets)
            for variable in (STUDIES_VARIABLE, "PGPASSWORD"):
                monkeypatch.setenv(variable, told[variable])
            yield service
        finally:
            service.stop()
            os.close(held)


def test_postgresql_restarted_in_a_study(tmp_path: Path, postgres: Service) -> None:
    with workers(tmp_path, 2, 12) as started:
        until(lambda: len(notes(tmp_path, "end")) >= 3, "no trial ends")
        postgres.stop()
        time.sleep(6.0)
        assert all(process.poll() is None for process in started)
        postgres.start()
        until(lambda: len(notes(tmp_path, "end")) >= 6, "no trial ends after the restart")
        postgres.kill()
        postgres.start()
        assert [process.wait(120) for process in started] == [0, 0]
    assert_whole(tmp_path, 12)
    assert len(notes(tmp_path, "end")) == 12
