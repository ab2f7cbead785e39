"""Initial weights that are a part's own: of the seed and its name, not of what was built before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from symbio.data.draws import rng_for

_SEEDS = 2**32


@contextmanager
def draws_of(part: str, seed: int) -> Iterator[None]:
    """Modules built inside the block draw their weights from `seed` and `part` alone.

    Two networks of one seed thus begin with equal weights wherever they have the same part, however
    else they differ: variants of an ablation are compared from the same start. The global random
    state is afterwards as it was before.

    Args:
        part: the name of the part in the network, such as `head_depth`.
        seed: the run's.
    """
    with torch.random.fork_rng(devices=[]):
        own = int(rng_for(seed, f"initial weights of {part}").integers(_SEEDS))
        # Not torch.manual_seed, which would seed the devices too.
        torch.default_generator.manual_seed(own)
        yield
