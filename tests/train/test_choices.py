"""A misspelt name is refused before it can cost anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from symbio.errors import SymbioError
from symbio.files import sha256_of, write_json
from symbio.train.choices import chosen_network
from symbio.train.claim import claim
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on

BAD: list[tuple[dict[str, Any], str]] = [
    ({"mix": {"mix": "nearmix"}}, "nearfarmix.mix: no mix 'nearmix'; there are none, nearfarmix"),
    ({"select": {"metric": "absrel"}}, "metric 'absrel': unknown"),
    ({"model": {"encoder": "test_maxvitt"}}, "did you mean test_maxvit"),
    ({"model": {"symbiosis": {"exchange": "all"}}}, "model.symbiosis.exchange: no exchange 'all'"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_unknown_choice_is_named_with_what_there_is(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SymbioError, match=message):
        chosen_network(tiny_params(**changes), "nyu")


def test_a_misspelt_name_leaves_the_run_before_it_alone(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    run = root / "checkpoints" / "nyu"
    (run / "step-00000004").mkdir(parents=True)
    write_json(run / "run.json", {"ingredients": {"train.lr": 1.0}, "fingerprint": "other"})
    before = {path: path.is_dir() or sha256_of(path) for path in sorted(run.rglob("*"))}
    for changes, message in BAD[:2]:
        (end,) = train_on(1, tiny_params(**changes), root)
        assert message.split(":")[0] in str(end.error)
    assert {path: path.is_dir() or sha256_of(path) for path in sorted(run.rglob("*"))} == before
    assert not (root / "checkpoints" / "nyu.previous").exists()


def test_a_run_without_a_checkpoint_does_not_take_the_place_of_one_that_had(tmp_path: Path) -> None:
    run, previous = tmp_path / "nyu", tmp_path / "nyu.previous"
    for lr, checkpoint in [(1.0, True), (2.0, False), (3.0, True)]:
        claim(run, {"train.lr": lr}, None)
        if checkpoint:
            (run / "step-00000004").mkdir()
    assert (previous / "step-00000004").is_dir()
    assert '"train.lr": 1.0' in (previous / "run.json").read_text()
    assert '"train.lr": 3.0' in (run / "run.json").read_text()
