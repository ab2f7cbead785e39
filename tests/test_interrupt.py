"""Ctrl-C in every stage, a full disk, and the same command again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from symbio.files import sha256_of
from tests.project import environment, make_project, run, write_params

STAGES = {
    "sample": "data/sample/nyu",
    "prepare": "data/prepared/nyu",
    "label": "data/pseudo/nyu",
    "train": "models/nyu",
    "evaluate": "reports/nyu",
    "register": "registry/nyu.json",
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("interrupted") / "symbio")
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["nyu"]["sample"] = {"train": 24, "test": 6}
    values["train"]["steps"] = 30
    write_params(folder, values)
    return folder


def _leftovers(project: Path) -> list[str]:
    return [str(path) for path in project.rglob("*.part") if ".venv" not in path.parts]


def _contents(output: Path) -> dict[str, str]:
    """SHA-256 of each file of an output."""
    files = [output] if output.is_file() else sorted(p for p in output.rglob("*") if p.is_file())
    return {str(path): sha256_of(path) for path in files}


@pytest.mark.parametrize("stage", list(STAGES))
def test_ctrl_c_leaves_nothing_half_written_and_the_same_command_goes_on(
    project: Path, stage: str
) -> None:
    command = [sys.executable, "-m", "symbio.cli", stage, "nyu"]
    output = project / STAGES[stage]
    # Ctrl-C reaches the whole foreground process group, as a terminal sends it. The stage is
    # caught at several moments; whenever it ends early, its output is whole or not there.
    seen: list[dict[str, str]] = []
    for seconds in (0.7, 4.0, 8.0):
        process = subprocess.Popen(
            command,
            cwd=project,
            env=environment(project),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        time.sleep(seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        assert process.returncode in (130, 75, -signal.SIGINT), printed
        assert not _leftovers(project), printed
        if output.exists():
            # The signal came after the output was put in place, while the stage was leaving.
            seen.append(_contents(output))
    run(project, *command)
    whole = _contents(output)
    assert whole
    assert all(contents == whole for contents in seen)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("stage", ["sample", "prepare", "label", "evaluate"])
def test_full_disk_is_said_and_nothing_is_half_written(
    project: Path, small_disk: Path, stage: str
) -> None:
    """Inputs are on a large disk, outputs on one of 3 MiB."""
    work = small_disk / "work"
    work.mkdir()
    (work / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    target = STAGES[stage]
    for kind in ("data/sample", "data/prepared", "data/pseudo", "models"):
        if target.startswith(kind):
            continue
        (work / kind).parent.mkdir(parents=True, exist_ok=True)
        (work / kind).symlink_to(project / kind)
    told = subprocess.run(
        [sys.executable, "-m", "symbio.cli", stage, "nyu"],
        cwd=work,
        env=environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2, told.stderr[-3000:]
    assert "disk is full" in told.stderr
    assert "Traceback" not in told.stderr
    assert not (work / target).exists()
    assert not _leftovers(work)
