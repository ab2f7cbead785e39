"""What ranks tell each other before a run starts, and what they refuse."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from symbio.params import Params
from symbio.ranks.place import Place
from symbio.train.paths import Paths
from symbio.train.preflight import facts as facts_module
from symbio.train.preflight.compare import clock_warnings, full_disk, mismatches
from symbio.train.preflight.facts import Code, Facts, facts_of, ranks_text
from symbio.train.preflight.table import show
from tests.train import faults
from tests.train.project import make_project, tiny_params
from tests.train.ranks import End, run_ranks, train, trained

CODE = Code("89abcde" + 33 * "0", None, "package" + 57 * "0", "lock000" + 57 * "0")
VERSIONS = {"symbio": "0.1.0", "python": "3.11.2", "torch": "2.11.0", "deepspeed": "0.19.8"}


def facts(rank: int = 0, host: str = "a", **changed: Any) -> Facts:
    """One rank's; two ranks a host, the even one being its first."""
    values: dict[str, Any] = {
        "rank": rank,
        "host": host,
        "node": None,
        "device": "NVIDIA H100 80GB HBM3",
        "memory_free": 79 * 2**30,
        "memory_total": 80 * 2**30,
        "checkpoints": "checkpoints",
        "disk_free": 100 * 2**30,
        "disk_needed": 2**30,
        "versions": {**VERSIONS, "timm": "1.0.31", "numpy": "2.4.0"},
        "settings": {"seed": 7, "train.lr": 0.1, "model.channels": 16, "--resume": "auto"},
        "data": {"data/prepared/nyu": "1" * 64, "data/pseudo/nyu": "2" * 64},
        "problem": None,
        "code": CODE if rank % 2 == 0 else None,
        "clock": 1000.0,
    }
    return Facts(**{**values, **changed})


def two_hosts(**changed: Any) -> list[Facts]:
    """Four ranks on hosts a and b; what is `changed` is so on b."""
    code = changed.pop("code", CODE)
    return [
        facts(0),
        facts(1),
        facts(2, "b", **changed, code=code),
        facts(3, "b", **changed, code=None),
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"code": replace(CODE, commit="1234567" + 33 * "0", lock=None, package="other")},
            "commit 1234567, host a (rank 0) has 89abcde; run `git checkout 89abcde` there",
        ),
        (
            {"code": replace(CODE, lock="77" * 32)},
            "requirements.lock is 7777777, host a (rank 0) has lock000; copy it there and "
            "install it",
        ),
        (
            {"code": replace(CODE, changes="ab" * 32, package="other")},
            "uncommitted changes abababa, host a (rank 0) has none; commit them and check that "
            "commit out on every host",
        ),
        (
            {"code": replace(CODE, commit=None, package="other__")},
            "symbio's source files are other__, host a (rank 0) has package; install the same "
            "symbio there",
        ),
        (
            {"versions": {**VERSIONS, "timm": "1.0.31", "torch": "2.10.0", "python": "3.12.1"}},
            "torch 2.10.0, host a (rank 0) has 2.11.0; install requirements.lock of the same "
            "commit there",
        ),
        (
            {"settings": {**facts().settings, "train.lr": 0.2, "--resume": "200"}},
            "--resume '200' (host a (rank 0) has 'auto'), train.lr 0.2 (host a (rank 0) has 0.1); "
            "start every host with the same params.yaml and flags",
        ),
        (
            {"data": {"data/prepared/nyu": "1" * 64, "data/pseudo/nyu": "3" * 64}},
            "data/pseudo/nyu holds 3333333, host a (rank 0) has 2222222; run "
            "`dvc pull data/pseudo/nyu` there",
        ),
        (
            {"problem": "data/prepared/nyu: run `symbio prepare nyu`", "settings": {}, "data": {}},
            "data/prepared/nyu: run `symbio prepare nyu`",
        ),
    ],
)
def test_a_host_that_differs_is_named_with_all_its_ranks(
    changed: dict[str, Any], told: str
) -> None:
    assert mismatches(two_hosts(**changed)) == [f"host b (rank 2,3): {told}"]


def test_alike_is_not_refused() -> None:
    assert mismatches(two_hosts()) == []
    # Libraries that decide no result, and a host without git or lock file in its image.
    versions = {**VERSIONS, "timm": "1.0.31", "python": "3.11.9", "numpy": "2.3.0"}
    assert mismatches(two_hosts(versions=versions)) == []
    assert mismatches(two_hosts(code=replace(CODE, commit=None, changes=None))) == []
    assert mismatches(two_hosts(device="other", memory_total=1, disk_free=0, clock=0.0)) == []


def test_one_rank_that_differs_from_its_own_host() -> None:
    every = two_hosts()
    every[3] = replace(every[3], settings={**every[3].settings, "seed": 8})
    assert mismatches(every) == [
        "host b (rank 3): seed 8 (host a (rank 0) has 7); start every host with the same "
        "params.yaml and flags"
    ]


def test_many_keys_are_cut_short() -> None:
    (told,) = mismatches([facts(), facts(1, settings={f"k{n}": n for n in range(9)})])
    assert told.count(" has ") == 5
    assert "and 8 more; start every host" in told


def test_disk_and_clock() -> None:
    assert full_disk(facts()) == []
    (told,) = full_disk(facts(disk_free=300 * 2**20, disk_needed=3 * 2**30 // 2))
    assert told.startswith("host a (rank 0): checkpoints: 300 MiB are free")
    assert "1.5 GiB" in told
    assert clock_warnings(two_hosts(clock=1004.0)) == []
    (ahead,) = clock_warnings(two_hosts(clock=1006.0))
    assert ahead.startswith("host b (rank 2,3): its clock is 6 s ahead of that of rank 0")
    assert "8 s behind" in clock_warnings(two_hosts(clock=992.0))[0]


def test_numbers_in_words() -> None:
    assert ranks_text([0]) == "0"
    assert ranks_text([3, 2]) == "2,3"
    assert ranks_text([0, 1, 2, 3, 7]) == "0-3,7"


def test_64_ranks_make_a_line_a_host_and_what_differs_a_column(
    capsys: pytest.CaptureFixture[str],
) -> None:
    every = [facts(rank, f"node-{rank // 8:02}", node=str(rank // 8)) for rank in range(64)]
    show(every)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 + 8
    assert said[0].startswith("64 ranks on 8 hosts; all have symbio 0.1.0, python 3.11.2")
    assert "commit 89abcde, lock lock000, prepared 1111111, pseudo 2222222" in said[0]
    assert re.match(r"node-07 \(7\) +56-63 +8 x NVIDIA H100 80GB HBM3 +79\.0 of 80\.0", said[9])
    assert max(len(line) for line in said[1:]) <= 120
    every[63] = replace(every[63], data={**every[63].data, "data/prepared/nyu": "9" * 64})
    show(every)
    said = capsys.readouterr().err.splitlines()
    assert "prepared" not in said[0]
    assert said[1].split()[-1] == "prepared"
    assert said[9].split()[-3:] == ["1111111", "/", "9999999"]
    assert said[8].split()[-1] == "1111111"


def test_one_host_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show([facts(), facts(1)])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(
        "2 ranks on a: 2 x NVIDIA H100 80GB HBM3, 79.0 of 80.0 GiB of memory free, 100.0 GiB of "
    )


def own_facts(root: Path, params: Params | None = None) -> Facts:
    params = params or tiny_params()
    place, cpu = Place(0, 1, 0), torch.device("cpu")
    return facts_of(params, Paths(root, "nyu"), "auto", nn.Linear(9, 1), place, cpu)


def test_facts_of_a_checkout(tmp_path: Path) -> None:
    assert "symbio prepare nyu" in str(own_facts(tmp_path).problem)
    make_project(tmp_path)

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", *who, "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert own_facts(tmp_path).code == replace(own_facts(tmp_path).code, commit=None, lock=None)
    git("init", "-q")
    (tmp_path / ".gitignore").write_text("data\n")
    (tmp_path / "requirements.lock").write_text("torch==2.11.0\n")
    git("add", ".")
    git("commit", "-qm", "one")
    clean = own_facts(tmp_path)
    assert clean.code is not None
    assert clean.code.commit == git("rev-parse", "HEAD").strip()
    assert clean.code.changes is None
    (tmp_path / "new.py").write_text("x = 1\n")
    changed = own_facts(tmp_path)
    assert changed.code == replace(clean.code, changes=changed.code and changed.code.changes)
    assert "uncommitted changes" in mismatches([clean, replace(changed, rank=1, host="b")])[0]
    assert (clean.settings["train.lr"], clean.settings["train.checkpoint_every"]) == (3e-3, 100)
    other = own_facts(tmp_path, tiny_params(checkpoint_every=50, select={"metric": "d1"}))
    (told,) = mismatches([changed, other])
    assert "train.select.metric 'd1'" in told
    assert "train.checkpoint_every 50" in told


def as_host(place: Place, params: list[Params], roots: list[Path], pretend: bool) -> str:
    """Be the only rank of a host of one's own, with its own parameters and root."""
    name = f"host-{'ab'[place.rank]}"
    os.environ["GROUP_RANK"] = str(place.rank)
    socket.gethostname = lambda: name
    if pretend:
        found = facts_module.git_state
        facts_module.git_state = lambda root: replace(  # type: ignore[assignment]
            found(root), commit=str(place.rank) * 40
        )
    place = replace(place, local_rank=0)
    return train(place, params[place.rank], roots[place.rank], "auto", faults.signal_at, -1, 0, 0)


def refused(ends: list[End]) -> str:
    """What both ranks said when they refused."""
    assert [end.code for end in ends] == [1, 1]
    errors = [str(end.error) for end in ends]
    assert errors[0] == errors[1]
    assert errors[0].startswith("SymbioError: nothing was started or changed:\n")
    return errors[0]


def test_two_ranks_with_another_commit_and_other_data(tmp_path: Path) -> None:
    roots = [make_project(tmp_path / "a"), make_project(tmp_path / "b", {"train": 8, "val": 1})]
    run = roots[0] / "checkpoints" / "nyu"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"ingredients": {"seed": 1}, "fingerprint": "another"}')
    params = [tiny_params(), tiny_params(lr=0.5)]
    told = refused(run_ranks(2, as_host, params, roots, True))
    assert "host host-b (rank 1): commit 1111111, host host-a (rank 0) has 0000000" in told
    for kind in ("prepared", "pseudo"):
        assert f"run `dvc pull {roots[1] / 'data' / kind / 'nyu'}` there" in told
    assert "train.lr 0.5 (host host-a (rank 0) has 0.003)" in told
    assert [path.name for path in run.parent.rglob("*")] == ["nyu", "run.json"]
    assert not (roots[1] / "checkpoints").exists()


def test_checkpoints_that_are_not_shared_are_refused_and_shared_ones_trained_in(
    tmp_path: Path,
) -> None:
    roots = [make_project(tmp_path / "a"), make_project(tmp_path / "b")]
    params = [tiny_params(steps=2, checkpoint_every=1)] * 2
    told = refused(run_ranks(2, as_host, params, roots, False))
    assert f"host host-b (rank 1): {roots[1]}/checkpoints is not the folder that rank 0" in told
    assert "file system that all hosts share" in told
    assert not any((root / "checkpoints").exists() for root in roots)
    ends = run_ranks(2, as_host, params, [roots[0]] * 2, False)
    trained(ends)
    assert "2 ranks on 2 hosts; all have symbio" in ends[0].said
    needed = facts_needed(roots[0], params[0])
    run = roots[0] / "checkpoints" / "nyu"
    folders = [max(run.glob("step-*")), run / "best", roots[0] / "models" / "nyu"]
    taken = sum(path.stat().st_size for one in folders for path in one.rglob("*") if path.is_file())
    assert needed - 16 * 2**20 < 1.05 * taken < 1.05 * needed
    assert list((roots[0] / "checkpoints").glob(".*.token")) == []


def facts_needed(root: Path, params: Params) -> int:
    from symbio.train.choices import chosen_network

    network = chosen_network(params, "nyu")
    place = Place(0, 1, 0)
    found = facts_of(params, Paths(root, "nyu"), "auto", network, place, torch.device("cpu"))
    return found.disk_needed
