"""Settings of processes and hosts: flags, variables, Slurm; contradictions are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.ranks.launch import expected_nodes, expected_ranks
from symbio.ranks.settings import Settings, default_ranks, settings_from, step_timeout_s
from symbio.ranks.slurm import rank_from

STEP = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_NODEID": "1",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
}


def fake_scontrol(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `scontrol` that knows one list of nodes."""
    script = folder / "scontrol"
    script.write_text('#!/bin/sh\n[ "$3" = "gpu[07-08]" ] && printf "gpu07\\ngpu08\\n"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_defaults() -> None:
    settings = settings_from({}, {})
    assert settings == Settings(ranks=default_ranks())
    assert (settings.nodes, settings.restarts, settings.min_nodes) == (1, 2, None)
    assert step_timeout_s({}) == 300


def test_a_flag_comes_before_a_variable() -> None:
    environment = {"SYMBIO_RANKS": "3", "SYMBIO_RESTARTS": "0", "SYMBIO_HOST_TIMEOUT": "4.5"}
    settings = settings_from({"ranks": "2", "restarts": None}, environment)
    assert (settings.ranks, settings.restarts, settings.host_timeout_s) == (2, 0, 4.5)


def test_one_command_a_host() -> None:
    flags = {"nodes": "2", "node_rank": "1", "master": "[fd00::2]:29400", "ranks": "1"}
    settings = settings_from(flags, {})
    assert settings.master == ("fd00::2", 29400)
    assert (settings.nodes, settings.node_rank) == (2, 1)


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        ({}, {"SYMBIO_RANKS": "none"}, "SYMBIO_RANKS='none': give a whole number, 1 or more"),
        ({"ranks": "0"}, {}, "--ranks='0'"),
        ({"restarts": "-1"}, {}, "--restarts='-1'"),
        ({"host_timeout_s": "soon"}, {}, "--host-timeout='soon'"),
        ({"grace_s": "nan"}, {}, "--grace='nan'"),
        ({"nodes": "2"}, {}, "--master HOST:PORT"),
        ({"nodes": "2", "master": "here"}, {}, "--master='here': give HOST:PORT"),
        ({"nodes": "2", "master": "a:70000"}, {}, "--master='a:70000'"),
        ({"nodes": "2", "node_rank": "2", "master": "a:1"}, {}, "--node-rank 2"),
        ({"nodes": "2", "hostfile": "h", "master": "a:1"}, {}, "exclude each other"),
    ],
)
def test_what_is_refused(flags: dict[str, str], environment: dict[str, str], message: str) -> None:
    with pytest.raises(SymbioError) as caught:
        settings_from(flags, environment)
    assert message in str(caught.value)


def test_slurm_with_one_task_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_scontrol(tmp_path, monkeypatch)
    settings = settings_from({}, STEP)
    assert (settings.nodes, settings.node_rank) == (2, 1)
    assert settings.master == ("gpu07", 24711)


def test_a_batch_script_is_no_task_of_slurm() -> None:
    batch = {"SLURM_JOB_ID": "4711", "SLURM_NNODES": "2", "SLURM_PROCID": "0", "SLURM_NTASKS": "2"}
    assert settings_from({}, batch).nodes == 1
    assert rank_from(batch) == {}


def test_slurm_with_several_tasks_a_node_is_refused_for_hosts_and_serves_as_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_scontrol(tmp_path, monkeypatch)
    step = {**STEP, "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}
    with pytest.raises(SymbioError, match="--ntasks-per-node=1"):
        settings_from({}, step)
    assert rank_from(step) == {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "GROUP_RANK": "1",
        "MASTER_ADDR": "gpu07",
        "MASTER_PORT": "24711",
    }
    assert rank_from({**step, "RANK": "0"}) == {}


def test_slurm_without_scontrol_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SymbioError, match="set SYMBIO_MASTER=HOST:PORT"):
        settings_from({}, STEP)
    assert settings_from({}, {**STEP, "SYMBIO_MASTER": "gpu07:1234"}).master == ("gpu07", 1234)


def test_the_projects_hostfile_is_taken_unless_something_says_otherwise(tmp_path: Path) -> None:
    assert settings_from({}, {}, tmp_path).hostfile is None
    hostfile = tmp_path / "infra" / "hosts"
    hostfile.parent.mkdir()
    hostfile.write_text("gpu-a slots=2\ngpu-b slots=3\n")
    settings = settings_from({"ranks": "1"}, {}, tmp_path)
    assert settings.hostfile == hostfile
    assert (expected_ranks(settings), expected_nodes(settings)) == (5, 2)
    alone = settings_from({"ranks": "1", "nodes": "1"}, {}, tmp_path)
    assert (alone.hostfile, expected_ranks(alone), expected_nodes(alone)) == (None, 1, 1)
    assert settings_from({}, {"SYMBIO_HOSTFILE": "other"}, tmp_path).hostfile == Path("other")
