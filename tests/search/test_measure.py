"""Scores of single frames: those of `symbio evaluate`, on any number of ranks the same bytes."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from symbio.data.images import encode_png
from symbio.data.shards import ShardWriter
from symbio.errors import SymbioError
from symbio.evaluate.rank import evaluate_rank
from symbio.evaluate.run import task_of
from symbio.ranks.handed import PARAMS_VARIABLE
from symbio.ranks.local import run_here
from symbio.search.frames import FRAMES_FILE, read_frames, write_frames
from symbio.search.rank import evenly, measure
from symbio.search.statistics.scored import Scored, scored
from tests.tiny_model import put_model
from tests.train.project import tiny_params

SIZE = (64, 96)
SPLITS = {"train": 10, "val": 4, "test": 5}
EMPTY = "test-1"
"""A frame without depth."""


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """The folder of a trial: frames with truth and pseudo-labels, and an exported network."""
    rng = np.random.default_rng(8)
    prepared, pseudo = (tmp_path / "data" / kind / "nyu" for kind in ("prepared", "pseudo"))
    for folder in (prepared, pseudo):
        folder.mkdir(parents=True)
    frames, labels = ShardWriter(prepared), ShardWriter(pseudo)
    for split, count in SPLITS.items():
        for number in range(count):
            key = f"{split}-{number}"
            ramp = np.linspace(800, rng.integers(2000, 8000), SIZE[1])
            depth = np.broadcast_to(ramp, SIZE).astype(np.uint16).copy()
            depth[rng.random(SIZE) < 0.2] = 0
            if key == EMPTY:
                depth[:] = 0
            image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
            truth = rng.choice(np.array([0, 5, 11, 21], np.uint16), SIZE)
            info = {"height": SIZE[0], "width": SIZE[1], "scene": f"{split}-room-{number // 2}"}
            planes = {"image": image, "depth": depth, "truth": truth}
            members = {f"{name}.png": encode_png(plane) for name, plane in planes.items()}
            frames.add(split, key, members, info)
            classes = rng.integers(0, 8, SIZE, dtype=np.uint8)
            planes = {"class": classes, "confidence": np.full_like(classes, 200)}
            members = {f"{name}.png": encode_png(plane) for name, plane in planes.items()}
            labels.add(split, key, members, {})
    frames.close({"dataset": "nyu", "depth_scale": 1000, "label_space": "nyu894"})
    labels.close({"dataset": "nyu"})
    put_model(tmp_path / "models" / "nyu")
    return tmp_path


def test_frames_add_up_to_what_evaluate_says(trial: Path) -> None:
    params = tiny_params()
    found = measure(params, "nyu", trial)
    assert read_frames(trial / FRAMES_FILE) == found
    card = json.loads((trial / "models" / "nyu" / "model.json").read_text())
    assert (found.model, found.protocol) == (card["weights_sha256"], "none")
    assert {name: len(split.keys) for name, split in found.splits.items()} == {
        "train": 4,
        "val": 4,
        "test": 5,
    }
    for name in ("val", "test"):
        known = evaluate_rank(task_of(params, "nyu", trial, None, name))
        split = found.splits[name]
        assert found.data_sha256 == known["data_sha256"]
        for metric, value in known["trained"].items():
            assert split.totals[metric] == pytest.approx(value, rel=1e-5), metric
        for kind, metric in (("truth", "miou"), ("pseudo", "miou"), ("truth", "pixel_accuracy")):
            again = scored(found, f"{kind}_{metric}", name)
            assert isinstance(again, Scored)
            assert again.score == pytest.approx(split.totals[f"{kind}_{metric}"], rel=1e-12)
        again = scored(found, "rmse", name)
        assert isinstance(again, Scored)
        assert again.score == pytest.approx(split.totals["rmse"], rel=1e-12)
    test = found.splits["test"]
    assert test.scenes == [
        "test-room-0",
        "test-room-0",
        "test-room-1",
        "test-room-1",
        "test-room-2",
    ]
    with (trial / "reports" / "nyu" / "per_image.csv").open(newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    for place, key in enumerate(test.keys):
        assert test.pixels[place] == int(rows[key]["pixels"])
        value = test.metrics["abs_rel"][place]
        if key == EMPTY:
            assert (value, test.pixels[place]) == (None, 0)
        else:
            assert value == pytest.approx(float(rows[key]["trained_abs_rel"]), rel=1e-5)
    assert test.classes["truth"].space == "nyu40"
    assert test.classes["pseudo"].space == "ade20k"
    of_trial, of_evaluation = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (trial / "pictures", trial / "reports" / "nyu" / "pictures")
    )
    assert of_trial == of_evaluation


def test_of_the_training_split_as_many_frames_as_val_has_at_even_distances() -> None:
    keys = [f"{number}" for number in range(10)]
    assert evenly(keys, 3) == ["1", "5", "8"]
    assert evenly(keys, 1) == ["5"]
    assert evenly(keys, 10) == evenly(keys, 99) == keys
    assert evenly(keys, 0) == evenly([], 3) == []
    for count in range(1, 10):
        places = [int(key) for key in evenly(keys, count)]
        steps = {after - before for before, after in itertools.pairwise(places)}
        assert len(set(places)) == count
        assert not steps or max(steps) - min(steps) <= 1


def test_without_semantics_pseudo_labels_or_held_out_frames(trial: Path, tmp_path: Path) -> None:
    other = tmp_path / "depth-only"
    (other / "data" / "prepared").mkdir(parents=True)
    (other / "data" / "prepared" / "nyu").symlink_to(trial / "data" / "prepared" / "nyu")
    put_model(other / "models" / "nyu", semantics=False)
    found = measure(tiny_params(), "nyu", other)
    assert found.splits["val"].classes == {}
    assert "truth_miou" not in found.splits["val"].totals
    assert found.splits["val"].totals["abs_rel"] is not None


def test_a_model_of_another_data_set_is_refused_and_nothing_written(trial: Path) -> None:
    card = trial / "models" / "nyu" / "model.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "dataset": "kitti"}))
    with pytest.raises(SymbioError, match="is a model of 'kitti'"):
        measure(tiny_params(), "nyu", trial)
    assert not (trial / FRAMES_FILE).exists()


def test_a_broken_file_is_refused(trial: Path) -> None:
    path = trial / FRAMES_FILE
    with pytest.raises(SymbioError, match=r"frames\.json: no such file"):
        read_frames(path)
    for text in ("[]", '{"splits": {"val": {}}}', '{"splits": 3}', "{"):
        path.write_text(text)
        with pytest.raises(SymbioError, match=r"frames\.json: "):
            read_frames(path)


@pytest.mark.slow
def test_two_ranks_write_the_same_bytes_as_one(trial: Path) -> None:
    params = tiny_params()
    found = measure(params, "nyu", trial)
    alone = (trial / FRAMES_FILE).read_bytes()
    (trial / FRAMES_FILE).unlink()
    environment = {PARAMS_VARIABLE: params.model_dump_json()}
    run_here("symbio.search.measure", ["nyu", "--root", str(trial)], 2, environment)
    assert (trial / FRAMES_FILE).read_bytes() == alone
    assert len(list((trial / "pictures").iterdir())) == 4
    write_frames(trial / FRAMES_FILE, found)
    assert (trial / FRAMES_FILE).read_bytes() == alone
