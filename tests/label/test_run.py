"""The stage as a whole: any number of processes, interruptions, broken frames."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from symbio.data.dataset import load_frame
from symbio.data.images import decode_labels
from symbio.data.shards import Shards, ShardWriter
from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.label import label as label_module
from symbio.label import rank as rank_module
from symbio.label import run as run_module
from symbio.label.chunks import chunk_path, chunks_of
from symbio.label.predict import predict
from symbio.label.run import run
from symbio.label.source import teacher_files
from symbio.label.teacher import load_teacher
from symbio.params import Params

from ..data.prepared import tiny_params
from .conftest import write_prepared

PROJECT = Path(__file__).parents[2]


def params_for(teacher: Path, **changes: object) -> Params:
    values = {
        "teacher.model": str(teacher),
        "teacher.min_confidence": 0.12,
        "teacher.batch": 4,
        "teacher.image_size": [48, 64],
    }
    return tiny_params(**values | changes)


LABEL = (
    "import sys, pathlib\n"
    "from symbio.params import Params\n"
    "from symbio.label.run import run\n"
    "from symbio.ranks.settings import settings_from\n"
    "root = pathlib.Path(sys.argv[1])\n"
    "params = Params.model_validate_json((root / 'params.json').read_text())\n"
    "run(params, 'nyu', root, settings_from(dict(one.split('=') for one in sys.argv[2:])))\n"
)


def start(root: Path, flags: list[str]) -> subprocess.Popen[bytes]:
    """Label in a process of its own, with the params in `root`/params.json."""
    command = [sys.executable, "-c", LABEL, str(root), *flags]
    with (root / "log").open("w") as log:
        return subprocess.Popen(command, cwd=PROJECT, stderr=log)


def wait_for(found: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """What `found` gives as soon as that is anything."""
    deadline = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


@pytest.fixture
def one_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBIO_RANKS", "1")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("one_rank")
def test_labels_are_the_teachers_with_low_confidence_ignored(
    oneformer_folder: Path, tmp_path: Path
) -> None:
    prepared = Shards(write_prepared(tmp_path, sizes=((48, 64), (40, 72))))
    found = run(params_for(oneformer_folder), "nyu", tmp_path)
    pseudo = Shards(tmp_path / "data/pseudo/nyu")
    assert pseudo.splits == prepared.splits
    teacher = load_teacher(str(oneformer_folder))
    ignored = 0
    for key in prepared.splits["test"]:
        members = pseudo.read(key)
        label = decode_labels(members["class.png"], key)
        confidence = decode_labels(members["confidence.png"], key)
        image = load_frame(prepared, key).image
        pixels = torch.tensor(image).permute(2, 0, 1)[None]
        expected, sure = predict(teacher, pixels, image_size=(48, 64))
        assert label.shape == image.shape[:2]
        low = confidence < 255 * 0.12
        ignored += int(low.sum())
        assert (label[low] == 255).all()
        assert (label[~low] == expected[0].numpy()[~low]).mean() > 0.99
        assert np.abs(confidence.astype(int) - sure[0].numpy()).max() <= 2
    assert ignored > 0
    header = pseudo.header
    assert header["teacher"]["files_sha256"] == teacher_files(oneformer_folder)
    assert header["settings"]["min_confidence"] == 0.12
    assert header["prepared_sha256"] == prepared.digest()
    assert read_json(tmp_path / "data/pseudo/nyu/quality.json", "quality") == found
    assert found["num_frames"] == 37
    assert "Worst frames" in (tmp_path / "data/pseudo/nyu/quality.html").read_text()
    assert not (tmp_path / "data/.label-nyu").exists()


@pytest.mark.usefixtures("one_rank")
def test_frames_of_one_size_are_asked_together(
    segformer_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = Shards(write_prepared(tmp_path, sizes=((48, 64), (40, 72), (48, 64))))
    params = params_for(segformer_folder).teacher
    keys = prepared.splits["train"][:16]
    asked: list[int] = []

    def counted(*arguments: Any) -> Any:
        asked.append(len(arguments[1]))
        return predict(*arguments)

    monkeypatch.setattr(label_module, "predict", counted)
    teacher = load_teacher(str(segformer_folder))
    batches = list(label_module.label_frames(teacher, params, prepared, keys))
    assert [len(batch) for batch in batches] == [4, 1, 4, 4, 3]
    assert sorted(count for count in asked if count > 1) == [3, 4, 4, 4]
    assert sorted(frame.key for batch in batches for frame in batch) == sorted(keys)
    for batch in batches:
        for frame in batch:
            info = prepared.info(frame.key)
            assert frame.size == (info["height"], info["width"])


@pytest.mark.slow
def test_a_command_killed_with_its_ranks_goes_on_as_if_nothing_had_been(
    oneformer_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = params_for(oneformer_folder, **{"teacher.image_size": [96, 128]})
    alone, root = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, root):
        write_prepared(folder, sizes=((48, 64), (40, 72)), train=100)
    (root / "params.json").write_text(params.model_dump_json())
    work = root / "data/.label-nyu"
    process = start(root, ["ranks=2"])
    wait_for(lambda: process.poll() is None and list(work.glob("*/chunk-*.npz")))
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert not (root / "data/pseudo").exists()

    kept = {path.name: path.stat().st_mtime_ns for path in work.glob("*/chunk-*.npz")}
    monkeypatch.setenv("SYMBIO_RANKS", "1")
    with monkeypatch.context() as patch:
        patch.setattr(run_module.shutil, "rmtree", lambda *_, **__: None)
        run(params, "nyu", root)
    now = {path.name: path.stat().st_mtime_ns for path in work.glob("*/chunk-*.npz")}
    assert len(kept) < len(now) == 7
    assert kept.items() <= now.items()
    run(params, "nyu", alone)
    assert contents(alone / "data/pseudo/nyu") == contents(root / "data/pseudo/nyu")


@pytest.mark.usefixtures("one_rank")
def test_interrupted_run_goes_on_and_redoes_a_damaged_chunk(
    oneformer_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    write_prepared(whole)
    run(params_for(oneformer_folder), "nyu", whole)

    root = tmp_path / "cut"
    shutil.copytree(whole / "data/prepared", root / "data/prepared")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_assemble", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(params_for(oneformer_folder), "nyu", root)
    assert not (root / "data/pseudo").exists()
    (work,) = (path for path in (root / "data/.label-nyu").iterdir() if path.is_dir())
    chunks = chunks_of(list(Shards(root / "data/prepared/nyu").keys()))
    assert [len(chunk) for chunk in chunks] == [16, 16, 5]
    damaged = chunk_path(work, 1)
    damaged.write_bytes(damaged.read_bytes()[:-200])

    done: list[int] = []
    write_chunk = rank_module.write_chunk
    monkeypatch.setattr(
        rank_module,
        "write_chunk",
        lambda path, frames: (done.append(len(frames)), write_chunk(path, frames)),
    )
    run(params_for(oneformer_folder), "nyu", root)
    assert done == [len(chunks[1])]
    assert contents(root / "data/pseudo/nyu") == contents(whole / "data/pseudo/nyu")


@pytest.mark.usefixtures("one_rank")
def test_chunks_of_other_settings_are_not_taken(
    oneformer_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prepared(tmp_path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_assemble", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(params_for(oneformer_folder), "nyu", tmp_path)
    stricter = run(params_for(oneformer_folder, **{"teacher.min_confidence": 1.0}), "nyu", tmp_path)
    assert stricter["kept_share"] == 0.0


@pytest.mark.usefixtures("one_rank")
def test_truncated_frame_is_named_and_the_old_labels_stay(
    segformer_folder: Path, tmp_path: Path
) -> None:
    folder = write_prepared(tmp_path)
    out = tmp_path / "data/pseudo/nyu"
    out.mkdir(parents=True)
    (out / "index.json").write_text("old")
    prepared = Shards(folder)
    broken = tmp_path / "broken/data/prepared/nyu"
    broken.mkdir(parents=True)
    writer = ShardWriter(broken)
    for key in prepared.splits["test"]:
        members = prepared.read(key)
        if key == prepared.splits["test"][-1]:
            members["image.png"] = members["image.png"][:500]
        writer.add("test", key, members, prepared.info(key))
    writer.close(prepared.header)
    shutil.rmtree(folder)
    shutil.copytree(broken, folder)
    with pytest.raises(SymbioError, match=rf"frame {prepared.splits['test'][-1]}\.image"):
        run(params_for(segformer_folder), "nyu", tmp_path)
    assert contents(out) == {"index.json": b"old"}


def test_two_runs_of_one_data_set(segformer_folder: Path, tmp_path: Path) -> None:
    write_prepared(tmp_path)
    work = tmp_path / "data/.label-nyu"
    work.mkdir()
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SymbioError, match="another `symbio label` is at work"):
            run(params_for(segformer_folder), "nyu", tmp_path)


def test_missing_prepared_data_is_said(segformer_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match=r"data/prepared/nyu"):
        run(params_for(segformer_folder), "nyu", tmp_path)
