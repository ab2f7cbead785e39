"""The strongest predictors that look at nothing: what a network must beat.

The constant depth is the one with the lowest abs_rel on the very split that is scored: it has
seen the answers, so a network that does not beat it has learnt nothing of use. abs_rel of a
constant c is a weighted sum of |v - c| over the stored depths v (weight 1/v, divided by the
image's number of pixels when images are averaged), so its minimum is their weighted median. The
other metrics are those of the same constant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from symbio.data.images import decode_depth
from symbio.data.members import read_member
from symbio.data.shards import Shards
from symbio.evaluate.confusion import Confusion
from symbio.evaluate.examples import scored_box
from symbio.evaluate.protocol import Protocol
from symbio.progress import track
from symbio.ranks.place import Place
from symbio.ranks.sharing import ALONE, agreed, summed_over_ranks

_LEVELS = 2**16
_WHOLE_FRAME = 2**45
"""Weight of a frame. Weights are integers, whose sum over frames and ranks has no order."""


def best_constant_depth(
    prepared: Shards,
    keys: list[str],
    protocol: Protocol,
    place: Place = ALONE,
    device: torch.device | str = "cpu",
) -> float | None:
    """As `best_constant_depths`, by one protocol."""
    return best_constant_depths(prepared, keys, [protocol], place, device)[0]


def best_constant_depths(
    prepared: Shards,
    keys: list[str],
    protocols: Sequence[Protocol],
    place: Place = ALONE,
    device: torch.device | str = "cpu",
) -> list[float | None]:
    """The constant with the lowest abs_rel over the frames, metres; None without any depth.

    Args:
        prepared: the frames.
        keys: all of them; every rank reads its share.
        protocols: which pixels count, and how frames are averaged; a constant for each, of one
            reading.
        place: which rank this is.
        device: where ranks can add up.

    Raises:
        SymbioError: a depth map is broken, or a protocol is not defined on its size.
    """
    scale = np.float32(prepared.header["depth_scale"])
    metres = np.arange(_LEVELS, dtype=np.float32) / scale

    def of_share() -> NDArray[np.int64]:
        total = np.zeros((len(protocols), _LEVELS), np.int64)
        share = keys[place.rank :: place.world]
        for key in track(share, "constant depth") if place.first else share:
            depth = _stored_depth(prepared, key)
            for weights, protocol in zip(total, protocols, strict=True):
                weights += _weights(prepared, depth, metres, protocol)
        return total

    total = summed_over_ranks(torch.from_numpy(agreed(of_share)), device).numpy()
    return [_best(metres, weights) for weights in total]


def _best(metres: NDArray[np.float32], total: NDArray[np.int64]) -> float | None:
    weights = np.zeros(_LEVELS)
    weights[1:] = total[1:] / metres[1:]
    return float(metres[weighted_median(weights)]) if weights.any() else None


def weighted_median(weights: NDArray[np.float64]) -> int:
    """The first index at which half of the weight is reached; minimises sum w_i |v_i - v_k|."""
    reached = np.cumsum(weights)
    return int(np.searchsorted(reached, reached[-1] / 2))


def most_frequent_class(confusion: Confusion) -> tuple[int, Confusion]:
    """The class with the most labelled pixels, and the scores of predicting it everywhere.

    No other constant class has a higher pixel accuracy or mean IoU on these pixels.
    """
    chosen = int(confusion.truth_pixels.argmax())
    matrix = np.zeros_like(confusion.matrix)
    matrix[:, chosen] = confusion.truth_pixels
    return chosen, Confusion(matrix)


def _stored_depth(prepared: Shards, key: str) -> NDArray[np.uint16]:
    data = read_member(prepared, key, "depth") or b""
    return decode_depth(data, f"{prepared.folder}: frame {key}.depth")


def _weights(
    prepared: Shards,
    depth: NDArray[np.uint16],
    metres: NDArray[np.float32],
    protocol: Protocol,
) -> NDArray[np.int64]:
    """Weight of each stored depth value in a frame, by the pixels that count, (65536,)."""
    box = scored_box(protocol, prepared.header["dataset"], *depth.shape)
    inside = depth[box.top : box.bottom, box.left : box.right]
    counts = np.bincount(inside.ravel(), minlength=_LEVELS)
    counts *= (metres > protocol.min_depth_m) & (metres < protocol.max_depth_m)
    if protocol.aggregation == "per-image":
        counts = np.rint(counts * (_WHOLE_FRAME / max(counts.sum(), 1))).astype(np.int64)
    return counts
