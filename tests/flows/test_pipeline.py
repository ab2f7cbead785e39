"""A stage's cache key changes exactly when DVC itself would run the stage again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flows.pipeline import STAGES, input_key, outputs_in_place, rendered
from symbio.errors import SymbioError
from symbio.params import load_params
from tests.project import run


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "project", symlinks=True))


def changed(project: Path, stage: str) -> bool:
    """DVC's own answer."""
    return bool(json.loads(run(project, "dvc", "status", "--json", stage)))


EDITS = {
    "nothing": None,
    "a parameter of the stage": ("params.yaml", "val_share: 0.2", "val_share: 0.3"),
    "a parameter of another stage": ("params.yaml", "lr: 0.003", "lr: 0.004"),
    "its code": ("symbio/prepare/prepare.py", "from __future__", "# x\nfrom __future__"),
    "another stage's code": ("symbio/train/loop.py", "from __future__", "# x\nfrom __future__"),
}


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
def test_the_key_changes_when_dvc_would_run_the_stage(project: Path, edit: str) -> None:
    before = input_key(project, "prepare@nyu").replace(str(project), "")
    if EDITS[edit] is not None:
        name, old, new = EDITS[edit]
        text = (project / name).read_text()
        assert old in text
        (project / name).write_text(text.replace(old, new, 1))
    assert (input_key(project, "prepare@nyu") != before) == changed(project, "prepare@nyu")


@pytest.mark.slow
def test_outputs_that_are_gone_or_cut_are_not_in_place(project: Path) -> None:
    assert outputs_in_place(project, "prepare@nyu")
    assert not outputs_in_place(project, "label@nyu")
    shard = next((project / "data/prepared/nyu").glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-512])
    assert not outputs_in_place(project, "prepare@nyu")
    shutil.rmtree(project / "data/prepared/nyu")
    assert not outputs_in_place(project, "prepare@nyu")


@pytest.mark.parametrize("dataset", ["nyu", "kitti"])
@pytest.mark.parametrize("verb", STAGES)
def test_every_stage_of_dvc_yaml_has_a_key(verb: str, dataset: str) -> None:
    root = Path(__file__).parents[2]
    keys = {input_key(root, f"{verb}@{other}") for other in ("nyu", "kitti")}
    assert len(keys) == 2
    assert input_key(root, f"{verb}@{dataset}") in keys


def test_a_stage_that_is_not_there_is_named() -> None:
    with pytest.raises(SymbioError, match="no stage 'polish'"):
        input_key(Path(__file__).parents[2], "polish@nyu")


def test_only_the_preset_s_own_raw_folder_is_rendered() -> None:
    presets = Path(__file__).parents[2] / "symbio" / "presets"
    assert rendered(load_params(presets / "sample.yaml"), "nyu")
    assert not rendered(load_params(presets / "paper.yaml"), "nyu")
