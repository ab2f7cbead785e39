"""The files in infra/ mean what they say, as far as one machine can tell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from symbio.ranks import settings as names
from symbio.ranks.ending import FAILED, MISTAKE, RESUME_ME
from symbio.ranks.settings import Settings, settings_from
from symbio.ranks.ssh import read_hostfile
from tests.hosts.job import (
    assert_each_frame_once,
    assert_equal_weights,
    environment,
    exported,
    losses,
)

INFRA = Path(__file__).parents[2] / "infra"
SBATCH = INFRA / "slurm" / "train.sbatch"


def test_the_example_of_a_hostfile_is_read() -> None:
    hosts = read_hostfile(INFRA / "hosts.example")
    assert [(host.name, host.slots) for host in hosts] == [("10.0.0.1", 8), ("10.0.0.2", 8)]


def manifest(kind: str) -> dict[str, Any]:
    found = yaml.safe_load_all((INFRA / "kubernetes" / "train" / "train.yaml").read_text())
    (document,) = (one for one in found if one["kind"] == kind)
    values: dict[str, Any] = document
    return values


def pod() -> dict[str, Any]:
    template = manifest("Job")["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert manifest("Service")["spec"]["selector"].items() <= labels.items()
    values: dict[str, Any] = template["spec"]
    return values


def test_kubernetes_starts_every_node_with_its_place() -> None:
    job, (container,) = manifest("Job")["spec"], pod()["containers"]
    given = {one["name"]: one.get("value") for one in container["env"]}
    known = {value for name, value in vars(names).items() if name.endswith("_VARIABLE")}
    assert {name for name in given if name.startswith("SYMBIO_")} <= known
    where = {one["name"]: one.get("valueFrom") for one in container["env"]}
    field = where["SYMBIO_NODE_RANK"]["fieldRef"]["fieldPath"]
    assert field == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    for index in range(job["completions"]):
        read = settings_from({}, {**given, "SYMBIO_NODE_RANK": str(index), "HOME": "/tmp"})
        assert (read.node_rank, read.nodes) == (index, job["parallelism"])
        # The name of pod 0 below the headless service of the same name.
        name = manifest("Job")["metadata"]["name"]
        assert read.master == (f"{name}-0.{pod()['subdomain']}", 29400)
    assert pod()["subdomain"] == manifest("Service")["metadata"]["name"]
    assert manifest("Service")["spec"]["clusterIP"] == "None"
    assert job["completionMode"] == "Indexed"


def test_kubernetes_knows_the_exit_codes_and_the_grace() -> None:
    job = manifest("Job")["spec"]
    actions = {
        code: rule["action"]
        for rule in job["podFailurePolicy"]["rules"]
        for code in rule.get("onExitCodes", {}).get("values", [])
    }
    assert actions == {RESUME_ME: "Ignore", FAILED: "FailJob", MISTAKE: "FailJob"}
    assert pod()["restartPolicy"] == "Never"  # what a failure policy asks for
    (container,) = pod()["containers"]
    grace = next(one["value"] for one in container["env"] if one["name"] == "SYMBIO_GRACE")
    assert pod()["terminationGracePeriodSeconds"] > float(grace)


def test_kubernetes_gives_no_more_rights_than_needed() -> None:
    (container,) = pod()["containers"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["limits"]) == {"memory", "nvidia.com/gpu"}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    assert set(mounts.values()) == set(volumes)
    assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"
    assert "persistentVolumeClaim" in volumes[mounts[container["workingDir"]]]


def test_slurm_signals_in_time_for_a_checkpoint() -> None:
    subprocess.run(["bash", "-n", str(SBATCH)], check=True)
    options = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2]
        for line in SBATCH.read_text().splitlines()
        if line.startswith("#SBATCH")
    )
    assert options["ntasks-per-node"] == "1"
    assert "requeue" in options
    signal, seconds = options["signal"].split("@")
    assert signal == "TERM"
    assert float(seconds) > Settings(ranks=1).grace_s


SRUN = """#!/usr/bin/env python3
import os, signal, subprocess, sys, time
from pathlib import Path

command = sys.argv[1:]
while command[0].startswith("-"):
    command.pop(0)
tasks = []
for rank in range(2):
    place = {"SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NODEID": str(rank)}
    place |= {"SLURM_PROCID": str(rank), "SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "node[0-1]"}
    tasks.append(subprocess.Popen(command, env={**os.environ, **place}))
journal = Path("checkpoints/nyu/journal.jsonl")
while os.environ["SLURM_RESTART_COUNT"] == "0" and all(task.poll() is None for task in tasks):
    if journal.exists() and '"step": 25,' in journal.read_text():
        for task in tasks:  # as --signal has it
            task.send_signal(signal.SIGTERM)
        break
    time.sleep(0.05)
sys.exit(max(task.wait() for task in tasks))
"""

SCONTROL = """#!/bin/sh
case "$1 $2" in
  "show hostnames") echo localhost; echo node1 ;;
  *) echo "$@" >> scontrol.log ;;
esac
"""


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.slow
def test_slurm_requeues_a_preempted_run_which_goes_on(
    untrained: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Two tasks on this machine, started by a stand-in for srun; no Slurm is at hand."""
    root = tmp_path / "project"
    shutil.copytree(untrained, root)
    executable(root / "bin" / "srun", SRUN)
    executable(root / "bin" / "scontrol", SCONTROL)
    executable(root / "bin" / "symbio", f'#!/bin/sh\nexec {sys.executable} -m symbio.cli "$@"\n')
    executable(root / ".venv" / "bin" / "activate", "")
    for restarts, code in ((0, 75), (1, 0)):
        slurm = {
            "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_RESTART_COUNT": str(restarts),
            "SLURM_JOB_NUM_NODES": "2",
        }
        done = subprocess.run(
            ["bash", str(SBATCH), "nyu"],
            cwd=root,
            env=environment(**slurm, SYMBIO_RANKS="1"),
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        # One requeue in all: the finished run asks for none.
        assert (root / "scontrol.log").read_text() == f"requeue {os.getpid()}\n"
        assert (root / "models").exists() == (code == 0)
    assert losses(root) == losses(undisturbed)
    assert_equal_weights(exported(root), exported(undisturbed))
    assert_each_frame_once(root)
