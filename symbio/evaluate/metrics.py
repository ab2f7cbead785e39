"""Depth metrics, each with its direction, computed for whole batches from per-image sums.

Every metric here is a function of a few sums over an image's valid pixels. The sums are what is
computed (once), kept (as float64) and added up: mean-of-images and pooled protocols then differ
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
    maps = (prediction, truth, valid)
    if prediction.device.type != "cpu":
        return _sums(*maps)
    images = zip(*(torch.split(each, 1) for each in maps), strict=True)
    return torch.cat([_sums_by_strips(*image) for image in images])


_STRIP_PIXELS = 1 << 17
"""So many stay in a processor's cache, with all that is computed from them."""


def _sums_by_strips(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    rows = max(_STRIP_PIXELS // max(prediction.shape[2], 1), 1)
    strips = (torch.split(maps, rows, dim=1) for maps in (prediction, truth, valid))
    return torch.stack([_sums(*strip) for strip in zip(*strips, strict=True)]).sum(dim=0)


_BOUNDS = (1.25, 1.25**2, 1.25**3)


def _sums(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    p, g, counts = _filled(prediction, truth, valid)
    # The headline in float64; for the rest float32 is enough.
    exact = g.to(torch.float64, copy=True)
    sizes = p.to(torch.float64, copy=True).sub_(exact).div_(exact).abs_().sum(dim=1)
    error = p - g
    # A negative prediction (only an unclamped one can be) has no logarithm and hits nothing.
    positive = p.clamp_(min=0.0)
    ratio = positive / g
    factor = g / positive
    torch.maximum(ratio, factor, out=factor)
    # One place for all that is only added up: what is written again is still in the cache.
    scratch = torch.empty_like(error)
    # Filled pixels are perfect predictions: they add nothing but hits.
    unfilled = counts - p.shape[1]
    hits = [_hits(factor, positive, g, bound, scratch) + unfilled for bound in _BOUNDS]
    squares = _total(torch.mul(error, error, out=scratch))
    relative = torch.div(error, g, out=factor)
    relative_errors = _total(torch.mul(relative, error, out=scratch))
    relative_squares = _total(torch.mul(relative, relative, out=scratch))
    inverse = torch.div(relative, positive, out=error)
    log = ratio.log_()
    log_sizes = _total(torch.abs(log, out=scratch))
    # Of a mean square little may be left when the squared mean is taken away: added up as float64.
    exact.copy_(log)
    columns = [
        sizes,
        relative_errors,
        squares,
        exact.sum(dim=1),
        torch.bmm(exact[:, None], exact[:, :, None])[:, 0, 0],
        log_sizes,
        *hits,
        relative_squares,
        _total(torch.mul(inverse, inverse, out=scratch)),
    ]
    table = torch.stack(columns, dim=1)
    # The first column is NaN where a prediction is; hits would otherwise just miss it.
    table = table.masked_fill(table[:, :1].isnan(), math.nan)
    return torch.cat([counts[:, None], table], dim=1)


def _filled(prediction: Tensor, truth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels of each image in a row, (B, H * W), 1 where not valid; and the valid ones' number.

    By the bits: `torch.where` and picking pixels out take ten times as long on a processor.
    """
    double = torch.float64 in (prediction.dtype, truth.dtype)
    kind, bits = (torch.float64, torch.int64) if double else (torch.float32, torch.int32)
    keep = valid.to(bits)
    counts = keep.flatten(1).sum(dim=1, dtype=bits).double()
    keep.neg_()
    one = torch.ones((), dtype=kind, device=valid.device).view(bits)
    p, g = (
        (depth.to(kind).view(bits) ^ one).bitwise_and_(keep).bitwise_xor_(one).view(kind).flatten(1)
        for depth in (prediction, truth)
    )
    return p, g, counts


def _hits(factor: Tensor, p: Tensor, g: Tensor, bound: float, flags: Tensor) -> Tensor:
    """Pixels whose max(p/g, g/p) is below the bound, exactly; all (B, N), returns float64 (B,).

    `flags` is overwritten.
    """
    # Numbers as results: a comparison that makes truth values takes four times as long.
    hits = _total(torch.lt(factor, bound, out=flags))
    # Rounding moves a quotient onto a bound (which is a float32), and never across.
    at_bound = torch.eq(factor, bound, out=flags)
    if at_bound.sum() > 0:
        image, pixel = at_bound.nonzero(as_tuple=True)
        near, far = (depth[image, pixel].double() for depth in (p, g))
        below = (near < bound * far) & (far < bound * near)
        hits.index_add_(0, image, below.double())
    return hits


def _total(values: Tensor) -> Tensor:
    """Sum over the pixels of each image, (B, N) -> float64 (B,); torch adds up pairwise."""
    return values.sum(dim=1).double()


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
