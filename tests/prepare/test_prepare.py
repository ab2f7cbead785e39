"""The prepared folder as a whole: the same bytes whatever runs it, and a report that adds up."""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from symbio.data.dataset import load_frame
from symbio.data.shards import Shards
from symbio.params import load_params
from symbio.prepare import prepare as module
from symbio.prepare.encode import Encoded, encode
from symbio.prepare.parallel import ordered
from symbio.prepare.run import run
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer

Writer = Callable[[Path], object]
CASES: list[tuple[str, Writer]] = [
    ("nyu", official.nyu_labelled),
    ("nyu", official.nyu_sync),
    ("kitti", official.kitti),
]


@pytest.mark.parametrize(("dataset", "write"), CASES)
def test_bytes_do_not_depend_on_the_number_of_workers(
    preparer: Preparer, dataset: str, write: Writer
) -> None:
    write(preparer.raw)
    one = preparer.run(dataset, workers=1).bytes()
    two = preparer.run(dataset, workers=2).bytes()
    assert one == two
    assert {"index.json", "report.json", "report.html", "contact.png"} < set(one)


@pytest.mark.parametrize(("dataset", "write"), CASES)
def test_report_adds_up(preparer: Preparer, dataset: str, write: Writer) -> None:
    """Counts, range and valid share against Pillow's reading of the stored pictures."""
    write(preparer.raw)
    prepared = preparer.run(dataset)
    scale = prepared.index["header"]["depth_scale"]
    for split, keys in prepared.splits.items():
        found = prepared.report["splits"][split]
        stored = np.concatenate([prepared.pixels(k, "depth").ravel() for k in keys])
        measured = stored[stored > 0] / scale
        assert found["frames"] == len(keys)
        assert found["depth"]["valid_share"] == pytest.approx(len(measured) / len(stored))
        assert found["depth"]["min_m"] == measured.min()
        assert found["depth"]["max_m"] == measured.max()
        median = np.quantile(measured, 0.5, method="inverted_cdf")
        assert found["depth"]["quantiles_m"]["0.5"] == median
        inside = (measured <= found["depth"]["histogram"]["edges_m"][-1]).sum()
        assert sum(found["depth"]["histogram"]["pixels"]) == inside
    assert json.loads((prepared.folder / "report.json").read_text()) == prepared.report


def test_class_histogram_adds_up(preparer: Preparer) -> None:
    arrays = official.nyu_labelled(preparer.raw)
    prepared = preparer.run("nyu")
    classes = prepared.report["splits"]["test"]["classes"]
    labels = arrays["labels"][[2, 5]]
    # NYU40: floor is id 11 of the 894, wall is id 21.
    assert classes["pixels"]["wall"] == (labels == 21).sum()
    assert classes["pixels"]["floor"] == (labels == 11).sum()
    assert classes["not_scored"] == (labels == 0).sum()
    assert sum(classes["pixels"].values()) + classes["not_scored"] == labels.size


def test_symbio_reads_what_it_wrote(preparer: Preparer) -> None:
    arrays = official.nyu_labelled(preparer.raw)
    shards = Shards(preparer.run("nyu").folder)
    frame = load_frame(shards, "office-00004")
    assert np.array_equal(frame.depth_m, (arrays["mm"][4] / 1000).astype(np.float32))
    for split, keys in shards.splits.items():
        assert shards.header["splits_sha256"][split] == shards.split_sha256(split)
        assert keys


def test_contact_sheet_and_page_are_whole(preparer: Preparer) -> None:
    official.nyu_labelled(preparer.raw)
    prepared = preparer.run("nyu")
    with Image.open(prepared.folder / "contact.png") as sheet:
        sheet.load()
        assert sheet.width > 3 * 300
    page = (prepared.folder / "report.html").read_text()
    assert page.count("<img ") == 2
    for text in ("splits.mat", "48x64 (2)", "Nothing: every listed frame is stored."):
        assert text in page


def test_names_from_files_are_escaped_in_the_page(preparer: Preparer) -> None:
    official.nyu_sync(preparer.raw)
    name = "<script>alert(1)<"
    (preparer.raw / official.NYU_TRAIN).rename(preparer.raw / name)
    prepared = preparer.run("nyu", train_list=name)
    assert prepared.report["header"]["lists"]["train"]["file"] == name
    assert "<script>" not in (prepared.folder / "report.html").read_text()


def test_few_frames_are_in_memory_at_once(
    preparer: Preparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one worker: two that wait, the one that is stored, and the one that is encoded."""
    official.nyu_sync(preparer.raw)
    frames: list[weakref.ref[NDArray[np.int64]]] = []
    alive: list[int] = []

    def watched(*args: Any, **named: Any) -> Encoded:
        frame = encode(*args, **named)
        frames.append(weakref.ref(frame.depth_counts))
        alive.append(sum(ref() is not None for ref in frames))
        return frame

    monkeypatch.setattr(module, "encode", watched)
    preparer.run("nyu", workers=1, shard_bytes=20_000)
    assert len(frames) == 8
    assert max(alive) <= 4


def test_run_uses_the_fixed_paths(tmp_path: Path) -> None:
    params = load_params(Path(__file__).parents[2] / "symbio/presets/sample.yaml")
    official.nyu_labelled(tmp_path / params.nyu.raw)
    report = run(params, "nyu", tmp_path)
    index = json.loads((tmp_path / "data/prepared/nyu/index.json").read_text())
    assert index["header"] == report["header"]


def test_ordered_keeps_order_and_bounds_what_is_ahead() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            started.append(item)
        time.sleep(0.002 * (item % 3))
        return item * item

    results = []
    for result in ordered(work, range(40), workers=3):
        results.append(result)
        assert len(started) <= len(results) + 2 * 3
    assert results == [i * i for i in range(40)]


def test_ordered_raises_the_first_error_in_order() -> None:
    def work(item: int) -> int:
        if item >= 3:
            raise ValueError(item)
        return item

    results = ordered(work, range(100), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
