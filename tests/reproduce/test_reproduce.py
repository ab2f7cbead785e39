"""A registered version made again: alike, apart, interrupted, and from a damaged store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.reach.transfer import push
from symbio.reproduce.book import sole
from symbio.reproduce.objects import md5_of_folder
from symbio.reproduce.pipeline import STAGES
from symbio.reproduce.run import run
from tests.project import run as shell
from tests.reproduce.small import (
    STOP_ONCE,
    URI,
    flip_a_byte,
    git_status,
    make_small_project,
    object_of,
    put_version,
    ran,
    tags_of,
)

pytestmark = pytest.mark.slow

LABELS = "data/pseudo/nyu/part/train.tar"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with version 1; tests choose folders of their own for their reproductions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return make_small_project(tmp_path_factory.mktemp("small") / "project")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SYMBIO_DVC_REMOTE", raising=False)


def again(project: Path, into: Path, uri: str = URI, first: str | None = None) -> int:
    return run(uri, project, into, first, same_environment=True)


def report_of(folder: Path) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((folder / "report.json").read_text())
    return loaded


def test_all_stages_are_made_again_bit_by_bit(project: Path, tmp_path: Path) -> None:
    before = git_status(project)
    assert again(project, tmp_path / "a") == 0
    report = report_of(tmp_path / "a")
    assert report["verdicts"] == dict.fromkeys(STAGES, "identical")
    assert tuple(ran(tmp_path / "a")) == STAGES
    assert tags_of(project)["symbio.reproduced"].startswith("identical, 20")
    page = (tmp_path / "a" / "page.html").read_text()
    assert "identical" in page
    assert "numpy" in page
    # The project is as it was, and so is its store: no run was added.
    assert git_status(project) == before
    # Once more, nothing is left to do.
    assert again(project, tmp_path / "a") == 0
    assert tuple(ran(tmp_path / "a")) == STAGES


def test_the_hash_of_a_folder_is_dvcs(project: Path) -> None:
    told = (project / "dvc.lock").read_text()
    for folder in ("data/sample/nyu", "data/prepared/nyu", "models/nyu", "reports/nyu"):
        assert f"md5: {md5_of_folder(project / folder)}\n" in told


def test_other_labels_are_named_and_later_stages_judged_by_the_recorded_ones(
    project: Path, tmp_path: Path
) -> None:
    version = put_version(project, params={"teacher": {"min_confidence": 0.9}})
    assert again(project, tmp_path / "a", version.uri, "prepare") == 1
    report = report_of(tmp_path / "a")
    assert report["verdicts"] == {
        "prepare": "identical",
        "label": "different",
        "train": "identical",
        "evaluate": "identical",
    }
    assert report["first_parted"] == "label (data/pseudo/nyu/part/train.tar)"
    told = tags_of(project, version.version)["symbio.reproduced"]
    assert told.startswith("different, ")
    assert told.endswith(f"first parted: label ({LABELS})")


@pytest.mark.parametrize(
    ("lr", "code", "verdict"), [(0.0031, 0, "within bound"), (1.0, 1, "different")]
)
def test_a_training_that_parts_is_judged_by_its_networks_scores(
    project: Path, tmp_path: Path, lr: float, code: int, verdict: str
) -> None:
    version = put_version(project, params={"train": {"lr": lr}})
    assert again(project, tmp_path / "a", version.uri, "train") == code
    report = report_of(tmp_path / "a")
    assert report["verdicts"] == {"train": verdict, "evaluate": "identical"}
    # The recorded rate is 0.003, and the loss of step 1 does not depend on it.
    assert report["first_parted"] == f"train at step 2: {1.5 + lr!r} instead of 1.503"
    train = report["stages"]["train"]  # type: ignore[index]
    assert train["num_tensors"] == 1
    assert train["tensors"][0][0] == "weight"
    kept = (tmp_path / "a" / "rebuilt" / "weights.safetensors").read_bytes()
    assert kept != (project / "models/nyu/weights.safetensors").read_bytes()


def test_uncommitted_changes_come_along(project: Path, tmp_path: Path) -> None:
    code = project / "symbio" / "cli.py"
    before = code.read_text()
    code.write_text(before.replace('report_html="page"', 'report_html="page of another kind"'))
    (project / "symbio" / "new.py").write_text("NEW = 1\n")
    shell(project, "git", "add", "-N", "symbio/new.py")
    diff = shell(project, "git", "diff", "HEAD")
    shell(project, "git", "reset", "-q", "--hard", "HEAD")
    assert code.read_text() == before
    version = put_version(project, diff)
    assert again(project, tmp_path / "a", version.uri, "evaluate") == 0
    assert (tmp_path / "a/checkout/symbio/new.py").read_text() == "NEW = 1\n"
    # A page differs, which nothing reads.
    evaluate = report_of(tmp_path / "a")["stages"]["evaluate"]  # type: ignore[index]
    assert evaluate["difference"]["changed"] == ["report.html"]


def test_a_stop_is_continued_where_it_was(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    assert again(project, folder, first="evaluate") == 0
    (folder / "checkout" / STOP_ONCE).touch()
    with pytest.raises(SymbioError, match="train@nyu: was stopped") as stopped:
        again(project, folder, first="train")
    assert stopped.value.exit_code == 75
    assert again(project, folder, first="train") == 0
    assert ran(folder) == ["evaluate", "train", "train"]


def test_what_is_not_a_reproduction_is_left_alone(project: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SymbioError, match="is no reproduction and not empty"):
        again(project, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with (
        sole(tmp_path / "held"),
        pytest.raises(SymbioError, match="another process makes a version again"),
    ):
        again(project, tmp_path / "held")
    other = put_version(project, params={"train": {"lr": 0.1}})
    assert again(project, tmp_path / "a", first="evaluate") == 0
    with pytest.raises(SymbioError, match="holds another reproduction"):
        again(project, tmp_path / "a", other.uri, "evaluate")


def test_a_commit_that_is_not_here_is_named(project: Path, tmp_path: Path) -> None:
    gone = {"commit": "a" * 40, "dirty": False, "diff_truncated": False, "remote": "ssh://there"}
    version = put_version(project, git=gone)
    with pytest.raises(SymbioError, match=r"has no commit a{40}.*`git fetch` it from ssh://there"):
        again(project, tmp_path / "a", version.uri)
    version = put_version(project, git={**gone, "commit": None})
    with pytest.raises(SymbioError, match="outside git"):
        again(project, tmp_path / "b", version.uri)


def test_a_changed_byte_in_the_cache_is_named(project: Path, tmp_path: Path) -> None:
    place = object_of(project, "data/prepared/nyu", "part/train.tar")
    before = place.read_bytes()
    flip_a_byte(place)
    try:
        with pytest.raises(SymbioError) as refused:
            again(project, tmp_path / "a")
    finally:
        place.chmod(0o644)
        place.write_bytes(before)
    named = "data/prepared/nyu/part/train.tar: its bytes in the store are not those of its hash"
    assert named in str(refused.value)
    assert refused.value.exit_code == 1
    assert ran(tmp_path / "a") == []


def test_what_is_only_in_the_remote_is_pulled_and_checked(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBIO_DVC_REMOTE", str(tmp_path / "remote"))
    (tmp_path / "remote").mkdir()
    push(project)
    place = object_of(project, "data/pseudo/nyu", "part/train.tar")
    aside = shutil.move(place, tmp_path / "aside")
    far = tmp_path / "remote" / place.relative_to(project / ".dvc" / "cache")
    whole = far.read_bytes()
    flip_a_byte(far)
    try:
        with pytest.raises(SymbioError, match=f"{LABELS}: its bytes in the store") as refused:
            again(project, tmp_path / "a", first="train")
        assert refused.value.exit_code == 1
        far.chmod(0o644)
        far.write_bytes(whole)
        assert again(project, tmp_path / "a", first="train") == 0
        assert place.read_bytes() == whole
    finally:
        shutil.copyfile(aside, place)


def test_without_a_store_all_is_made_and_compared_by_hashes(project: Path, tmp_path: Path) -> None:
    """A clone elsewhere: the tracking store is there, the cache is empty, there is no remote."""
    cache = project / ".dvc" / "cache"
    aside = shutil.move(cache, tmp_path / "cache")
    try:
        with pytest.raises(SymbioError, match="--from label: data/prepared/nyu is not to be had"):
            again(project, tmp_path / "a", first="label")
        assert again(project, tmp_path / "a") == 0
        report = report_of(tmp_path / "a")
        assert report["verdicts"] == dict.fromkeys(STAGES, "identical")
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        shutil.move(aside, cache)
