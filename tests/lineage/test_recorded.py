"""What is recorded of a version is what its training, and its registration, wrote down."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.lineage.collect import collect, config_sha256
from symbio.lineage.recorded import deps_of, outs_of, recorded
from symbio.params import Params, load_params
from symbio.register.run import run as register
from symbio.tracking import open_store, tracked_training
from tests.embedded_store import put_store
from tests.register.conftest import write_metrics
from tests.tiny_model import put_model

ROOT = Path(__file__).resolve().parents[2]
LOCK = """schema: '2.0'
stages:
  prepare@nyu:
    deps:
    - {path: data/sample/nyu, md5: aaaa.dir, size: 1, nfiles: 1}
    outs:
    - {path: data/prepared/nyu, md5: bbbb.dir, size: 2, nfiles: 1}
"""


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "symbio/presets/sample.yaml")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In git, with a change that is not committed, labels and a trained network."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    put_store(tmp_path)
    put_model(tmp_path / "models" / "nyu")
    write_metrics(tmp_path)
    labels = tmp_path / "data" / "pseudo" / "nyu"
    labels.mkdir(parents=True)
    teacher = {"name": "builtin:sample", "files_sha256": {"model.safetensors": "1" * 64}}
    (labels / "index.json").write_text(json.dumps({"header": {"teacher": teacher}}))
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "code.py").write_text("one = 1\n")
    (tmp_path / ".gitignore").write_text("/data\n/mlruns\n/checkpoints\n/models\n")
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    (tmp_path / "code.py").write_text("one = 2  # \N{LATIN SMALL LETTER E WITH ACUTE}\n")
    return tmp_path


def trained_and_registered(root: Path, params: Params) -> str:
    lineage = collect(root, params, ["data/pseudo/nyu"], dataset="nyu", ranks=2, threads=3)
    with tracked_training(root, "nyu", lineage) as tracked:
        tracked.made(root / "models" / "nyu")
    return str(register(params, "nyu", root)["uri"])


def test_a_version_knows_how_it_was_made(project: Path, params: Params) -> None:
    found = recorded(project, trained_and_registered(project, params))
    head = subprocess.run(
        ["git", "-C", str(project), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert (found.commit, found.dataset) == (head, "nyu")
    assert (found.ranks, found.threads, found.seed) == (2, 3, params.seed)
    assert Params.model_validate_json(json.dumps(found.params)) == params
    assert outs_of(found.dvc_lock, "prepare@nyu")["data/prepared/nyu"]["md5"] == "bbbb.dir"
    assert deps_of(found.dvc_lock, "prepare@nyu")["data/sample/nyu"]["md5"] == "aaaa.dir"
    assert outs_of(found.dvc_lock, "train@nyu") == {}
    assert found.metrics == json.loads((project / "metrics/nyu.json").read_text())

    tags = found.version.tags
    client = open_store(project)
    assert (
        dict(client.get_model_version(found.version.name, found.version.version).tags)[
            "symbio.run.training"
        ]
        == found.version.run_id
    )
    drawn = [one.path for one in client.list_artifacts(found.version.run_id, "lineage")]
    assert "lineage/symbio-nyu-1.svg" in drawn
    assert tags["symbio.data.data/sample/nyu"] == "aaaa.dir"
    assert tags["symbio.teacher"] == "builtin:sample"
    assert tags["symbio.config_sha256"] == config_sha256(params, "nyu")

    assert found.diff is not None
    subprocess.run(["git", "-C", str(project), "checkout", "-q", "code.py"], check=True)
    subprocess.run(["git", "-C", str(project), "apply"], input=found.diff, text=True, check=True)
    assert (
        (project / "code.py")
        .read_text()
        .startswith("one = 2  # \N{LATIN SMALL LETTER E WITH ACUTE}")
    )


def test_a_diff_that_was_changed_in_the_store_is_refused(project: Path, params: Params) -> None:
    uri = trained_and_registered(project, params)
    run_id = recorded(project, uri).version.run_id
    client = open_store(project)
    kept = Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
    diff = kept / "lineage" / "uncommitted.diff"
    diff.write_text(diff.read_text().replace("one = 2", "one = 3"))
    with pytest.raises(SymbioError, match=r"uncommitted\.diff.*changed in the store"):
        recorded(project, uri)


def test_a_model_from_elsewhere_has_the_lineage_that_is_known_here(
    project: Path, params: Params
) -> None:
    found = recorded(project, str(register(params, "nyu", project)["uri"]))
    assert found.lineage["git"]["dirty"]
    assert found.threads is None


def test_seeds_share_a_configuration_and_nothing_else_does(params: Params) -> None:
    same = params.model_copy(update={"seed": params.seed + 1})
    assert config_sha256(same, "nyu") == config_sha256(params, "nyu")
    train = params.train.model_copy(update={"lr": params.train.lr * 2})
    other = params.model_copy(update={"train": train})
    assert config_sha256(other, "nyu") != config_sha256(params, "nyu")
    section = params.kitti.model_copy(update={"image_size": (64, 64)})
    elsewhere = params.model_copy(update={"kitti": section})
    assert config_sha256(elsewhere, "nyu") == config_sha256(params, "nyu")
