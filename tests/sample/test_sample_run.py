"""The stage: files that depend on the parameters alone, whole or absent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.params import Params, load_params
from symbio.presets import PRESETS
from symbio.sample import run as stage


def tiny(seed: int = 3) -> Params:
    params = load_params(PRESETS / "sample.yaml")
    sample = params.nyu.sample.model_copy(update={"train": 2, "test": 1, "seed": seed})
    sections = {
        name: params.dataset(name).model_copy(update={"sample": sample})
        for name in ("nyu", "kitti")
    }
    return params.model_copy(update=sections)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("dataset", ["nyu", "kitti"])
def test_the_files_do_not_depend_on_the_number_of_workers(dataset: str, tmp_path: Path) -> None:
    results = {}
    for workers in (1, 2):
        root = tmp_path / str(workers)
        facts = stage.run(tiny(), dataset, root, workers)
        assert (facts["train"], facts["test"]) == (2, 1)
        results[workers] = digests(root / "data/sample" / dataset)
    assert results[1] == results[2]
    assert len(results[1]) == (2 if dataset == "nyu" else 19)


def test_another_seed_renders_other_frames(tmp_path: Path) -> None:
    found = []
    for seed in (3, 4):
        root = tmp_path / str(seed)
        stage.run(tiny(seed), "nyu", root, 1)
        found.append(digests(root)["data/sample/nyu/nyu_depth_v2_labeled.mat"])
    assert found[0] != found[1]


def test_another_seed_of_the_training_renders_the_same_frames(tmp_path: Path) -> None:
    found = []
    for seed in (3, 4):
        root = tmp_path / str(seed)
        stage.run(tiny().model_copy(update={"seed": seed}), "nyu", root, 1)
        found.append(digests(root))
    assert found[0] == found[1]


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "data/sample/nyu"
    old.mkdir(parents=True)
    (old / "kept").write_text("old")

    def broken(seed: int, index: int, num_train: int) -> None:
        raise RuntimeError(f"frame {index}")

    monkeypatch.setattr(stage, "nyu_frame", broken)
    with pytest.raises(RuntimeError, match="frame 0"):
        stage.run(tiny(), "nyu", tmp_path, 1)
    assert [path.name for path in old.parent.iterdir()] == ["nyu"]
    assert digests(old) == {"kept": hashlib.sha256(b"old").hexdigest()}


def test_an_unknown_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match="cityscapes"):
        stage.run(tiny(), "cityscapes", tmp_path)
