"""Deciders of several hosts: only the store is common to them."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.promote import run as verb
from symbio.promote import turn as turns
from symbio.promote.turn import TURN_TAG, turn
from symbio.tracking import open_store
from tests.promote.conftest import FRAMES, NAME, aliases, put_version

BETTER = [value * 0.9 for value in FRAMES]


@pytest.fixture
def model(project: Path) -> Path:
    open_store(project).create_registered_model(NAME)
    return project


def tags_of(root: Path) -> dict[str, str]:
    return dict(open_store(root).get_registered_model(NAME).tags)


def count(root: Path, times: int) -> None:
    """Read a number, wait, write it plus one: any overlap loses a count."""
    for _ in range(times):
        with turn(root, NAME):
            number = int((root / "number").read_text())
            time.sleep(0.02)
            (root / "number").write_text(str(number + 1))


def test_never_two_at_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_PAUSE_S", (0.0, 0.1))
    (model / "number").write_text("0")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count, [model, model], [4, 4]))
    assert (model / "number").read_text() == "8"
    assert tags_of(model) == {}


def test_who_is_at_it_is_waited_for_and_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_PATIENCE_S", 0.0)
    theirs = f"nodeb 17 {time.time():.0f}"
    open_store(model).set_registered_model_tag(NAME, f"{TURN_TAG}b", theirs)
    with pytest.raises(SymbioError, match="process 17 on nodeb") as caught, turn(model, NAME):
        pass
    assert caught.value.exit_code == 75
    assert tags_of(model) == {f"{TURN_TAG}b": theirs}


@pytest.mark.parametrize("whose", ["this host's", "another host's"])
def test_the_tag_of_the_dead_is_removed(model: Path, whose: str) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    here = f"{socket.gethostname()} {pid} {time.time():.0f}"
    long_ago = f"nodeb 1 {time.time() - 3600:.0f}"
    value = here if whose == "this host's" else long_ago
    open_store(model).set_registered_model_tag(NAME, f"{TURN_TAG}b", value)
    with turn(model, NAME):
        assert len(tags_of(model)) == 1
    assert tags_of(model) == {}


def test_an_alias_moved_by_hand_meanwhile_is_respected(
    project: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_version(project, params, FRAMES)
    verb.run(params, "nyu", project)
    put_version(project, params, [value * 0.5 for value in FRAMES])
    put_version(project, params, BETTER)
    decided = verb.decide

    def slowly(*arguments: object) -> object:
        found = decided(*arguments)  # type: ignore[arg-type]
        open_store(project).set_registered_model_alias(NAME, "champion", "2")
        return found

    monkeypatch.setattr(verb, "decide", slowly)
    decision = verb.run(params, "nyu", project)
    # Better than version 1, which it was compared with first, and not than version 2.
    assert (decision["verdict"], decision["champion_before"]) == ("refused", "2")
    assert aliases(project)["champion"] == "2"
    assert not any(key.startswith(TURN_TAG) for key in tags_of(project))
