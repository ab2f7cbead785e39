"""Trainings with part of the labels, none of them, or other classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symbio.data.classes import class_space
from symbio.data.dataset import load_pseudo
from symbio.data.shards import Shards
from symbio.evaluate.run import run as evaluate
from symbio.model.inference import infer
from symbio.model.saved import load_network
from symbio.params import Params
from symbio.train.choices import chosen_network
from symbio.train.claim import recipe_of
from symbio.train.fingerprint import fingerprint, shape_of
from symbio.train.objective import Objective
from symbio.train.paths import Paths
from symbio.train.records.journal import read_journal
from tests.train.project import SIZE, make_project, tiny_params
from tests.train.ranks import train_on


def _trained(root: Path, params: Params) -> list[dict[str, float]]:
    """Train on one rank; the journal's metrics."""
    (end,) = train_on(1, params, root)
    assert (end.error, end.value) == (None, "finished")
    return [record["metrics"] for record in read_journal(root / "checkpoints" / "nyu")]


def _values(records: list[dict[str, float]], name: str) -> list[float]:
    return [record[name] for record in records if name in record]


def _picture() -> np.ndarray:
    return np.zeros((1, *SIZE, 3), np.uint8)


def test_a_batch_without_labels_teaches_depth_alone() -> None:
    """Loss and gradients are those of depth with a semantic weight of 0, and finite."""
    rng = torch.Generator().manual_seed(1)
    image = torch.randint(256, (2, 3, *SIZE), dtype=torch.uint8, generator=rng)
    depth = 1 + 5 * torch.rand(2, *SIZE, generator=rng)
    nothing = torch.full((2, *SIZE), 255, dtype=torch.uint8)
    labels = torch.randint(150, (2, *SIZE), dtype=torch.uint8, generator=rng)
    gradients = []
    for weight, semantic in ((1.0, nothing), (0.0, labels)):
        params = tiny_params(semantic_weight=weight)
        objective = Objective(chosen_network(params, "nyu"), params.train, (0.1, 10.0), None)
        losses = objective(image, depth, semantic, torch.full_like(semantic, 200))
        losses.total.backward()
        assert losses.total == losses.silog
        gradients.append([one.grad for one in objective.parameters()])
    for first, second in zip(*gradients, strict=True):
        assert first is not None
        assert second is not None
        assert torch.isfinite(first).all()
        assert torch.equal(first, second)


@pytest.mark.slow
def test_without_labels_a_network_learns_depth_and_says_no_classes(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    records = _trained(root, tiny_params(labels={"share": 0.0}, validate_every=2))
    assert _values(records, "train/semantic") == [0.0] * 4
    assert all(math.isfinite(value) for record in records for value in record.values())
    assert _values(records, "val/abs_rel")
    assert not _values(records, "val/pseudo_miou")
    network, card = load_network(root / "models" / "nyu")
    assert card["class_space"] is None
    assert network.params.semantics
    assert infer(network, _picture()).classes is None
    metrics = evaluate(tiny_params(), "nyu", root)
    assert not [key for key in metrics["trained"] if key.startswith(("truth_", "pseudo_"))]


@pytest.mark.slow
def test_a_network_of_nyu13_from_a_worse_teacher(tmp_path: Path) -> None:
    """It is scored on the teacher's own labels, renamed, whatever it was trained on."""
    root = make_project(tmp_path)
    labels = {"share": 0.5, "noise": 0.5, "min_confidence": 0.6, "space": "nyu13"}
    records = _trained(root, tiny_params(labels=labels, validate_every=2))
    assert all(value > 0 for value in _values(records, "train/semantic"))
    network, card = load_network(root / "models" / "nyu")
    assert (card["class_space"], card["num_classes"]) == ("nyu13", 13)
    found = infer(network, _picture()).classes
    assert found is not None
    assert found.max() < 13
    metrics = evaluate(tiny_params(), "nyu", root)
    assert metrics["label_space"] == "nyu13"
    pseudo, table = Shards(root / "data" / "pseudo" / "nyu"), class_space("nyu13").from_ade20k
    named = [table[load_pseudo(pseudo, key)[0]] for key in pseudo.splits["test"]]
    counts = np.bincount(np.stack(named).ravel(), minlength=256)[:13]
    # The constant that is right most often is right on the largest class.
    expected = counts.max() / counts.sum()
    assert metrics["constant"]["pseudo_pixel_accuracy"] == pytest.approx(expected)


def test_recipes_from_before_the_section_stay_theirs(tmp_path: Path) -> None:
    paths = Paths(make_project(tmp_path), "nyu")

    def recipe(**labels: Any) -> dict[str, Any]:
        return recipe_of(tiny_params(labels=labels), paths)

    usual = recipe()
    assert not [key for key in usual if key.startswith("labels")]
    assert fingerprint(recipe(share=1.0, space="ade20k")) == fingerprint(usual)
    for labels in ({"share": 0.5}, {"noise": 0.1}, {"min_confidence": 0.7}, {"space": "nyu40"}):
        other = recipe(**labels)
        assert fingerprint(other) != fingerprint(usual)
        assert other.items() >= {f"labels.{key}": value for key, value in labels.items()}.items()
    assert recipe(share=0.0)["data.pseudo"] is None
    plain, narrow = tiny_params(), tiny_params(labels={"space": "nyu40"})
    assert shape_of(plain, "nyu") == shape_of(tiny_params(labels={"noise": 0.5}), "nyu")
    assert shape_of(plain, "nyu") != shape_of(narrow, "nyu")
