"""Lineage: what git and DVC themselves say is what is recorded."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from symbio.lineage.collect import collect, git_state, input_hash
from symbio.params import load_params

SAMPLE = Path(__file__).resolve().parents[2] / "symbio" / "presets" / "sample.yaml"
MD5 = "0123456789abcdef0123456789abcdef.dir"


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "code.py").write_text("one = 1\n")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_clean_tree_is_its_commit(repository: Path) -> None:
    state = git_state(repository)
    assert state.commit == git(repository, "rev-parse", "HEAD").strip()
    assert (state.branch, state.dirty, state.diff) == ("main", False, "")


def test_the_diff_rebuilds_the_dirty_tree(repository: Path, tmp_path_factory) -> None:
    (repository / "code.py").write_text("one = 2\n")
    (repository / "new file.py").write_text("three = 3\n")
    before = git(repository, "status", "--porcelain")
    state = git_state(repository)
    assert state.dirty
    assert git(repository, "status", "--porcelain") == before, "the real index must stay as it was"

    copy = tmp_path_factory.mktemp("copy") / "clone"
    git(repository, "clone", "-q", str(repository), str(copy))
    subprocess.run(["git", "apply"], cwd=copy, input=state.diff, text=True, check=True)
    assert (copy / "code.py").read_text() == "one = 2\n"
    assert (copy / "new file.py").read_text() == "three = 3\n"


def test_what_a_run_writes_itself_is_no_change(repository: Path) -> None:
    (repository / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    (repository / "metrics").mkdir()
    (repository / "metrics" / "nyu.json").write_text("{}")
    assert not git_state(repository).dirty


def test_outside_git_there_is_no_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path).commit is None


def test_a_login_in_the_remote_is_not_recorded(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:secret@host.example:8443/a/b.git")
    assert git_state(repository).remote == "https://host.example:8443/a/b.git"


def folder_with_lock(root: Path, md5: str = MD5) -> Path:
    folder = root / "data" / "prepared" / "nyu"
    folder.mkdir(parents=True)
    (folder / "index.json").write_text("{}")
    (folder / "a.tar").write_bytes(b"12345")
    (root / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  prepare@nyu:\n    outs:\n    - path: data/prepared/nyu\n"
        f"      md5: {md5}\n      size: 7\n      nfiles: 2\n"
    )
    return folder


def test_an_input_has_the_hash_of_dvc_lock(tmp_path: Path) -> None:
    folder_with_lock(tmp_path)
    found = input_hash(tmp_path, "data/prepared/nyu")
    assert (found.md5, found.recorded_in, found.stale) == (MD5, "dvc.lock", False)
    assert found.index_sha256 == hashlib.sha256(b"{}").hexdigest()


def test_an_input_changed_behind_dvcs_back_is_stale(tmp_path: Path) -> None:
    folder = folder_with_lock(tmp_path)
    (folder / "a.tar").write_bytes(b"123456")
    assert input_hash(tmp_path, "data/prepared/nyu").stale


def test_an_input_added_by_hand_has_the_hash_of_its_dvc_file(tmp_path: Path) -> None:
    (tmp_path / "raw.bin").write_bytes(b"abc")
    (tmp_path / "raw.bin.dvc").write_text('outs:\n- md5: "9001"\n  size: 3\n  path: raw.bin\n')
    found = input_hash(tmp_path, "raw.bin")
    assert (found.md5, found.recorded_in, found.stale) == ("9001", "raw.bin.dvc", False)


def test_an_input_that_dvc_does_not_know_has_no_hash(tmp_path: Path) -> None:
    assert input_hash(tmp_path, "data/prepared/nyu").md5 is None


def test_lineage_is_json_and_keeps_secrets_out(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-record-me")
    folder_with_lock(repository)
    (repository / "requirements.lock").write_text("torch==2.11.0\n")
    lineage = collect(repository, load_params(SAMPLE), ["data/prepared/nyu"], ranks=2)
    text = json.dumps([lineage.as_dict(), lineage.tags()], allow_nan=False)
    assert "do-not-record-me" not in text
    tags = lineage.tags()
    assert tags["symbio.data.data/prepared/nyu"] == MD5
    assert tags["symbio.lock_sha256"] == hashlib.sha256(b"torch==2.11.0\n").hexdigest()
    assert (tags["symbio.ranks"], tags["symbio.seed"]) == ("2", "7")
    assert lineage.versions["torch"].startswith("2.")
    assert lineage.devices


def test_other_parameters_are_another_hash(repository: Path) -> None:
    params = load_params(SAMPLE)
    other = params.model_copy(update={"seed": params.seed + 1})
    one = collect(repository, params, [])
    assert one.params_sha256 == collect(repository, params, []).params_sha256
    assert one.params_sha256 != collect(repository, other, []).params_sha256
