"""Hosts, projects on them, and the run that nothing disturbed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.job import LOGIN, STEPS, Job, exported_step, job_on_hosts, project, train_here
from tests.hosts.namespaces import why_not
from tests.hosts.remote_shell import RemoteShell, remote_shell


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run did not start."""
    return project(tmp_path_factory.mktemp("untrained") / "project")


@pytest.fixture(scope="session")
def undisturbed(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ranks on one host, from start to end."""
    root = tmp_path_factory.mktemp("undisturbed") / "project"
    shutil.copytree(untrained, root)
    train_here(root, 2)
    # What is compared is the network of the last step.
    assert exported_step(root) == STEPS
    return root


@pytest.fixture(scope="session")
def can_make_hosts() -> None:
    """Skips where there can be no hosts."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def job(can_make_hosts: None, untrained: Path, tmp_path: Path) -> Iterator[Job]:
    """A job to be started on two hosts."""
    root = tmp_path / "project"
    shutil.copytree(untrained, root)
    with job_on_hosts(root) as made:
        yield made


@pytest.fixture
def shell(job: Job, tmp_path: Path) -> Iterator[RemoteShell]:
    """Command lines on the job's hosts."""
    folder = tmp_path / "shell"
    folder.mkdir()
    with remote_shell(job.hosts, folder, LOGIN) as found:
        job.servers = found.servers
        yield found
