"""Evaluation on several ranks: the same bytes as on one."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symbio.data.classes import label_space
from symbio.data.dataset import load_frame
from symbio.data.images import encode_png
from symbio.data.resize import resize_rgb
from symbio.data.shards import Shards, ShardWriter
from symbio.errors import SymbioError
from symbio.evaluate.evaluate import evaluate
from symbio.evaluate.examples import Source
from symbio.evaluate.parallel import in_parallel, one_thread_an_operation
from symbio.evaluate.predictors import constant_predictor
from symbio.evaluate.protocol import PROTOCOLS
from symbio.evaluate.rank import evaluate_rank
from symbio.evaluate.run import run, task_of
from symbio.model.network import build_network
from symbio.model.saved import load_network, save_network
from symbio.ranks import group
from symbio.ranks.place import Place
from tests.tiny_model import put_model
from tests.train.project import SIZE, make_project, tiny_params
from tests.train.ranks import run_ranks

SEEN = (32, 32)
"""Height and width at which the network sees frames."""


def project(root: Path, frames: int) -> Path:
    """Frames, and a small network that was never trained."""
    make_project(root, {"test": frames})
    network = build_network(tiny_params().model, SEEN, 10.0, 0.1, seed=3)
    save_network(root / "models" / "nyu", network, {"dataset": "nyu"})
    return root


def outputs(root: Path) -> dict[str, bytes]:
    """Name -> content of everything that an evaluation wrote."""
    files = [path for name in ("metrics", "reports") for path in (root / name).rglob("*")]
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.is_file()}


def as_rank(place: Place, root: Path, dataset: str) -> tuple[dict[str, Any], float]:
    """Be one rank; returns the metrics and how long it took."""
    group.join(place, torch.device("cpu"))
    start = time.monotonic()
    try:
        metrics = evaluate_rank(task_of(tiny_params(), dataset, root, None, "test"), place)
    except SymbioError as error:
        return {"error": str(error)}, time.monotonic() - start
    return metrics, time.monotonic() - start


@pytest.mark.slow
def test_654_frames_give_the_same_bytes_on_one_and_on_three_ranks(tmp_path: Path) -> None:
    root = project(tmp_path, 654)
    torch.set_num_threads(2)
    try:
        metrics = run(tiny_params(), "nyu", root, ranks=1)
    finally:
        torch.set_num_threads(1)
    one = outputs(root)
    for name in ("metrics", "reports"):
        (root / name).rename(root / f"{name}.one")
    assert run(tiny_params(), "nyu", root, ranks=3) == metrics
    three = outputs(root)
    assert len(one) == 1 + 5 + 4
    assert three.keys() == one.keys()
    assert [name for name in one if one[name] != three[name]] == []
    assert metrics["num_images"] == metrics["num_images_scored"] == 654
    assert len(one["reports/nyu/per_image.csv"].splitlines()) == 1 + 654
    plain = plain_abs_rel(root, metrics["constant_depth_m"])
    assert metrics["constant"]["abs_rel"] == pytest.approx(plain["constant"], rel=1e-12)
    assert metrics["trained"]["abs_rel"] == pytest.approx(plain["trained"], rel=1e-5)


def plain_abs_rel(root: Path, constant_m: float) -> dict[str, float]:
    """The mean over images of each image's mean relative error, one image at a time, in numpy."""
    prepared = Shards(root / "data" / "prepared" / "nyu")
    network, _ = load_network(root / "models" / "nyu")
    errors: dict[str, list[float]] = {"trained": [], "constant": []}
    for key in prepared.splits["test"]:
        frame = load_frame(prepared, key)
        image = torch.from_numpy(resize_rgb(frame.image, SEEN).transpose(2, 0, 1).copy())[None]
        with torch.inference_mode():
            small = network(network.normalise(image)).depth[None]
            seen = torch.nn.functional.interpolate(small, SIZE, mode="bilinear")[0, 0]
        for name, guess in (("trained", seen.numpy()), ("constant", np.float32(constant_m))):
            known = frame.depth_m > 1e-3
            truth = frame.depth_m[known].astype(np.float64)
            wrong = np.abs(np.broadcast_to(guess, SIZE)[known] - truth) / truth
            errors[name].append(float(wrong.mean()))
    return {name: float(np.mean(values)) for name, values in errors.items()}


def test_more_ranks_than_frames(tmp_path: Path) -> None:
    same_on(3, project(tmp_path, 2), "nyu")


def test_frames_of_two_sizes_and_pixels_that_no_network_sees(kitti: Any, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(kitti.root / "data")
    put_model(tmp_path / "models" / "kitti", "kitti")
    assert same_on(2, tmp_path, "kitti")["num_pixels_unpredicted"] > 0


def same_on(world: int, root: Path, dataset: str) -> dict[str, Any]:
    """Evaluate alone and on ranks; the metrics, which all ranks return."""
    alone = evaluate_rank(task_of(tiny_params(), dataset, root, None, "test"))
    written = outputs(root)
    ends = run_ranks(world, as_rank, root, dataset)
    assert [end.error for end in ends] == [None] * world
    assert [end.value[0] for end in ends] == [alone] * world
    assert outputs(root) == written
    return alone


def test_a_frame_that_one_rank_cannot_score_is_told_by_all(tmp_path: Path) -> None:
    root = project(tmp_path, 3)
    folder = root / "data" / "prepared" / "nyu"
    with_a_bad_frame(folder, "test-2")
    ends = run_ranks(2, as_rank, root, "nyu")
    told = [end.value[0]["error"] for end in ends]
    assert told[0] == told[1]
    assert "frame test-2: image is (64, 64), depth is (32, 32)" in told[0]
    assert max(end.value[1] for end in ends) < 20
    assert outputs(root) == {}


def with_a_bad_frame(folder: Path, bad: str) -> None:
    """Write a shard folder anew, one frame's depth being too small: checksums hold."""
    old = Shards(folder)
    frames = [(key, old.read(key), old.info(key)) for key in old.splits["test"]]
    header = old.header
    writer = ShardWriter(folder)
    for key, members, info in frames:
        if key == bad:
            members["depth.png"] = encode_png(np.ones((32, 32), np.uint16))
        writer.add("test", key, members, info)
    writer.close(header)


def test_shares_add_up_to_the_whole_and_pixels_unseen_are_summed(kitti: Any) -> None:
    space = label_space(kitti.prepared.header["label_space"])
    source = Source(kitti.prepared, kitti.labelled, space, (88, 304))
    keys = kitti.prepared.splits["test"]
    args = ({"constant": constant_predictor(9.0)}, source, keys, PROTOCOLS["none"], 80.0)
    whole = evaluate(*args, workers=3)
    assert whole.num_pixels_unpredicted > 0
    for world in (1, 2, 3, 5):
        parts = [evaluate(*args, place=place(rank, world)) for rank in range(world)]
        for other in parts[1:]:
            parts[0].merge(other)
        assert parts[0].num_pixels_unpredicted == whole.num_pixels_unpredicted
        assert parts[0].summary() == whole.summary()
        tables = [part.scores["constant"].ranges.table() for part in (parts[0], whole)]
        assert tables[0] == tables[1]


def place(rank: int, world: int) -> Place:
    return dataclasses.replace(Place(0, 1, 0), rank=rank, world=world)


def test_results_come_in_order_and_no_operation_is_shared_by_threads() -> None:
    threads = torch.get_num_threads()
    with one_thread_an_operation() as found:
        assert found == threads

        def work(number: int) -> tuple[int, int]:
            time.sleep(0.02 * (number % 3))
            return number, torch.get_num_threads()

        assert list(in_parallel(work, range(10), 4)) == [(number, 1) for number in range(10)]
        assert list(in_parallel(work, range(3), 1)) == [(0, 1), (1, 1), (2, 1)]
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_torchrun_and_the_command_line(tmp_path: Path) -> None:
    root = project(tmp_path, 5)
    (root / "params.yaml").write_text(json.dumps(tiny_params().model_dump(mode="json")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "symbio.cli", "evaluate", "nyu", "--ranks", "2"]
    subprocess.run(command, env=environment, cwd=root, check=True, timeout=120)
    written = outputs(root)
    assert json.loads(written["metrics/nyu.json"])["num_images_scored"] == 5
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "symbio.evaluate", "nyu"]
    subprocess.run(command, env=environment, cwd=root, check=True, timeout=120)
    assert outputs(root) == written
