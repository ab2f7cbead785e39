"""Versions, logged models and runs: which stay, and that nothing of the others is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symbio.gc.run import run
from symbio.promote.record import CHAMPIONS_TAG
from symbio.tracking import open_store
from symbio.tracking.scores import METRICS_TAG
from symbio.tracking.training import WEIGHTS_TAG
from tests.gc.held import (
    NAME,
    commit,
    git,
    later,
    lineage_files,
    lock_of,
    objects_in,
    put_object,
    put_run,
    put_version,
    runs_in,
    swept,
    versions_in,
)


def _artifacts(root: Path) -> set[str]:
    """Folders of runs and models that are on the disk."""
    folder = root / "mlruns" / "artifacts" / NAME
    models = {path.name for path in (folder / "models").glob("*")}
    return models | {path.name for path in folder.glob("*") if path.name != "models"}


def test_versions_stay_with_what_made_and_measured_them_and_the_rest_leaves_no_trace(
    project: Path,
) -> None:
    sha = "a" * 64
    data = put_object(project, b"prepared frames")
    other = put_object(project, b"frames that nothing names")
    files = lineage_files(sha, lock_of({"data/prepared/nyu": data}))
    trained = put_run(project, "trained", {WEIGHTS_TAG: "w" * 64}, files=files)
    measured = put_run(project, "measured")
    evaluation = json.dumps({"run_id": measured, "metrics_sha256": sha})
    tags = {
        METRICS_TAG: sha,
        WEIGHTS_TAG: "w" * 64,
        "symbio.evaluation.test.nyu-eigen": evaluation,
    }
    champion = put_version(project, trained, tags, "champion")
    former = put_version(project, put_run(project, "former"))
    in_branch = put_version(project, put_run(project, "in a branch"))
    refused = put_version(project, put_run(project, "refused"))
    git(project, "switch", "-qc", "branch")
    (project / "registry").mkdir()
    entry = {"name": NAME, "version": in_branch, "uri": f"models:/{NAME}/{in_branch}"}
    (project / "registry" / "nyu.json").write_text(json.dumps(entry))
    commit(project, "registered")
    git(project, "switch", "-q", "main")
    client = open_store(project)
    client.set_registered_model_tag(NAME, CHAMPIONS_TAG, f"{former} {champion}")
    put_run(project, "never registered")
    put_run(project, "measured before", {"symbio.model": f"models:/{NAME}/{former}"})
    put_run(project, "measured the refused", {"symbio.model": f"models:/{NAME}/{refused}"})
    (going,) = [one for one in client.search_model_versions("") if str(one.version) == refused]

    gone = swept(project)

    assert gone["registered versions"] == [f"{NAME}/{refused}"]
    assert versions_in(project) == {champion, former, in_branch}
    assert runs_in(project) == {"trained", "measured", "measured before", "former", "in a branch"}
    stay = {one.info.run_id for one in client.search_runs(["1"])}
    models = {one.model_id for one in client.search_logged_models(["1"])}
    assert len(models) == 3
    assert going.source.removeprefix("models:/") not in models
    assert _artifacts(project) == stay | models
    # Of the versions that stay, what their lineage names.
    assert objects_in(project) == {data}
    assert other not in objects_in(project)
    assert swept(project) == {}


def test_a_study_stays_or_goes_whole_and_a_run_under_way_or_tagged_stays(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symbio.gc.store._PAGE", 2)
    put_run(project, "trial of none", parent=put_run(project, "study of none"))
    study = put_run(project, "study")
    put_run(project, "trial that is tagged", {"symbio.keep": "true"}, parent=study)
    put_run(project, "another trial", parent=study)
    put_run(project, "running", status="RUNNING")
    put_run(project, "trial", parent=put_run(project, "study under way", status="RUNNING"))
    put_run(project, "tagged otherwise", {"symbio.keep": "false"})
    swept(project)
    assert runs_in(project) == {
        "study", "trial that is tagged", "another trial", "running", "study under way", "trial"
    }  # fmt: skip


def test_a_run_that_stays_keeps_its_data_and_its_versions(project: Path) -> None:
    data = put_object(project, b"frames")
    tags = {"symbio.keep": "true", "symbio.data.data/prepared/nyu": data}
    number = put_version(project, put_run(project, "kept", tags))
    assert swept(project) == {}
    assert versions_in(project) == {number}
    assert objects_in(project) == {data}


def test_other_seeds_of_the_champion_stay_the_newest_of_each(project: Path) -> None:
    run_id = put_run(project, "trained", {"symbio.data.data/prepared/nyu": "d" * 32})
    for seed, config in (("1", "a"), ("2", "a"), ("2", "a"), ("3", "b"), ("1", "a")):
        tags = {"symbio.config_sha256": config, "symbio.seed": seed}
        alias = "champion" if seed == "1" else None
        put_version(project, run_id, tags, alias)
    assert swept(project)["registered versions"] == [f"{NAME}/{one}" for one in (4, 2, 1)]
    assert versions_in(project) == {"3", "5"}


def test_within_the_hour_nothing_goes_and_without_sweep_nothing_at_all(project: Path) -> None:
    number = put_version(project, put_run(project, "new"))
    put_object(project, b"new")
    told = run(project, sweep=True)["kinds"]
    assert [one["go"] for one in told.values()] == [[]] * len(told)
    told = run(project, now=later())["kinds"]
    assert {kind: len(one["go"]) for kind, one in told.items()} == {
        "registered versions": 1, "logged models": 1, "runs": 1, "DVC objects": 1
    }  # fmt: skip
    assert versions_in(project) == {number}
    assert len(objects_in(project)) == 1


def test_what_somebody_deleted_in_mlflow_is_purged_but_not_other_experiments(
    project: Path,
) -> None:
    client = open_store(project)
    client.delete_run(put_run(project, "deleted"))
    theirs = client.create_experiment("theirs", (project / "mlruns/artifacts/theirs").as_uri())
    deleted = client.create_run(theirs).info.run_id
    client.delete_run(deleted)
    client.create_run(theirs)
    assert list(swept(project)) == ["runs"]
    assert runs_in(project) == set()
    assert client.get_run(deleted).info.lifecycle_stage == "deleted"
    assert len(client.search_runs([theirs])) == 1


def test_a_copied_project_does_not_touch_the_one_that_it_was_copied_from(
    project: Path, tmp_path: Path
) -> None:
    import shutil

    put_version(project, put_run(project, "trained"))
    before = _artifacts(project)
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True)
    assert set(swept(copy)) == {"registered versions", "logged models", "runs"}
    assert _artifacts(project) == before
    assert versions_in(project) == {"1"}
