"""infra/slurm/submit.sh ends as its job ends; sbatch, srun and scancel are stand-ins."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Runs the batch script like a job would be run: apart from sbatch, with its output in a file.
SBATCH = """#!/bin/bash
while [ "${1#--}" != "$1" ]; do
  case "$1" in
    --output) output="$2"; shift 2;;
    --open-mode|--nodes) echo "$1 $2" >> options; shift 2;;
    *) echo "$1" >> options; shift;;
  esac
done
echo "4711;cluster"
setsid bash "$@" >> "$output" 2>&1 &
echo $! > job.pid
wait $!
"""
SRUN = """#!/bin/bash
while [ "${1#--}" != "$1" ]; do shift; done
SLURM_NODEID=0 exec "$@"
"""
SCANCEL = """#!/bin/bash
echo "$1" > cancelled
kill -TERM -- -$(cat job.pid)
"""
DVC = """#!/bin/bash
echo "stage: $*"
trap 'echo stopped; echo "{}" > "$SYMBIO_TELL/ending.json"; exit 255' TERM
touch running
%s
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "scancel": SCANCEL}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (programs / "activate").write_text("")
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    (tmp_path / "told").mkdir()
    return tmp_path


def submit(cluster: Path, stage: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start the script with a stage, or a study, that does `stage`."""
    for name in ("dvc", "symbio"):
        program = cluster / ".venv" / "bin" / name
        program.write_text(DVC % stage)
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{cluster / '.venv/bin'}:{os.environ['PATH']}",
        "SYMBIO_TELL": str(cluster / "told"),
        "SYMBIO_SBATCH": "--nodes 4",
        **variables,
    }
    return subprocess.Popen(
        ["bash", "infra/slurm/submit.sh", *(arguments or ("train@nyu",))],
        cwd=cluster, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_job_s_output_is_shown_and_its_end_is_the_script_s(cluster: Path) -> None:
    with submit(cluster, "exit 0") as script:
        told, _ = script.communicate(timeout=30)
    assert script.returncode == 0
    assert "stage: repro --single-item train@nyu" in told
    assert "--nodes 4" in (cluster / "options").read_text()


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        ('echo "{}" > "$SYMBIO_TELL/ending.json"; exit 255', 255),
        ('echo "ERROR: stage is broken"; exit 1', 1),
        ("kill -9 $$", 137),
    ],
)
def test_a_job_that_was_killed_is_told_from_one_that_failed(
    cluster: Path, stage: str, code: int
) -> None:
    with submit(cluster, stage) as script:
        script.communicate(timeout=30)
    assert script.returncode == code


def test_a_cancelled_flow_cancels_its_job_and_waits_for_the_checkpoint(cluster: Path) -> None:
    with submit(cluster, "for i in {1..600}; do sleep 0.1; done") as script:
        until = time.monotonic() + 20
        while not (cluster / "running").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        script.send_signal(signal.SIGTERM)
        told, _ = script.communicate(timeout=30)
    assert (cluster / "cancelled").read_text() == "4711\n"
    assert "stopped" in told
    assert script.returncode != 0
    assert (cluster / "told" / "ending.json").exists()


STUDY = ("search", "nyu", "--trials", "4", "--study", "of two")
TOLD = """
echo "${SYMBIO_NODES} ${SYMBIO_STUDIES} step: ${SLURM_STEP_NUM_TASKS:-none}"
echo "{}" > "$SYMBIO_TELL/ending.json"
exit 75
"""


def test_a_study_is_led_on_each_node_alone_and_ends_as_its_job_does(cluster: Path) -> None:
    with submit(
        cluster, TOLD, *STUDY,
        SLURM_JOB_NUM_NODES="4", SLURM_STEP_NUM_TASKS="4", SYMBIO_STUDIES="postgresql://db/x",
    ) as script:  # fmt: skip
        told, _ = script.communicate(timeout=30)
    assert "stage: search nyu --trials 4 --study of two" in told
    assert "1 postgresql://db/x step: none" in told
    assert script.returncode == 75


def test_a_study_over_several_nodes_wants_a_database(cluster: Path) -> None:
    with submit(cluster, "exit 0", *STUDY, SLURM_JOB_NUM_NODES="4", SYMBIO_STUDIES="") as script:
        told, _ = script.communicate(timeout=30)
    assert script.returncode == 2
    assert "SYMBIO_STUDIES is not set" in told
    assert "stage:" not in told
