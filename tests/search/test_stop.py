"""Requests to stop that come between two trainings, or as one begins."""

from __future__ import annotations

import signal
from typing import Any

from symbio.search.run import _pass_on, _stop_requests


def test_a_request_between_trainings_is_kept_and_handed_to_the_one_that_began() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with _stop_requests() as stop:
        _pass_on(stop)
        assert stop.reason is None
        signal.raise_signal(signal.SIGINT)
        assert stop.reason == "interrupted"
        # As the training's launcher does; it has not heard of the request.
        heard: list[int] = []

        def hear(number: int, _frame: Any) -> None:
            heard.append(number)

        ours = signal.signal(signal.SIGTERM, hear)
        _pass_on(stop)
        _pass_on(stop)
        assert heard == [signal.SIGTERM]
        signal.signal(signal.SIGTERM, ours)
    assert {number: signal.getsignal(number) for number in before} == before
