"""Frames and parameters for the tests of guide, mixes and augmentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from symbio.data.classes import IGNORE
from symbio.data.draws import rng_for
from symbio.data.frame import Batch
from symbio.params import MixParams


def params(**changes: Any) -> MixParams:
    """MixParams with the given fields changed; `low`, `high` and `mode` are the threshold's."""
    threshold = {
        "mode": changes.pop("mode", "quantile"),
        "low": changes.pop("low", 0.2),
        "high": changes.pop("high", 0.6),
    }
    fields = {
        "mix": "nearfarmix",
        "probability": 1.0,
        "threshold": threshold,
        "overlap": "nearest",
        "blend_alpha": 0.5,
        "guide_reach_px": 2,
    }
    return MixParams.model_validate(fields | changes)


def rngs(batch: Batch, seed: int = 0) -> list[np.random.Generator]:
    """Fresh generators, one a row."""
    return [rng_for(seed, "test", row) for row in range(len(batch))]


def frames(
    seed: int,
    size: tuple[int, int] = (7, 9),
    num: int = 3,
    measured: float = 1.0,
    ties: bool = True,
    parity: int = 0,
) -> Batch:
    """Random frames; `measured` is the share of pixels with depth.

    Depths are whole millimetres, with `ties` of few levels. Those of a batch are all even or
    all odd as `parity` says, so that frames of different parity have no depth in common.
    """
    rng = np.random.default_rng([seed, *size, num])
    shape = (num, *size)
    levels = rng.integers(1, 5 if ties else 4_000, size=shape) * 2 + parity
    depth = levels.astype(np.float32) / 1000 * (250 if ties else 1)
    depth[rng.random(shape) >= measured] = 0.0
    classes = np.array([0, 1, 2, 3, 40, 149, IGNORE], np.uint8)
    return Batch(
        torch.from_numpy(rng.integers(0, 256, size=(num, 3, *size), dtype=np.uint8)),
        torch.from_numpy(depth),
        torch.from_numpy(rng.choice(classes, size=shape)),
        torch.from_numpy(rng.integers(0, 256, size=shape, dtype=np.uint8)),
        tuple(f"{seed}-{row}" for row in range(num)),
    )


def equal(a: Batch, b: Batch) -> bool:
    """Whether all pixels are the same; keys aside."""
    return all(
        torch.equal(getattr(a, field), getattr(b, field))
        for field in ("image", "depth", "semantic", "confidence")
    )


def same_pixels(a: Batch, b: Batch, image: bool = True) -> torch.Tensor:
    """bool (B, H, W): depth, class, confidence and (`image`) colour of a pixel are the same."""
    same = (a.depth == b.depth) & (a.semantic == b.semantic) & (a.confidence == b.confidence)
    return same & (a.image == b.image).all(1) if image else same


@st.composite
def pairs(draw: st.DrawFn, distinct: bool = False) -> tuple[Batch, Batch]:
    """Two batches of one small random size, from empty through sparse to dense.

    All follows from one seed: drawn one by one, hypothesis would mostly choose empty frames.
    `distinct`: no depth of the first occurs in the second.
    """
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng([seed, 1])
    size = (int(rng.integers(1, 10)), int(rng.integers(1, 10)))
    num = int(rng.integers(1, 4))
    ties = bool(rng.random() < 0.5) and not distinct
    measured = rng.choice([0.0, 0.1, 0.3, 0.7, 1.0], size=2)
    return (
        frames(seed, size, num, measured[0], ties),
        frames(seed + 1, size, num, measured[1], ties, parity=int(distinct)),
    )
