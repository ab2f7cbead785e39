from __future__ import annotations

import threading
import time

import pytest

from symbio.errors import SymbioError
from symbio.reach.deadline import within


def test_what_takes_too_long_is_left_behind() -> None:
    held = threading.Event()
    begun = time.monotonic()
    with pytest.raises(SymbioError, match=r"^the host: no answer within 0 s") as told:
        within(0.3, "the host", held.wait)
    assert told.value.exit_code == 75
    assert 0.3 <= time.monotonic() - begun < 2
    held.set()


def test_results_and_errors_pass() -> None:
    assert within(5, "", lambda: 7) == 7
    assert within(5, "", lambda: None) is None
    with pytest.raises(KeyError):
        within(5, "", lambda: {}["x"])
