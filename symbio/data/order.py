"""The global order of training frames: a function of the seed and the position alone."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

_ORDER = 0x5EED


def epoch_of(position: int, num_frames: int) -> int:
    """Epoch (from 0) of a position in the endless global order."""
    return position // num_frames


def frame_at(seed: int, num_frames: int, position: int) -> int:
    """Index 0..num_frames-1 of the frame at `position` = step * batch + place in the batch.

    Every epoch is a permutation of its own, so each frame comes exactly once an epoch.
    """
    epoch, place = divmod(position, num_frames)
    return int(_permutation(seed, num_frames, epoch)[place])


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, num_frames: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([_ORDER, seed, epoch]).permutation(num_frames)
