"""Is the depth in the unit that it should be in?"""

from __future__ import annotations

import numpy as np

from symbio.errors import SymbioError

FRAME_MEDIAN_M = {"nyu": (0.1, 20.0), "kitti": (1.0, 120.0)}
"""Outside these, the median depth (metres) of a single frame cannot be right."""
SET_MEDIAN_M = {"nyu": (0.7, 7.0), "kitti": (3.0, 45.0)}
"""Outside these, the median over frames of their median depth cannot be right."""
_ANY = (0.0, float("inf"))
"""Of a data set of one's own, whose reader compares each frame with its dataset.yaml."""
_EARLY = 32
_UNIT = {
    "nyu": "stored value / 1000 = metres",
    "kitti": "stored value / 256 = metres, 0 = no measurement",
}


class UnitCheck:
    """Watches the frames' median depths as they are stored."""

    def __init__(self, dataset: str, scale: int) -> None:
        self._dataset = dataset
        self._scale = scale
        self._medians_m: list[float] = []
        self._first = ""

    def add(self, source: str, median: int | None) -> None:
        """Note the median of a frame's stored depth values; None if it has no measurement.

        Raises:
            SymbioError: its depth, or that of the set so far, is absurd.
        """
        if median is None:
            return
        median_m = median / self._scale
        self._first = self._first or source
        low, high = FRAME_MEDIAN_M.get(self._dataset, _ANY)
        if not low <= median_m <= high:
            raise SymbioError(self._message(source, "the median depth", median_m, low, high))
        self._medians_m.append(median_m)
        if len(self._medians_m) == _EARLY:
            self.finish()

    def finish(self) -> None:
        """Raises SymbioError if the typical depth of all frames so far is absurd."""
        if not self._medians_m:
            return
        median_m = float(np.median(self._medians_m))
        low, high = SET_MEDIAN_M.get(self._dataset, _ANY)
        if not low <= median_m <= high:
            what = f"the typical median depth of {len(self._medians_m)} frames"
            raise SymbioError(self._message(f"{self._first} and others", what, median_m, low, high))

    def _message(self, where: str, what: str, found: float, low: float, high: float) -> str:
        return (
            f"{where}: {what} is {found:.3g} m, expected {low:g} to {high:g} m for "
            f"{self._dataset}; the files seem to be in another unit. Official files hold uint16, "
            f"{_UNIT[self._dataset]}: take those, or convert yours"
        )
