"""ClassMix (Olsson et al., WACV 2021): half of one frame's classes on another frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from symbio.data.classes import IGNORE, NUM_CLASSES
from symbio.data.frame import Batch
from symbio.data.mixing.compose import compose
from symbio.params import MixParams


def classmix(a: Batch, b: Batch, rngs: Sequence[np.random.Generator], params: MixParams) -> Batch:
    """Paste half of the classes in `a`, drawn at random, on `b`; B pairs, keys "a+b".

    Half of an odd number is rounded up (ours), so that a frame of one class is pasted too.
    Pixels without a label are never pasted. Depth is not looked at and no parameter counts.
    """
    order = np.stack([rng.permutation(NUM_CLASSES) for rng in rngs])
    chosen = _half(_present(a.semantic), torch.from_numpy(order).to(a.semantic.device))
    # Ignored pixels look up a last column that is never chosen.
    chosen = torch.nn.functional.pad(chosen, (0, IGNORE + 1 - NUM_CLASSES), value=False)
    from_a = chosen.gather(1, a.semantic.flatten(1).long()).view_as(a.semantic)
    return compose(a, b, ~from_a)


def _present(semantic: Tensor) -> Tensor:
    """bool (B, 150): which classes a frame has."""
    found = torch.zeros(
        len(semantic), IGNORE + 1, dtype=torch.bool, device=semantic.device
    ).scatter_(1, semantic.flatten(1).long(), True)
    return found[:, :NUM_CLASSES]


def _half(present: Tensor, order: Tensor) -> Tensor:
    """bool (B, 150): the first half of the present classes in the given random order.

    Absent classes may count as chosen too: no pixel has them.
    """
    shuffled = present.gather(1, order)
    first = shuffled.cumsum(1) <= (shuffled.sum(1, keepdim=True) + 1) // 2
    return torch.zeros_like(present).scatter_(1, order, first)
