"""Mix a share of a batch's frames with their partners."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from symbio.data.draws import rng_for
from symbio.data.frame import Batch
from symbio.data.mixing.registry import MIXES
from symbio.errors import SymbioError
from symbio.params import MixParams


def mix_rng(seed: int, epoch: int, position: int) -> np.random.Generator:
    """The generator of the mix at one position of the global order."""
    return rng_for(seed, "mix", epoch, position)


def mixes(seed: int, epoch: int, position: int, probability: float) -> bool:
    """Whether `apply_mix` will mix the frame at this position, without loading anything."""
    return _drawn(mix_rng(seed, epoch, position), probability)


def partner_position(position: int, batch: int) -> int:
    """Position of a frame's partner: the next frame of its global batch, the first's for the last.

    Args:
        position: in the global order, step · batch + index in the global batch.
        batch: frames in a global batch, over all ranks.
    """
    step, index = divmod(position, batch)
    return step * batch + (index + 1) % batch


def apply_mix(
    own: Batch, partner: Batch, rngs: Sequence[np.random.Generator], params: MixParams
) -> Batch:
    """Mix each frame with probability `params.probability`, leave the others as they are.

    Args:
        own: B frames.
        partner: B frames of the same size, on the same device: row i is for row i of `own`.
            Rows of frames that `mixes` says no to are not looked at.
        rngs: fresh generators, row i from `mix_rng(seed, epoch, position of row i)`.
        params: the mix and its parameters.

    Returns:
        B frames; the key of a mixed one is "own+partner".

    Raises:
        SymbioError: `nearfarmix.mix` is neither `none` nor a registered mix.
    """
    assert len(own) == len(partner) == len(rngs), "one partner and one generator a frame"
    if params.mix == "none":
        return own
    if params.mix not in MIXES:
        raise SymbioError(
            f"nearfarmix.mix: no mix {params.mix!r}; there are none, {', '.join(MIXES)}"
        )
    chosen = [row for row, rng in enumerate(rngs) if _drawn(rng, params.probability)]
    if not chosen:
        return own
    mix = MIXES[params.mix]
    if len(chosen) == len(own):
        return mix(own, partner, rngs, params)
    mixed = mix(own.rows(chosen), partner.rows(chosen), [rngs[row] for row in chosen], params)
    return _put(own, mixed, chosen)


def _drawn(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def _put(batch: Batch, mixed: Batch, rows: list[int]) -> Batch:
    """A copy of `batch` with `mixed` in the given rows."""
    index = torch.tensor(rows, device=batch.depth.device)
    keys = list(batch.keys)
    for row, key in zip(rows, mixed.keys, strict=True):
        keys[row] = key
    return Batch(
        batch.image.index_copy(0, index, mixed.image),
        batch.depth.index_copy(0, index, mixed.depth),
        batch.semantic.index_copy(0, index, mixed.semantic),
        batch.confidence.index_copy(0, index, mixed.confidence),
        tuple(keys),
    )
