"""Random numbers that depend on what is drawn for, never on who draws or when."""

from __future__ import annotations

import hashlib

import numpy as np


def rng_for(seed: int, stream: str, *counters: int) -> np.random.Generator:
    """A fresh generator for one purpose, e.g. `rng_for(seed, "augment", epoch, position)`.

    The same arguments give the same numbers in every process; different arguments give
    independent ones, because the 128-bit key of a counter-based generator (Philox) is a
    cryptographic hash of them. Neither rank, worker nor clock takes part.

    Args:
        seed: the run's seed.
        stream: what is drawn, so that two users of one position do not share numbers.
        counters: where in the run, e.g. epoch and position in the global order.
    """
    # repr keeps the fields apart: ("a", 1, 2) and ("a", 12) or ("a1", 2) are different texts.
    text = repr((int(seed), stream, *(int(counter) for counter in counters)))
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
