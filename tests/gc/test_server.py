"""With an MLflow server: deleted there, in its trash, and said so."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbio.gc.run import run
from symbio.tracking import open_store
from tests.gc.held import later, make_project, put_run, put_version, versions_in
from tests.reach.test_store import mlflow_server


@pytest.mark.slow
def test_a_server_keeps_what_was_deleted_in_its_trash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project")
    with mlflow_server(tmp_path / "server", (tmp_path / "artifacts").as_uri()) as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        champion = put_version(project, put_run(project, "trained"), alias="champion")
        refused = put_run(project, "refused")
        put_version(project, refused)
        told = run(project, sweep=True, now=later())
        assert told["kinds"]["runs"]["go"] == [refused]
        assert "is a server" in told["notes"][0]
        assert versions_in(project) == {champion}
        client = open_store(project)
        assert client.get_run(refused).info.lifecycle_stage == "deleted"
        assert len(client.search_logged_models(["1"])) == 1
        # The server's files are not this project's.
        assert (tmp_path / "artifacts").is_dir()
        told = run(project, sweep=True, now=later())
        assert [one["go"] for one in told["kinds"].values()] == [[], [], []]
