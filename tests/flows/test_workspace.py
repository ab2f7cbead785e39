"""Other parameters work in a worktree of their own; the checkout is left as it is."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml

from flows.workspace import wanted_params, workspace_for
from symbio.errors import SymbioError
from symbio.params import load_params
from tests.project import run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Path(shutil.copytree(made, tmp_path / "project", symlinks=True))


def test_no_other_parameters_mean_the_checkout_itself() -> None:
    assert workspace_for(ROOT, wanted_params(ROOT, None, {})) == ROOT


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"train.leanring": 1}, "'train.leanring' is no key of params.yaml"),
        ({"nothing.at.all": 1}, "'nothing.at.all' is no key"),
        ({"train": 3}, "overrides"),
        ({"nearfarmix.probability": 1.5}, "nearfarmix.probability"),
    ],
)
def test_overrides_that_do_not_hold_are_named(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(SymbioError, match=message):
        wanted_params(ROOT, None, overrides)


def test_a_default_that_the_file_leaves_out_can_be_overridden() -> None:
    params = wanted_params(ROOT, None, {"train.augment.flip": 0.25, "nyu.test_list": "own.txt"})
    assert (params.train.augment.flip, params.nyu.test_list) == (0.25, "own.txt")


def test_a_preset_that_does_not_ship_is_named() -> None:
    with pytest.raises(SymbioError, match="there is no 'huge'"):
        wanted_params(ROOT, "huge", {})


@pytest.mark.slow
def test_a_worktree_shares_what_is_the_same(project: Path) -> None:
    before = run(project, "git", "status", "--porcelain")
    params = wanted_params(project, None, {"nearfarmix.probability": 0.5})
    folder = workspace_for(project, params)
    assert folder.parent == project / "workspaces"
    assert load_params(folder / "params.yaml") == params
    # Not a key more than there was: DVC would take a default that is written out for a change.
    wanted = yaml.safe_load((project / "params.yaml").read_text())
    wanted["nearfarmix"]["probability"] = 0.5
    assert yaml.safe_load((folder / "params.yaml").read_text()) == wanted
    # Nothing that DVC has made before is made again, and the checkout has not changed.
    assert "up to date" in run(folder, "dvc", "status", "prepare@nyu")
    assert run(project, "git", "status", "--porcelain") == before
    assert load_params(project / "params.yaml").nearfarmix.probability != 0.5
    # The same parameters, in any order, mean the same place; others another one.
    assert workspace_for(project, params) == folder
    other = wanted_params(project, None, {"nearfarmix.probability": 0.6})
    assert workspace_for(project, other) != folder


@pytest.mark.slow
def test_uncommitted_code_goes_along(project: Path) -> None:
    code = project / "symbio" / "train" / "loop.py"
    code.write_text(code.read_text() + "# tried out\n")
    folder = workspace_for(project, wanted_params(project, None, {"seed": 8}))
    assert (folder / "symbio/train/loop.py").read_text().endswith("# tried out\n")


@pytest.mark.slow
def test_models_of_both_are_in_one_embedded_store(project: Path) -> None:
    folder = workspace_for(project, wanted_params(project, None, {"seed": 8}))
    code = (
        "from pathlib import Path\n"
        "from symbio.tracking.store import experiment_id, open_store\n"
        "client = open_store(Path('.'))\n"
        "print(client.get_experiment(experiment_id(client, Path('.'), 'symbio-nyu')))"
    )
    command = [sys.executable, "-c", code]
    inside = run(folder, *command)
    outside = run(project, *command)
    assert inside == outside
    assert str(project / "mlruns" / "artifacts") in inside


@pytest.mark.slow
def test_without_git_it_says_what_is_needed(project: Path) -> None:
    shutil.rmtree(project / ".git")
    values = yaml.safe_load((project / "params.yaml").read_text())
    assert values["seed"] != 8
    with pytest.raises(SymbioError, match="need a git checkout"):
        workspace_for(project, wanted_params(project, None, {"seed": 8}))
