"""One rank of a measurement: its share of the frames; the first rank writes what all found.

Protocol, view of a frame, arithmetic and pictures are those of `symbio evaluate`. Frames go
through the network one by one, so that no number depends on which others are measured, or on how
many ranks.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from symbio.data.classes import maps_sha256
from symbio.evaluate.accumulate import SemanticScores
from symbio.evaluate.evaluate import Evaluation, Scores, score_together
from symbio.evaluate.examples import Source
from symbio.evaluate.held_out import PICTURES, held_out, save_picture
from symbio.evaluate.panels import panel
from symbio.evaluate.parallel import in_parallel, one_thread_an_operation
from symbio.evaluate.predictors import Predictor, network_predictor
from symbio.evaluate.protocol import Protocol
from symbio.evaluate.rank import open_split
from symbio.evaluate.run import task_of
from symbio.files import whole_folder
from symbio.model.saved import load_network
from symbio.params import Params
from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.entry import be_a_rank
from symbio.ranks.place import Place
from symbio.ranks.sharing import ALONE, agreed, gathered
from symbio.ranks.stop import StopRequest
from symbio.search.frames import (
    FRAMES_FILE,
    ClassCounts,
    Frames,
    Number,
    SplitFrames,
    write_frames,
)

SPLITS = ("train", "val", "test")
KINDS = ("truth", "pseudo")
"""Of labels that classes are compared with."""

_NETWORK = "trained"
_FRAMES_ON_A_GPU = 4
"""Worked on at a time: while one is predicted, others are decoded and scored."""


def measure(
    params: Params,
    dataset: str,
    root: Path,
    place: Place = ALONE,
    device: torch.device | None = None,
) -> Frames:
    """Take part in the measurement of a trial as one of its ranks, the process group being open.

    Args:
        params: of the trial; they name the protocol. Size and depth range are the network's own.
        dataset: nyu, kitti or a key of `custom`.
        root: the trial's folder.
        place: which rank this is; the first one writes the file, and `pictures/` of the held-out
            frames of the test split.
        device: where the network runs; None: the GPU, or the CPU where there is none.

    Returns:
        The content of the file, the same on all ranks and for any number of them.

    Raises:
        SymbioError: something is missing or broken, on this rank or another.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    begun = time.monotonic()
    with one_thread_an_operation() as threads:
        workers = threads if device.type == "cpu" else _FRAMES_ON_A_GPU
        frames = _measured(params, dataset, root, place, device, workers)
    if place.first:
        write_frames(root / FRAMES_FILE, frames)
        count = sum(len(split.keys) for split in frames.splits.values())
        say(f"{root / FRAMES_FILE}: {count} frames in {time.monotonic() - begun:.1f} s")
    return frames


def main(params: Params, dataset: str, root: Path) -> int:
    """Be the rank that the environment says; returns the exit code."""

    def work(place: Place, stop: StopRequest) -> int:
        # Nothing is half-written and there is no state to save: a signal just ends it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        device = group.device_of(place)
        group.join(place, device)
        measure(params, dataset, root, place, device)
        return 0

    return be_a_rank(work)


def _measured(
    params: Params, dataset: str, root: Path, place: Place, device: torch.device, workers: int
) -> Frames:
    task = task_of(params, dataset, root, None, SPLITS[0])
    network, card = agreed(lambda: load_network(task.model, device))
    sources = agreed(lambda: _opened(params, dataset, root, card))
    work = _Work(network_predictor(network), task.protocol, float(card["depth_range"][1]), device)
    splits = {
        split: work.score(source, keys, place, workers) for split, (source, keys) in sources.items()
    }
    if place.first and "test" in sources:
        work.draw(*sources["test"], root / PICTURES)
    source, _ = next(iter(sources.values()))
    return Frames(
        model=card["weights_sha256"],
        dataset=dataset,
        protocol=task.protocol.name,
        aggregation=task.protocol.aggregation,
        data_sha256=source.prepared.digest(),
        maps_sha256=maps_sha256(),
        splits=splits,
    )


def _opened(
    params: Params, dataset: str, root: Path, card: Mapping[str, Any]
) -> dict[str, tuple[Source, list[str]]]:
    """Frames of each split that has any."""
    sources = {}
    source, train = open_split(task_of(params, dataset, root, None, "train"), card)
    there = source.prepared.splits
    for split in SPLITS[1:]:
        if there.get(split):
            sources[split] = open_split(task_of(params, dataset, root, None, split), card)
    sample = evenly(train, len(there.get("val", [])))
    return {"train": (source, sample), **sources} if sample else sources


def evenly(keys: list[str], count: int) -> list[str]:
    """`count` of the keys, or all where there are fewer, at even distances and in their order.

    The first is half a distance from the start: neither end of a list is more likely to be taken.
    """
    count = min(count, len(keys))
    return [keys[(2 * place + 1) * len(keys) // (2 * count)] for place in range(count)]


@dataclass(frozen=True, slots=True)
class _Row:
    """One frame."""

    pixels: int
    metrics: dict[str, float]
    classes: dict[str, tuple[int, list[list[int]]]]
    """Kind of label -> labelled pixels, and [class, intersection, union] of those that occur."""


@dataclass(frozen=True, slots=True)
class _Work:
    """How a frame is scored."""

    predict: Predictor
    protocol: Protocol
    max_depth_m: float
    device: torch.device

    def draw(self, source: Source, keys: list[str], folder: Path) -> None:
        """Write the pictures of the held-out frames, by the names that every evaluation uses."""
        with whole_folder(folder) as aside:
            for key in held_out(keys):
                picture = panel(self.predict, source, self.protocol, key, self.device)
                save_picture(aside, source.prepared, key, picture)

    def score(self, source: Source, keys: list[str], place: Place, workers: int) -> SplitFrames:
        """Score the frames, this rank's share of them, and bring all shares together."""

        def one(key: str) -> Evaluation:
            network = {_NETWORK: self.predict}
            return score_together(
                network, source, [key], self.protocol, self.max_depth_m, self.device
            )

        def share() -> tuple[dict[str, _Row], Scores | None]:
            rows: dict[str, _Row] = {}
            total: Scores | None = None
            mine = keys[place.rank :: place.world]
            for key, part in zip(mine, in_parallel(one, mine, workers), strict=True):
                scores = part.scores[_NETWORK]
                rows[key] = _row(key, scores)
                if total is None:
                    total = scores
                else:
                    total.merge(scores)
            return rows, total

        rows: dict[str, _Row] = {}
        found = []
        for part, scores in gathered(agreed(share)):
            rows |= part
            found += [] if scores is None else [scores]
        for other in found[1:]:
            found[0].merge(other)
        totals = Evaluation(source, self.protocol, {_NETWORK: found[0]}).summary()[_NETWORK]
        return _split(source, [rows[key] for key in keys], keys, totals, self.protocol.metrics)


def _row(key: str, scores: Scores) -> _Row:
    depth = scores.depth.per_frame()[key]
    kinds = {kind: getattr(scores, kind) for kind in KINDS}
    return _Row(
        int(depth.pop("pixels")),
        depth,
        {kind: _counts(one) for kind, one in kinds.items() if one.num_pixels},
    )


def _counts(scores: SemanticScores) -> tuple[int, list[list[int]]]:
    confusion = scores.confusion()
    union = confusion.truth_pixels + confusion.predicted_pixels - confusion.hits
    occurring = union.nonzero()[0]
    columns = (occurring, confusion.hits[occurring], union[occurring])
    return scores.num_pixels, [
        list(row) for row in zip(*(c.tolist() for c in columns), strict=True)
    ]


def _split(
    source: Source,
    rows: list[_Row],
    keys: list[str],
    totals: Mapping[str, float],
    metrics: Sequence[str],
) -> SplitFrames:
    kinds = [kind for kind in KINDS if any(kind in row.classes for row in rows)]
    spaces = {"truth": source.space.name, "pseudo": source.space.predicted.name}
    counts = {kind: [row.classes.get(kind, (0, [])) for row in rows] for kind in kinds}
    infos = [source.prepared.info(key) for key in keys]
    return SplitFrames(
        keys=keys,
        scenes=[str(info.get("scene", key)) for key, info in zip(keys, infos, strict=True)],
        pixels=[row.pixels for row in rows],
        metrics={name: [_number(row.metrics[name]) for row in rows] for name in metrics},
        totals={name: _number(value) for name, value in totals.items()},
        classes={
            kind: ClassCounts(spaces[kind], [one[0] for one in frames], [one[1] for one in frames])
            for kind, frames in counts.items()
        },
    )


def _number(value: float) -> Number:
    return value if math.isfinite(value) else None
