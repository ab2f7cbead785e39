"""A network's score as a function of which scenes are counted how often.

Every score here is a function of sums over frames: a mean of the frames' values, or, of classes, a
mean of ratios of pixels. So one table, a scene a row, gives the score of any resampled set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symbio.data.draws import rng_for
from symbio.evaluate.paired import RESAMPLES, SEED
from symbio.search.frames import ClassCounts, Frames, SplitFrames

Floats = NDArray[np.float64]

_POOLED = {"abs_rel": 1, "sq_rel": 1, "log10": 1, "d1": 1, "d2": 1, "d3": 1}
_POOLED |= {"official_sq_rel": 1, "rmse": 2, "rmse_log": 2, "irmse": 2}
"""Metrics that pixels pooled over frames give back from the frames' values: the power of which
those are means."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One network by one metric on one split."""

    table: Floats
    """(G, K) sums over the frames of each scene."""
    finish: Callable[[Floats], Floats]
    """(..., K) sums over scenes -> (...) scores."""
    counted: tuple[str, ...]
    """The G scenes, in ascending order; those with nothing to score are left out."""
    num_frames: int
    """That had something to score."""
    measured: tuple[str, ...]
    """What has to be the same where two are compared: data, protocol, frames, label space."""

    @property
    def score(self) -> float:
        """Over the frames as they are."""
        return float(self.finish(self.table.sum(axis=0)))

    def resampled(self, draws: Floats) -> Floats:
        """(R,) scores of (R, G) draws: how often each scene counts."""
        return self.finish(draws @ self.table)


def scored(frames: Frames, metric: str, split: str) -> Scored | str:
    """The scores of a measured network as a function of its scenes; or why there are none.

    Args:
        frames: as measured.
        metric: a depth metric of the protocol, or `miou` or `pixel_accuracy` behind `truth_` or
            `pseudo_`.
        split: "train", "val" or "test".
    """
    if split not in frames.splits:
        return f"no frames of {split} were measured"
    one = frames.splits[split]
    identity = (frames.dataset, frames.protocol, frames.data_sha256, frames.maps_sha256, *one.keys)
    if metric in one.metrics:
        pooled = frames.aggregation == "pooled"
        if pooled and metric not in _POOLED:
            return f"pooled over pixels, {metric} does not follow from the values of frames"
        return _depth(one, one.metrics[metric], _POOLED[metric] if pooled else None, identity)
    kind, _, score = metric.partition("_")
    if score not in ("miou", "pixel_accuracy"):
        return f"{metric} has no value for single frames"
    if kind not in one.classes:
        return f"the network predicts no classes, or {split} has no {kind} labels"
    counts = one.classes[kind]
    build = _miou if score == "miou" else _pixel_accuracy
    return build(one, counts, (*identity, counts.space))


def alike(one: Scored, other: Scored) -> bool:
    """Whether two networks were measured on the same frames, in the same way."""
    return (one.measured, one.counted) == (other.measured, other.counted)


def draws_of(num_scenes: int) -> Floats:
    """(RESAMPLES, G): how often each of G scenes comes when G are drawn with return.

    Always the same for the same G, so that all networks are scored on the same resampled frames.
    """
    draw = rng_for(SEED, "resampled scenes")
    evenly = np.full(num_scenes, 1 / num_scenes)
    return draw.multinomial(num_scenes, evenly, RESAMPLES).astype(np.float64)


def _depth(
    split: SplitFrames,
    values: Sequence[float | None],
    power: int | None,
    identity: tuple[str, ...],
) -> Scored | str:
    there = [place for place, pixels in enumerate(split.pixels) if pixels > 0]
    if not there:
        return "no frame has depth"
    numbers = [values[place] for place in there]
    if any(value is None for value in numbers):
        return "a prediction was not a number"
    found = np.array(numbers, np.float64)
    weights = np.array([split.pixels[place] for place in there], np.float64)
    if power is None:
        power, weights = 1, np.ones(len(there))
    columns = np.stack([found**power * weights, weights], axis=1)

    def finish(sums: Floats) -> Floats:
        mean: Floats = (sums[..., 0] / sums[..., 1]) ** (1 / power)
        return mean

    return _by_scene(split, there, columns, finish, identity)


def _miou(split: SplitFrames, counts: ClassCounts, identity: tuple[str, ...]) -> Scored | str:
    there = _labelled(counts)
    known = sorted({row[0] for place in there for row in counts.counts[place]})
    column = {label: place for place, label in enumerate(known)}
    table = np.zeros((len(there), 2, len(known)))
    for line, place in enumerate(there):
        for label, intersection, union in counts.counts[place]:
            table[line, :, column[label]] = intersection, union

    def finish(sums: Floats) -> Floats:
        pixels = sums.reshape(*sums.shape[:-1], 2, len(known))
        intersection, union = pixels[..., 0, :], pixels[..., 1, :]
        occurs = union > 0
        iou = np.divide(intersection, union, out=np.zeros_like(union), where=occurs)
        mean: Floats = iou.sum(axis=-1) / occurs.sum(axis=-1)
        return mean

    return _by_scene(split, there, table.reshape(len(there), -1), finish, identity)


def _pixel_accuracy(
    split: SplitFrames, counts: ClassCounts, identity: tuple[str, ...]
) -> Scored | str:
    there = _labelled(counts)
    hits = [sum(row[1] for row in counts.counts[place]) for place in there]
    columns = np.array([hits, [counts.pixels[place] for place in there]], np.float64).T

    def finish(sums: Floats) -> Floats:
        share: Floats = sums[..., 0] / sums[..., 1]
        return share

    return _by_scene(split, there, columns, finish, identity)


def _labelled(counts: ClassCounts) -> list[int]:
    return [place for place, pixels in enumerate(counts.pixels) if pixels > 0]


def _by_scene(
    split: SplitFrames,
    there: Sequence[int],
    columns: Floats,
    finish: Callable[[Floats], Floats],
    identity: tuple[str, ...],
) -> Scored | str:
    if not there:
        return "no frame is labelled"
    scenes, rows = np.unique([split.scenes[place] for place in there], return_inverse=True)
    table = np.zeros((len(scenes), columns.shape[1]))
    np.add.at(table, rows, columns)
    found = Scored(table, finish, tuple(scenes.tolist()), len(there), identity)
    return found if math.isfinite(found.score) else "the score is not a number"
