"""Depth evaluation protocols: named, frozen, stamped on every number that is stored.

Published numbers differ by as much through crops, caps and averaging as through methods. A
protocol fixes all three, and `require_same_measurement` refuses to compare across them.

Shapes: B images, H rows, W columns. Depth is in metres. Boxes are in pixels, half-open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from symbio.data import view
from symbio.errors import SymbioError


class Box(NamedTuple):
    """Rows top:bottom and columns left:right of a frame, half-open, pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels; never negative."""
        return max(self.bottom - self.top, 0), max(self.right - self.left, 0)

    def of(self, image: Tensor) -> Tensor:
        """The part of an (..., H, W) tensor inside the box; a view."""
        return image[..., self.top : self.bottom, self.left : self.right]

    def intersect(self, other: Box) -> Box:
        """The pixels in both boxes."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Box(top, max(bottom, top), left, max(right, left))

    def within(self, outer: Box) -> Box:
        """The same pixels, counted from the corner of `outer`."""
        top, left = outer.top, outer.left
        return Box(self.top - top, self.bottom - top, self.left - left, self.right - left)


def frame_box(height: int, width: int) -> Box:
    """The whole frame."""
    return Box(0, height, 0, width)


def nyu_eigen_box(height: int, width: int) -> Box:
    """Rows 45:471 and columns 41:601 of a 480x640 frame. Raises SymbioError on other sizes."""
    if (height, width) != (480, 640):
        raise SymbioError(
            f"the NYU Eigen crop is defined on 480x640 frames, found {height}x{width}; "
            "choose the protocol 'none' for frames of other sizes"
        )
    return Box(45, 471, 41, 601)


def kb_box(height: int, width: int) -> Box:
    """KITTI benchmark crop: 352x1216, at the bottom, centred. Raises SymbioError if too small."""
    if height < view.KB_CROP[0] or width < view.KB_CROP[1]:
        raise SymbioError(
            "the KITTI benchmark crop needs frames of at least {}x{}, found {}x{}; ".format(
                *view.KB_CROP, height, width
            )
            + "choose the protocol 'none' for frames of other sizes"
        )
    return Box(*view.kb_box(height, width))


def garg_box(height: int, width: int) -> Box:
    """Crop of Garg et al. (ECCV 2016), as fractions of the frame that it is given."""
    return Box(
        int(0.40810811 * height),
        int(0.99189189 * height),
        int(0.03594771 * width),
        int(0.96405229 * width),
    )


def garg_on_kb_box(height: int, width: int) -> Box:
    """Garg crop computed on the KITTI benchmark crop, in the coordinates of the full frame."""
    kb, garg = kb_box(height, width), garg_box(*view.KB_CROP)
    return Box(kb.top + garg.top, kb.top + garg.bottom, kb.left + garg.left, kb.left + garg.right)


_WINDOWS: dict[str, Callable[[int, int], Box]] = {
    "frame": frame_box,
    "nyu-eigen": nyu_eigen_box,
    "kb": kb_box,
    "garg": garg_box,
    "garg-on-kb": garg_on_kb_box,
}

EIGEN_METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "d1", "d2", "d3")
OFFICIAL_METRICS = ("official_silog", "official_sq_rel", "abs_rel", "irmse", "rmse")


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """Which pixels count, how predictions are bounded, and how images are averaged."""

    name: str
    summary: str
    dataset: str | None
    """The data set whose published numbers it makes; None: of any."""
    min_depth_m: float
    """Truth counts where it is above this; strict."""
    max_depth_m: float
    """Truth counts where it is below this; strict, so a saturated sensor value does not."""
    window: str
    """Name of the crop rule, a function of the frame's height and width."""
    clamp: bool
    """Predictions are bounded to [min_depth_m, max_depth_m] before they are scored."""
    aggregation: Literal["per-image", "pooled"]
    """Mean of the images' values, or one value over the pixels of all images."""
    metrics: tuple[str, ...] = EIGEN_METRICS

    def box(self, height: int, width: int) -> Box:
        """Pixels of a height x width frame that count.

        Raises:
            SymbioError: the crop is not defined on frames of this size.
        """
        return _WINDOWS[self.window](height, width)

    def valid(self, truth: Tensor) -> Tensor:
        """bool, where truth (metres, any shape) is a measurement inside the depth range."""
        # Comparing into numbers and then asking which are not 0 takes half the time on a processor.
        above = torch.gt(truth, self.min_depth_m, out=torch.empty_like(truth))
        below = torch.lt(truth, self.max_depth_m, out=torch.empty_like(truth))
        return above.mul_(below).bool()

    def limit(self, prediction: Tensor) -> Tensor:
        """Predictions (metres, any shape) as they are scored.

        Infinite and negative values are bounded, as every published evaluation does. NaN stays
        NaN: peers turn it into the smallest depth, which hides a broken network behind a
        finite number.
        """
        return prediction.clamp(self.min_depth_m, self.max_depth_m) if self.clamp else prediction

    def stamp(self) -> dict[str, Any]:
        """The definition as JSON; an absent bound is null."""
        bound = self.max_depth_m if math.isfinite(self.max_depth_m) else None
        return {
            "name": self.name,
            "summary": self.summary,
            "min_depth_m": self.min_depth_m,
            "max_depth_m": bound,
            "window": self.window,
            "clamp": self.clamp,
            "aggregation": self.aggregation,
            "metrics": list(self.metrics),
        }


_EIGEN_MIN_M = 1e-3

_ALL = (
    Protocol(
        name="nyu-eigen",
        summary="NYU-Depth-V2, 654 test images, Eigen crop 45:471 x 41:601, below 10 m",
        dataset="nyu",
        min_depth_m=_EIGEN_MIN_M,
        max_depth_m=10.0,
        window="nyu-eigen",
        clamp=True,
        aggregation="per-image",
    ),
    Protocol(
        name="nyu-multitask",
        summary="NYUDv2 multi-task (795/654): every measured pixel, pooled over the set",
        dataset="nyu",
        min_depth_m=0.0,
        max_depth_m=math.inf,
        window="frame",
        clamp=False,
        aggregation="pooled",
    ),
    Protocol(
        name="kitti-eigen-garg-kb",
        summary="KITTI Eigen test, Garg crop computed on the benchmark crop, below 80 m",
        dataset="kitti",
        min_depth_m=_EIGEN_MIN_M,
        max_depth_m=80.0,
        window="garg-on-kb",
        clamp=True,
        aggregation="per-image",
    ),
    Protocol(
        name="kitti-eigen-garg-full",
        summary="KITTI Eigen test, Garg crop computed on the full frame, below 80 m",
        dataset="kitti",
        min_depth_m=_EIGEN_MIN_M,
        max_depth_m=80.0,
        window="garg",
        clamp=True,
        aggregation="per-image",
    ),
    Protocol(
        name="kitti-official",
        summary="KITTI depth prediction devkit: benchmark crop, no cap, the devkit's metrics",
        dataset="kitti",
        min_depth_m=0.0,
        max_depth_m=math.inf,
        window="kb",
        clamp=False,
        aggregation="per-image",
        metrics=OFFICIAL_METRICS,
    ),
    Protocol(
        name="none",
        summary="every measured pixel that the network predicts, no crop, no cap",
        dataset=None,
        min_depth_m=_EIGEN_MIN_M,
        max_depth_m=math.inf,
        window="frame",
        clamp=True,
        aggregation="per-image",
    ),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}


def protocol_named(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        SymbioError: there is none; the message lists those that exist.
    """
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise SymbioError(f"protocol {name!r}: unknown; there are {', '.join(PROTOCOLS)}") from None


_IDENTITY = (
    "dataset",
    "protocol",
    "flip",
    "aggregation",
    "split",
    "split_sha256",
    "data_sha256",
    "num_images",
    "label_space",
    "maps_sha256",
)


_ABSENT = {"flip": False}
"""What a metrics file without the key says: those of trials know no mirrored views."""

_OF_CLASSES = ("label_space", "maps_sha256")


def require_same_measurement(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    what: str = "the two results",
    classes: bool = True,
) -> None:
    """Refuse to compare two metrics files that measure different things.

    Args:
        first: a metrics file.
        second: another.
        what: what messages call the two.
        classes: False compares depth alone, whichever classes were scored beside it.

    Raises:
        SymbioError: data set, its content, protocol, split, number of images or the classes' maps
            differ; names each of them.
    """
    keys = [key for key in _IDENTITY if classes or key not in _OF_CLASSES]
    pairs = {key: [one.get(key, _ABSENT.get(key)) for one in (first, second)] for key in keys}
    different = [f"{key} ({one!r} and {two!r})" for key, (one, two) in pairs.items() if one != two]
    if different:
        raise SymbioError(f"{what} cannot be compared: they differ in {', '.join(different)}")
