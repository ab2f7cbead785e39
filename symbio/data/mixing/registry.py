"""The mixes by name. A new one is a module of this package and a line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from symbio.data.frame import Batch
from symbio.data.mixing.classmix import classmix
from symbio.data.mixing.cutmix import cutmix
from symbio.data.mixing.depthmix import depthmix
from symbio.data.mixing.nearfarmix import nearfarmix
from symbio.data.mixing.random_regions import random_regions
from symbio.params import MixParams

Mix = Callable[[Batch, Batch, Sequence[np.random.Generator], MixParams], Batch]
"""mix(a, b, rngs, params): B mixed frames of B pairs, one generator a pair.

A mix draws from the generators on the host only, and pair i only from generator i, so that
its result depends neither on the device nor on how a batch is split.
"""

MIXES: dict[str, Mix] = {
    "nearfarmix": nearfarmix,
    "cutmix": cutmix,
    "classmix": classmix,
    "depthmix": depthmix,
    "random": random_regions,
}
