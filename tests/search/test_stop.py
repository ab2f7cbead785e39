"""Requests to stop that come between two trainings, or as one begins; a second one."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from symbio.ranks.settings import Settings
from symbio.ranks.stop import StopRequest
from symbio.search import supervise as supervising
from symbio.search.plan import search_plan
from symbio.search.run import _signals_noted
from symbio.search.worker import _pass_on
from tests.search.project import study_params

_STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(os.environ["READY"], str(os.getpid())).touch()
time.sleep(600)
"""


def test_signals_are_noted_in_their_order_and_handlers_come_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with _signals_noted() as asked:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert asked == [signal.SIGTERM, signal.SIGINT]
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_request_between_trainings_is_handed_to_the_one_that_began() -> None:
    stop, heard = StopRequest(), list[int]()
    _pass_on(stop)
    assert stop.reason is None

    def hear(number: int, _frame: Any) -> None:
        heard.append(number)

    # As the training's launcher does; it has not heard of the request.
    before = signal.signal(signal.SIGTERM, hear)
    try:
        stop.reason = "interrupted"
        _pass_on(stop)
        _pass_on(stop)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_request_kills_a_worker_that_does_not_heed_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stubborn.py").write_text(_STUBBORN)
    (tmp_path / "ready").mkdir()
    monkeypatch.setattr(supervising, "MODULE", "stubborn")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    plan, asked = search_plan(study_params(), "nyu"), list[int]()
    monkeypatch.setattr(supervising, "_REFRESH_S", 0.5)

    monkeypatch.setenv("READY", str(tmp_path / "ready"))

    def refresh() -> None:
        if len(list((tmp_path / "ready").iterdir())) == 2:
            asked.append(signal.SIGINT)

    assert not supervising.supervise(plan, tmp_path, Settings(ranks=1), 2, asked, refresh)
    assert len(asked) == 2
