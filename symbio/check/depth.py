"""Depth that decodes well and is wrong all the same: another unit, or 8 bits in a 16-bit file."""

from __future__ import annotations

import numpy as np

from symbio.check.finding import Finding
from symbio.params import DatasetParams
from symbio.prepare.encode import Encoded
from symbio.prepare.entry import Plan
from symbio.prepare.statistics import quantile
from symbio.prepare.units import FRAME_MEDIAN_M, SET_MEDIAN_M

UNITS = {
    1: "whole metres",
    100: "centimetres",
    256: "1/256 m, as KITTI has",
    1000: "millimetres, as NYU has",
    5000: "1/5000 m, as TUM RGB-D has",
}
"""Units a metre that circulate, and what people call them."""
_EIGHT_BIT_STEPS = (257, 256)
"""What 8 bits become in a 16-bit file: repeated in both bytes, or shifted."""
_LEVELS_8_BIT = 256
_ENOUGH_PIXELS = 1_000_000
"""From here on few different values are no chance: a few small pictures may well have so few."""
_BEYOND = 1.25
_BEYOND_SHARE = 0.05


class DepthCheck:
    """Watches the depth of the frames one by one, and of all of them at the end."""

    def __init__(self, plan: Plan, section: DatasetParams) -> None:
        low, high = section.depth_range
        self._scale = plan.depth_scale
        self._frame_m = FRAME_MEDIAN_M.get(plan.dataset, (low, 2 * high))
        self._set_m = SET_MEDIAN_M.get(plan.dataset, (low, high))
        self._range_m = section.depth_range
        metres = np.arange(65536) / plan.depth_scale
        self._inside = (metres > low) & (metres < high)
        self._beyond = metres > _BEYOND * high
        self._medians: list[int] = []
        self._levels = np.zeros(65536, np.bool_)
        self._pixels = 0

    def add(self, frame: Encoded) -> list[Finding]:
        """What is odd about the depth of one frame."""
        counts, split, source = frame.depth_counts, frame.entry.split, frame.entry.source
        if not counts[self._inside].any():
            low, high = self._range_m
            what = f"no depth between {low:g} and {high:g} m"
            found = [Finding("no measurement", source, what, split)]
        else:
            found = []
        stored = np.flatnonzero(counts[1:]) + 1
        if not stored.size:
            return found
        self._levels[stored] = True
        self._pixels += int(counts[1:].sum())
        self._medians.append(quantile(counts, 0.5))
        if step := _eight_bit_step(stored):
            what = f"every value is a multiple of {step}: 8 bits, widened to 16"
            return [Finding("8-bit depth", source, what, split)]
        median_m = self._medians[-1] / self._scale
        low, high = self._frame_m
        if not low <= median_m <= high:
            what = f"the median depth is {median_m:.3g} m, expected {low:g} to {high:g} m"
            return [Finding("depth unit", source, what, split)]
        share = float(counts[self._beyond].sum() / counts[1:].sum())
        if share > _BEYOND_SHARE:
            what = f"{100 * share:.0f} % of its depth is beyond {_BEYOND * self._range_m[1]:g} m"
            found.append(Finding("depth beyond the range", source, what, split))
        return found

    def finish(self) -> list[Finding]:
        """What is odd about the depth of the set as a whole."""
        found = []
        if self._medians:
            median = float(np.median(self._medians))
            low, high = self._set_m
            if not low <= median / self._scale <= high:
                what = (
                    f"the typical median depth is {median / self._scale:.3g} m, expected {low:g} "
                    f"to {high:g} m at {self._scale} units a metre{self._guess(median)}"
                )
                found.append(Finding("depth unit", "all frames", what, ""))
        levels = int(self._levels.sum())
        if self._pixels > _ENOUGH_PIXELS and levels <= _LEVELS_8_BIT:
            what = f"all depth has only {levels} different values: it went through 8 bits"
            found.append(Finding("8-bit depth", "all frames", what, ""))
        return found

    def _guess(self, median: float) -> str:
        low, high = self._set_m
        middle = np.sqrt(low * high)
        fitting = [scale for scale in UNITS if low <= median / scale <= high]
        if not fitting:
            return ""
        best = min(fitting, key=lambda scale: abs(np.log(median / scale / middle)))
        return f"; it looks like {UNITS[best]}"


def _eight_bit_step(stored: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int | None:
    """The step of values that are all multiples of 257 or 256, which 16 bits never are alone."""
    if stored.size < 2:
        return None
    return next((step for step in _EIGHT_BIT_STEPS if not (stored % step).any()), None)
