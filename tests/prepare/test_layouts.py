"""Every layout goes through check, prepare and evaluate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from symbio.check.check import check
from symbio.data.classes import label_space
from symbio.data.shards import Shards
from symbio.evaluate.evaluate import evaluate
from symbio.evaluate.examples import Source
from symbio.evaluate.predictors import constant_predictor
from symbio.evaluate.protocol import PROTOCOLS
from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer, section

GUESS_M = 5.0
SMALL, WHOLE = (24, 80), (375, 1242)
SIZES = (SMALL, WHOLE, WHOLE, SMALL, SMALL)
"""Gives the test frames of `official.kitti` the size that KITTI has, and few of the others."""


class Case(NamedTuple):
    """A layout, and how its test frames are scored."""

    dataset: str
    write: Callable[[Path], Any]
    truth: Callable[[Path], list[NDArray[Any]]]
    """Stored depth of the test frames, read from the official files."""
    protocol: str
    box: tuple[slice, slice]
    """What the protocol scores, as published: rows and columns."""


def _labelled(raw: Path) -> list[NDArray[Any]]:
    with h5py.File(raw / "nyu_depth_v2_labeled.mat") as file:
        return [np.rint(file["rawDepths"][i].T * 1000) for i in (2, 5)]


def _maps(pattern: str) -> Callable[[Path], list[NDArray[Any]]]:
    return lambda raw: [np.asarray(Image.open(path)) for path in sorted(raw.glob(pattern))]


def _selection(raw: Path) -> None:
    official.kitti(raw)
    official.kitti_selection(raw, size=(352, 1216))
    (raw / official.KITTI_TEST).unlink()


NYU_BOX = slice(45, 471), slice(41, 601)
CASES = {
    "labelled": Case(
        "nyu", lambda raw: official.nyu_labelled(raw, (480, 640)), _labelled, "nyu-eigen", NYU_BOX
    ),
    "sync": Case(
        "nyu",
        lambda raw: official.nyu_sync(raw, (480, 640)),
        _maps("official_splits/test/*/*.png"),
        "nyu-eigen",
        NYU_BOX,
    ),
    "annotated": Case(
        "kitti",
        lambda raw: official.kitti(raw, SIZES),
        _maps("data_depth_annotated/val/*_0002_sync/*/*/*/*.png"),
        "kitti-eigen-garg-kb",
        (slice(166, 372), slice(56, 1185)),
    ),
    "selection": Case(
        "kitti",
        _selection,
        _maps("depth_selection/val_selection_cropped/groundtruth_depth/*.png"),
        "kitti-official",
        (slice(None), slice(None)),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_from_official_files_to_scores(preparer: Preparer, case: Case) -> None:
    case.write(preparer.raw)
    checked = check(section(case.dataset), case.dataset, preparer.raw, 1)
    assert [finding for finding in checked.findings if finding.wrong] == []
    prepared = preparer.run(case.dataset)
    counts = {split: len(keys) for split, keys in prepared.splits.items()}
    assert {split: one["frames"] for split, one in checked.splits.items()} == counts

    shards = Shards(prepared.folder)
    source = Source(shards, None, label_space(shards.header["label_space"]), (64, 64))
    predictors = {"constant": constant_predictor(GUESS_M)}
    protocol = PROTOCOLS[case.protocol]
    scores = evaluate(predictors, source, prepared.splits["test"], protocol, 80.0).summary()

    scale, far = (1000, 10) if case.dataset == "nyu" else (256, 80)
    expected = []
    for stored in case.truth(preparer.raw):
        metres = stored[case.box].astype(np.float64) / scale
        metres = metres[(metres > 1e-3) & (metres < far)]
        expected.append(np.mean(np.abs(metres - GUESS_M) / metres))
    assert len(expected) == counts["test"] == 2
    assert scores["constant"]["abs_rel"] == pytest.approx(np.mean(expected), rel=1e-5)
