"""Networks that predict the classes of another space than ADE20K."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symbio.data.classes import NYU13, NYU13_OF_NYU40, NYU40, class_space, label_space
from symbio.data.images import encode_png
from symbio.errors import SymbioError
from symbio.evaluate.evaluate import Evaluation, evaluate
from symbio.evaluate.examples import Source
from symbio.evaluate.predictors import Guess, Predictor
from symbio.evaluate.protocol import PROTOCOLS, require_same_measurement
from symbio.evaluate.run import run
from symbio.evaluate.tables import per_class
from symbio.model.network import build_network
from symbio.model.saved import load_network, save_network, spoken
from symbio.params import load_params
from symbio.predict.predict import predict
from tests.evaluate.conftest import World, write_world
from tests.tiny_model import put_model

PRESET = Path(__file__).parents[2] / "symbio" / "presets" / "sample.yaml"
SIZE = (96, 128)
ADE = np.array([0, 3, 5, 7, 10, 15, 19, 23], np.uint8)
"""Classes that NYU40 has; the frames' truth and pseudo-labels are of NYU, too."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("spaces"), "nyu", [SIZE])


def _guessing(table: np.ndarray) -> Predictor:
    """The same random ADE20K classes whatever it sees, renamed by `table`."""

    def predict(views: torch.Tensor, size: tuple[int, int]) -> Guess:
        classes = np.random.default_rng(3).choice(ADE, (len(views), *size))
        return Guess(torch.ones(len(views), *size), torch.from_numpy(table[classes]))

    return predict


def _scored(world: World, predicted: str) -> Evaluation:
    space = label_space("nyu894", predicted)
    source = Source(world.prepared, world.labelled, space, (32, 64))
    predictor = _guessing(space.predicted.from_ade20k)
    keys = world.prepared.splits["test"]
    return evaluate({"trained": predictor}, source, keys, PROTOCOLS["none"], 10.0)


def test_one_prediction_has_one_score_in_ade20k_and_in_nyu40(world: World) -> None:
    ade, nyu = (_scored(world, name).summary()["trained"] for name in ("ade20k", "nyu40"))
    truth = {key: value for key, value in ade.items() if key.startswith("truth_")}
    assert truth["truth_pixel_accuracy"] > 0
    assert nyu.items() >= truth.items()


def test_nyu13_is_scored_as_a_plain_count_says(world: World) -> None:
    result = _scored(world, "nyu13")
    confusion = result.scores["trained"].truth.confusion()
    expected = np.zeros((13, 13), np.int64)
    nyu40 = label_space("nyu894")
    table = class_space("nyu40").from_ade20k
    for start in range(0, 5, 2):
        keys = world.prepared.splits["test"][start : start + 2]
        if not keys:
            continue
        guesses = np.random.default_rng(3).choice(ADE, (len(keys), *SIZE))
        for key, guess in zip(keys, guesses, strict=True):
            truth = nyu40.from_truth[world.truth[key]]
            for own, said in zip(truth.ravel(), table[guess].ravel(), strict=True):
                if own != 255:
                    expected[NYU13_OF_NYU40[own] - 1, NYU13_OF_NYU40[said] - 1] += 1
    assert expected.sum() > 0
    assert np.array_equal(confusion.matrix[:, :13], expected)
    assert {row["name"] for row in per_class(result, "trained")} <= set(NYU13)


def _save(root: Path, space: str | None, num_classes: int) -> None:
    network = build_network(
        load_network(put_model(root / f"any-{space}"))[0].params, SIZE, 10.0, 0.1, num_classes
    )
    save_network(root / "models" / "nyu", network, {"dataset": "nyu", "class_space": space})


def test_a_saved_network_is_scored_and_shown_in_its_own_classes(
    world: World, tmp_path: Path
) -> None:
    _save(world.root, "nyu40", 40)
    metrics = run(load_params(PRESET), "nyu", world.root, protocol="none")
    assert metrics["label_space"] == "nyu40"
    assert metrics["trained"]["truth_miou_reachable"] >= 0
    assert (world.root / "reports" / "nyu-test-none" / "report.html").is_file()
    network, card = load_network(world.root / "models" / "nyu")
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((*SIZE, 3), np.uint8)))
    index = predict(network, card, [tmp_path / "a.png"], tmp_path / "out")
    assert index["model"]["class_space"] == "nyu40"
    assert set(index["pictures"][0]["classes"]) <= set(NYU40)


def test_a_network_that_was_taught_no_classes_says_none(world: World, tmp_path: Path) -> None:
    _save(world.root, None, 150)
    metrics = run(load_params(PRESET), "nyu", world.root, protocol="none")
    for who in ("trained", "untrained", "constant"):
        assert not [key for key in metrics[who] if key.startswith(("truth_", "pseudo_"))]
    network, card = load_network(world.root / "models" / "nyu")
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((*SIZE, 3), np.uint8)))
    predict(network, card, [tmp_path / "a.png"], tmp_path / "out")
    assert not list((tmp_path / "out").glob("*semantic*"))


def test_cards_from_before_there_was_a_choice_speak_ade20k() -> None:
    old: dict[str, Any] = {"model": {"encoder": "any"}}
    space = spoken(old)
    assert space is not None
    assert (space.name, len(space.names)) == ("ade20k", 150)
    assert spoken({"model": {"semantics": False}, "class_space": None}) is None
    with pytest.raises(SymbioError, match="no space of classes 'coco'"):
        spoken({"model": {}, "class_space": "coco"})


def test_depth_is_compared_across_spaces_and_classes_are_not() -> None:
    one = {"dataset": "nyu", "label_space": "nyu40", "num_images": 3}
    other = one | {"label_space": "nyu13"}
    require_same_measurement(one, other, classes=False)
    with pytest.raises(SymbioError, match=r"label_space \('nyu40' and 'nyu13'\)"):
        require_same_measurement(one, other)
    with pytest.raises(SymbioError, match="num_images"):
        require_same_measurement(one, other | {"num_images": 4}, classes=False)
