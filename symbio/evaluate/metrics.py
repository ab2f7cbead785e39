"""Depth metrics, each with its direction, computed for whole batches from per-image sums.

Every metric here is a function of a few sums over an image's valid pixels. The sums are what is
computed (once, in float64), kept and added up: mean-of-images and pooled protocols then differ
only in where the division happens.

With g the truth and p the limited prediction in metres, d = ln p - ln g, E the mean over valid
pixels (definitions of Eigen et al., NIPS 2014, as scored by BTS, AdaBins, NeWCRFs and ZoeDepth):
abs_rel E|g-p|/g; sq_rel E(g-p)^2/g [m]; rmse sqrt E(g-p)^2 [m]; rmse_log sqrt E d^2;
log10 E|log10 p - log10 g|; silog 100 sqrt(E d^2 - (E d)^2); d_k share of max(p/g, g/p) < 1.25^k.
The KITTI devkit's own: official_silog E d^2 - (E d)^2; official_sq_rel E(g-p)^2/g^2;
irmse sqrt E(1/p - 1/g)^2 [1/km].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from symbio.errors import SymbioError

SUMS = (
    "pixels",
    "abs_rel",
    "sq_rel",
    "sq",
    "log",
    "log_sq",
    "log_abs",
    "d1",
    "d2",
    "d3",
    "sq_rel_sq",
    "inverse_sq",
)
"""What `depth_sums` adds up, in the order of its columns."""

NUM_SUMS = len(SUMS)
_COLUMN = {name: column for column, name in enumerate(SUMS)}


@dataclass(frozen=True, slots=True)
class Metric:
    """A number by which networks are compared: what it is called and which way is better."""

    name: str
    higher_is_better: bool
    unit: str = ""

    @property
    def worst(self) -> float:
        """The value that nothing is worse than."""
        return -math.inf if self.higher_is_better else math.inf

    def better(self, candidate: float | None, reference: float | None) -> bool:
        """Whether `candidate` is strictly better than `reference`.

        NaN, infinite and missing (None) candidates are never better than anything; any finite
        candidate is better than such a reference.
        """
        if not _is_number(candidate):
            return False
        if not _is_number(reference):
            return True
        return candidate > reference if self.higher_is_better else candidate < reference


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


_LOWER = {
    "abs_rel": "",
    "sq_rel": "m",
    "rmse": "m",
    "rmse_log": "",
    "log10": "",
    "silog": "",
    "official_silog": "",
    "official_sq_rel": "",
    "irmse": "1/km",
}
_HIGHER = ("d1", "d2", "d3", "miou", "miou_reachable", "pixel_accuracy", "mean_accuracy")

METRICS: dict[str, Metric] = {
    **{name: Metric(name, higher_is_better=False, unit=unit) for name, unit in _LOWER.items()},
    **{name: Metric(name, higher_is_better=True) for name in _HIGHER},
}


def metric_named(name: str) -> Metric:
    """The metric of this name; `truth_miou` and `pseudo_miou` are found as `miou`.

    Raises:
        SymbioError: there is none; the message lists those that exist.
    """
    plain = name.removeprefix("truth_").removeprefix("pseudo_")
    try:
        return METRICS[plain]
    except KeyError:
        raise SymbioError(f"metric {name!r}: unknown; there are {', '.join(METRICS)}") from None


def depth_sums(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Sums over the valid pixels of each image, from which every metric follows.

    Args:
        prediction: floating (B, H, W), metres, already limited by the protocol.
        truth: floating (B, H, W), metres, positive wherever `valid`.
        valid: bool (B, H, W), the pixels that count.

    Returns:
        float64 (B, len(SUMS)). The row of an image without valid pixels is 0. A NaN among an
        image's counted predictions makes every sum of its row NaN, the number of pixels aside.
    """
    # One image at a time stays in a processor's cache; a GPU takes the batch at once.
    share = 1 if prediction.device.type == "cpu" else max(len(prediction), 1)
    parts = (torch.split(maps, share) for maps in (prediction, truth, valid))
    return torch.cat([_sums(*part) for part in zip(*parts, strict=True)])


_BOUNDS = (1.25, 1.25**2, 1.25**3)


def _sums(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    counts = valid.sum(dim=(1, 2))
    p, g = (_pack(depth, valid, counts.tolist()) for depth in (prediction, truth))
    error = p - g
    # A negative prediction (only an unclamped one can be) has no logarithm and hits nothing.
    positive = p.clamp_(min=0.0)
    ratio = positive / g
    factor = g / positive
    torch.maximum(factor, ratio, out=factor)
    # Depths of float32 miss a bound by far more than float64 rounds a ratio: `<` is exact.
    hits = [(factor < bound).sum(dim=1) for bound in _BOUNDS]
    log = ratio.log_()
    relative = error / g
    inverse = torch.div(relative, positive, out=factor)
    columns = [
        torch.linalg.vector_norm(relative, 1, dim=1),
        _dot(relative, error),
        _dot(error, error),
        log.sum(dim=1),
        _dot(log, log),
        torch.linalg.vector_norm(log, 1, dim=1),
        # Padding with 1 on both sides is a perfect prediction: it adds nothing but hits.
        *((hit - (p.shape[1] - counts)).double() for hit in hits),
        _dot(relative, relative),
        _dot(inverse, inverse),
    ]
    table = torch.stack(columns, dim=1)
    # The first column is NaN where a prediction is; hits would otherwise just miss it.
    table = table.masked_fill(table[:, :1].isnan(), math.nan)
    return torch.cat([counts.double()[:, None], table], dim=1)


def _pack(depth: Tensor, valid: Tensor, counts: list[int]) -> Tensor:
    """Valid pixels of each image in a row, float64 (B, max count), padded with 1."""
    packed = torch.masked_select(depth, valid).double()
    if len(counts) == 1:
        return packed[None]
    return pad_sequence(list(torch.split(packed, counts)), True, 1.0)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Sum over pixels of a * b, both (B, N), without the product in memory; (B,)."""
    return torch.bmm(a[:, None], b[:, :, None])[:, 0, 0]


def metrics_from_sums(sums: Tensor, names: tuple[str, ...]) -> Tensor:
    """Metrics of images (or of pixels pooled over images, if sums were added up before).

    Args:
        sums: float64 (..., len(SUMS)).
        names: which metrics, see METRICS.

    Returns:
        float64 (..., len(names)); NaN where there was no valid pixel.
    """
    means = sums / sums[..., :1]
    return torch.stack([_FORMULAS[name](means) for name in names], dim=-1)


def _mean(name: str) -> Callable[[Tensor], Tensor]:
    column = _COLUMN[name]
    return lambda means: means[..., column]


def _root(name: str, scale: float = 1.0) -> Callable[[Tensor], Tensor]:
    column = _COLUMN[name]
    return lambda means: scale * means[..., column].sqrt()


def _log_variance(means: Tensor) -> Tensor:
    # Rounding can leave a variance of zero slightly negative; clamping keeps a NaN.
    variance = means[..., _COLUMN["log_sq"]] - means[..., _COLUMN["log"]].square()
    return variance.clamp(min=0.0)


_FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    **{name: _mean(name) for name in ("abs_rel", "sq_rel", "d1", "d2", "d3")},
    "rmse": _root("sq"),
    "rmse_log": _root("log_sq"),
    "log10": lambda means: means[..., _COLUMN["log_abs"]] / math.log(10.0),
    "silog": lambda means: 100.0 * _log_variance(means).sqrt(),
    "official_silog": _log_variance,
    "official_sq_rel": _mean("sq_rel_sq"),
    "irmse": _root("inverse_sq", 1000.0),
}
