"""Several protocols in one pass, and mirrored views: the same numbers as each alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.data.classes import label_space
from symbio.errors import SymbioError
from symbio.evaluate.applicable import applicable
from symbio.evaluate.constant import best_constant_depth, best_constant_depths
from symbio.evaluate.evaluate import Rules, evaluate, evaluate_by
from symbio.evaluate.examples import Source
from symbio.evaluate.predictors import Guess, constant_predictor, network_predictor, resize_map
from symbio.evaluate.protocol import PROTOCOLS, require_same_measurement
from symbio.evaluate.run import run, run_all
from symbio.model.network import build_network
from symbio.params import ModelParams, Params, SymbiosisParams, load_params
from tests.tiny_model import put_model
from tests.train.project import make_project, tiny_params

PRESET = Path(__file__).parents[2] / "symbio" / "presets" / "sample.yaml"
OF_NYU = [PROTOCOLS[name] for name in ("nyu-eigen", "nyu-multitask", "none")]


@pytest.fixture(scope="module")
def params() -> Params:
    preset = load_params(PRESET)
    return preset.model_copy(update={"nyu": preset.nyu.model_copy(update={"protocol": "none"})})


def test_one_pass_gives_what_each_protocol_gives_alone(nyu: Any) -> None:
    calls: list[int] = []

    def predict(views: torch.Tensor, size: tuple[int, int]) -> Guess:
        calls.append(len(views))
        depth = 1.0 + views.float().mean(dim=(1, 2, 3))[:, None, None] / 9
        ramp = torch.linspace(0.0, 7.0, size[1]).expand(len(views), *size)
        return Guess(depth + ramp, (ramp > 3).to(torch.uint8) * 3)

    space = label_space(nyu.prepared.header["label_space"])
    source, keys = Source(nyu.prepared, nyu.labelled, space, (32, 64)), nyu.prepared.splits["test"]
    constants = best_constant_depths(nyu.prepared, keys, OF_NYU)
    assert constants == [best_constant_depth(nyu.prepared, keys, one) for one in OF_NYU]
    rules = [
        Rules(one, {"trained": predict, "constant": constant_predictor(metres or 1.0)})
        for one, metres in zip(OF_NYU, constants, strict=True)
    ]
    together = evaluate_by(rules, source, keys, 10.0)
    assert sum(calls) == len(keys), "each frame is predicted once"
    summaries = []
    for one, result in zip(rules, together, strict=True):
        alone = evaluate(one.predictors, source, keys, one.protocol, 10.0)
        assert repr(result.summary()) == repr(alone.summary()), "the same bits; NaN is no equal"
        tables = [each.scores["trained"].ranges.table() for each in (result, alone)]
        assert tables[0] == tables[1]
        summaries.append(result.summary()["trained"])
    assert len({summary["abs_rel"] for summary in summaries}) == 3
    assert len({summary["truth_miou"] for summary in summaries}) == 1


def test_what_is_defined_on_which_frames(nyu: Any, small_nyu: Any, kitti: Any) -> None:
    found, why_not = applicable(nyu.prepared.folder, "nyu", "test")
    assert [one.name for one in found] == ["nyu-eigen", "nyu-multitask", "none"]
    assert why_not["kitti-official"] == "its numbers are of kitti, these frames are of nyu"
    found, why_not = applicable(small_nyu.prepared.folder, "nyu", "test")
    assert [one.name for one in found] == ["nyu-multitask", "none"]
    assert "480x640 frames, found 90x160" in why_not["nyu-eigen"]
    found, why_not = applicable(kitti.prepared.folder, "kitti", "test")
    assert len(found) == 4
    assert set(why_not) == {"nyu-eigen", "nyu-multitask"}
    found, why_not = applicable(nyu.prepared.folder, "mine", "test")
    assert [one.name for one in found] == ["none"]
    assert len(why_not) == 5


def test_all_protocols_and_mirrored_views_beside_the_pipelines_own(
    small_nyu: Any, params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").symlink_to(small_nyu.root / "data")
    put_model(tmp_path / "models" / "nyu")
    alone = run(params, "nyu", tmp_path)
    before = (tmp_path / "metrics" / "nyu.json").read_bytes()
    assert capsys.readouterr().out == ""

    found = run_all(params, "nyu", tmp_path, "all", flip=True)
    assert (tmp_path / "metrics" / "nyu.json").read_bytes() == before
    names = ["nyu", "nyu-test-nyu-multitask", "nyu-test-none-flip", "nyu-test-nyu-multitask-flip"]
    assert {path.stem for path in (tmp_path / "metrics").iterdir()} == set(names)
    for name, metrics in zip(names, found, strict=True):
        assert json.loads((tmp_path / "metrics" / f"{name}.json").read_text()) == metrics
        assert (tmp_path / "reports" / name / "report.html").is_file()
        assert metrics["flip"] == name.endswith("flip")
    own, _, mirrored, _ = found
    assert own == alone
    assert mirrored["constant"] == own["constant"]
    assert mirrored["trained"]["abs_rel"] != own["trained"]["abs_rel"]
    with pytest.raises(SymbioError, match=r"flip \(False and True\)"):
        require_same_measurement(own, mirrored)
    without = {key: value for key, value in own.items() if key != "flip"}
    require_same_measurement(own, without)

    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:5]] == ["none", "nyu-multitask"] * 2
    assert ["+flip" in line for line in printed[1:5]] == [False, False, True, True]
    assert f"{own['trained']['rmse']:.4f}" in printed[1]
    assert any(line.startswith("nyu-eigen: not scored: the NYU Eigen crop") for line in printed)


@pytest.mark.slow
def test_ranks_give_the_same_bytes_of_every_protocol(tmp_path: Path) -> None:
    make_project(tmp_path, {"test": 5})
    put_model(tmp_path / "models" / "nyu")
    one = run_all(tiny_params(), "nyu", tmp_path, "all", ranks=1, flip=True)
    written = {path.name: path.read_bytes() for path in (tmp_path / "metrics").iterdir()}
    assert run_all(tiny_params(), "nyu", tmp_path, "all", ranks=2, flip=True) == one
    assert {p.name: p.read_bytes() for p in (tmp_path / "metrics").iterdir()} == written
    assert len(written) == 4


def test_mirrored_views_are_averaged_in_metres_and_logits() -> None:
    model = ModelParams(
        encoder="test_maxvit",
        pretrained=False,
        channels=8,
        symbiosis=SymbiosisParams(heads=2),
        depth_output="log",
    )
    network = build_network(model, (64, 96), 10.0, 0.1, seed=3)
    views = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    size = (100, 140)
    guess = network_predictor(network, flip=True)(views, size)
    with torch.inference_mode():
        answers = [network(network.normalise(each)) for each in (views, views.flip(3))]
    depth = (answers[0].depth + answers[1].depth.flip(2)) / 2
    torch.testing.assert_close(guess.depth_m, resize_map(depth, size))
    logits = (answers[0].logits + answers[1].logits.flip(3)) / 2
    wanted = torch.nn.functional.interpolate(logits, size, mode="bilinear").argmax(dim=1)
    assert guess.classes is not None
    assert (guess.classes == wanted).float().mean() > 0.999
    # Which of the two views is the mirrored one makes no difference.
    other = network_predictor(network, flip=True)(views.flip(3), size)
    torch.testing.assert_close(other.depth_m.flip(2), guess.depth_m)
