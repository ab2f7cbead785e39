"""The strongest predictors that look at nothing: what a network must beat.

The constant depth is the one with the lowest abs_rel on the very split that is scored: it has
seen the answers, so a network that does not beat it has learnt nothing of use. abs_rel of a
constant c is a weighted sum of |v - c| over the stored depths v (weight 1/v, divided by the
image's number of pixels when images are averaged), so its minimum is their weighted median. The
other metrics are those of the same constant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from symbio.data.images import decode_depth
from symbio.data.shards import Shards
from symbio.evaluate.confusion import Confusion
from symbio.evaluate.examples import scored_box
from symbio.evaluate.protocol import Protocol
from symbio.progress import track

_LEVELS = 2**16


def best_constant_depth(prepared: Shards, keys: list[str], protocol: Protocol) -> float | None:
    """The constant with the lowest abs_rel over the frames, metres; None without any depth.

    Raises:
        SymbioError: a depth map is broken, or the protocol is not defined on its size.
    """
    weights = np.zeros(_LEVELS)
    scale = np.float32(prepared.header["depth_scale"])
    metres = np.arange(_LEVELS, dtype=np.float32) / scale
    allowed = (metres > protocol.min_depth_m) & (metres < protocol.max_depth_m)
    for key in track(keys, "constant depth"):
        counts = _histogram(prepared, key, protocol) * allowed
        pixels = counts.sum() if protocol.aggregation == "per-image" else 1
        weights[1:] += counts[1:] / max(pixels, 1) / metres[1:]
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


def _histogram(prepared: Shards, key: str, protocol: Protocol) -> NDArray[np.int64]:
    """Pixels of each stored depth value among those that the protocol scores, (65536,)."""
    data = prepared.read_member(key, "depth.png") or b""
    depth = decode_depth(data, f"{prepared.folder}: frame {key}.depth.png")
    box = scored_box(protocol, prepared.header["dataset"], *depth.shape)
    inside = depth[box.top : box.bottom, box.left : box.right]
    return np.bincount(inside.ravel(), minlength=_LEVELS)
