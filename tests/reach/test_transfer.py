"""Pulling and pushing with a real store, healthy and unwell."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.reach import transfer
from symbio.reach.transfer import pull, push
from tests.reach.object_store import SECRET, ObjectStore
from tests.reach.proxy import CUT, UNAVAILABLE, Proxy
from tests.reach.small_project import contents, copy_without_data, dvc, make_small_project

HOLD_THE_LOCK = """\
import sys, time
from dvc.repo import Repo
with Repo(sys.argv[1]).lock:
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_project(tmp_path_factory.mktemp("made") / "a project", "one")


@pytest.fixture
def project(_made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(_made, tmp_path / "a project")


@pytest.fixture
def _remote(monkeypatch: pytest.MonkeyPatch, proxy: Proxy, bucket: str) -> None:
    monkeypatch.setenv("SYMBIO_DVC_REMOTE", f"s3://{bucket}/dvc")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)


@pytest.mark.slow
@pytest.mark.usefixtures("_remote")
def test_data_goes_there_and_back_through_outages(
    project: Path, tmp_path: Path, proxy: Proxy, store: ObjectStore, bucket: str
) -> None:
    files_before = sorted(path.name for path in (project / ".dvc").iterdir())
    proxy.fail(UNAVAILABLE, seconds=3)
    push(project, ["one", "many"])
    assert proxy.seen[UNAVAILABLE] > 0
    # Six files, their list and one big file; nothing of the secret anywhere in the project.
    assert len(store.objects(bucket, "dvc/files/md5/")) == 8
    assert sorted(path.name for path in (project / ".dvc").iterdir()) == files_before
    assert b"remote" not in (project / ".dvc" / "config").read_bytes()

    other = copy_without_data(project, tmp_path / "other")
    proxy.fail(CUT, seconds=2)
    assert pull(other, ["many", "one"]) == ()
    assert proxy.seen[CUT] > 0
    assert contents(other, "one", "many") == contents(project, "one", "many")
    assert dvc(other, "status", "one") == "Data and pipelines are up to date.\n"


@pytest.mark.usefixtures("_remote")
def test_an_outage_without_end_ends_with_75(
    project: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transfer, "OUTAGE_PATIENCE_S", 0.1)
    monkeypatch.setattr(transfer, "_ATTEMPTS", "1")
    proxy.fail(UNAVAILABLE)
    with pytest.raises(SymbioError, match="s3://.*503") as told:
        push(project)
    assert told.value.exit_code == 75
    assert "trying again in 2 s" in capsys.readouterr().err


@pytest.mark.usefixtures("_remote")
def test_refused_keys_end_at_once_with_2(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = copy_without_data(project, tmp_path / "other")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-9Kq")
    begun = time.monotonic()
    for attempt in (lambda: push(project), lambda: pull(other)):
        with pytest.raises(SymbioError, match="AWS_SECRET_ACCESS_KEY") as told:
            attempt()
        assert told.value.exit_code == 2
        assert "9Kq" not in str(told.value)
        assert SECRET not in str(told.value)
    assert time.monotonic() - begun < 10


@pytest.mark.usefixtures("_remote")
def test_what_the_remote_lacks_is_left_to_its_stage(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push(project, ["many"])
    other = copy_without_data(project, tmp_path / "other")
    assert pull(other, ["many", "one", "other"]) == ("one",)
    assert "one; the stages that make them will run" in capsys.readouterr().err
    assert contents(other, "many") == contents(project, "many")


@pytest.mark.slow
@pytest.mark.usefixtures("_remote")
def test_damage_in_the_remote_is_not_delivered_and_costs_no_other_output(
    project: Path, tmp_path: Path, store: ObjectStore, bucket: str
) -> None:
    push(project)
    objects = store.objects(bucket)
    (big,) = [key for key, size in objects.items() if size == 3_000_000]
    store.client().put_object(Bucket=bucket, Key=big, Body=bytes(3_000_000))
    other = copy_without_data(project, tmp_path / "other")
    assert pull(other) == ("one",)
    assert contents(other, "many") == contents(project, "many")

    small = next(key for key, size in objects.items() if size == 100_000)
    store.client().delete_object(Bucket=bucket, Key=small)
    third = copy_without_data(project, tmp_path / "third")
    assert "many" in pull(third)


@pytest.mark.usefixtures("_remote")
def test_work_that_is_saved_nowhere_is_left_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push(project)
    (project / "one").write_bytes(b"my own")
    (project / "many" / "0").unlink()
    assert pull(project) == ()
    assert (project / "one").read_bytes() == b"my own"
    assert "one: differs from dvc.lock; left as it is" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("_remote")
def test_another_dvc_process_is_waited_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(project), "9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        monkeypatch.setattr(transfer, "LOCK_PATIENCE_S", 0.5)
        with pytest.raises(SymbioError, match="another DVC process has held") as told:
            push(project, ["many"])
        assert told.value.exit_code == 75
        monkeypatch.setattr(transfer, "LOCK_PATIENCE_S", 60.0)
        push(project, ["many"])
        assert "another DVC process works here" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["variable", "DVC's own"])
def test_a_folder_as_remote(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = tmp_path / "on another disk 100%"
    other = copy_without_data(project, tmp_path / "other")
    if kind == "variable":
        monkeypatch.setenv("SYMBIO_DVC_REMOTE", str(folder))
    else:
        for one in (project, other):
            dvc(one, "remote", "add", "--default", "disk", str(folder))
    push(project)
    assert pull(other) == ()
    assert contents(other, "one", "many") == contents(project, "one", "many")


def test_no_remote_and_no_such_stage(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SymbioError, match="no DVC remote: set SYMBIO_DVC_REMOTE") as told:
        push(project)
    assert told.value.exit_code == 2
    monkeypatch.setenv("SYMBIO_DVC_REMOTE", str(tmp_path / "remote"))
    with pytest.raises(SymbioError, match="'nothing' does not exist as an output or a stage") as no:
        push(project, ["nothing"])
    assert no.value.exit_code == 2
    # A stage that never ran has nothing to pull; that is no mistake.
    assert pull(project, ["other"]) == ()
    assert "nothing to pull" in capsys.readouterr().err
