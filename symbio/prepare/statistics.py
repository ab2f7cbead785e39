"""Counts over the stored frames, exact and in integers, so that no order changes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import label_space
from symbio.prepare.encode import Encoded

_VALUES = 65536
_BINS = 50


@dataclass(slots=True)
class SplitStatistics:
    """What is counted of one split."""

    frames: int = 0
    frames_with_truth: int = 0
    frames_without_depth: int = 0
    pixels: int = 0
    depth_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_VALUES, np.int64))
    class_counts: NDArray[np.int64] | None = None
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    scenes: set[str] = field(default_factory=set)

    def add(self, frame: Encoded) -> None:
        """Count one frame."""
        self.frames += 1
        self.pixels += frame.size[0] * frame.size[1]
        self.depth_counts += frame.depth_counts
        self.frames_without_depth += not frame.depth_counts[1:].any()
        self.sizes[frame.size] = self.sizes.get(frame.size, 0) + 1
        self.scenes.add(frame.entry.scene)
        if frame.class_counts is not None:
            self.frames_with_truth += 1
            counts = frame.class_counts
            self.class_counts = counts if self.class_counts is None else self.class_counts + counts

    def merge(self, other: SplitStatistics) -> None:
        """Count the frames of `other` as well."""
        self.frames += other.frames
        self.frames_with_truth += other.frames_with_truth
        self.frames_without_depth += other.frames_without_depth
        self.pixels += other.pixels
        self.depth_counts += other.depth_counts
        if other.class_counts is not None:
            counts = other.class_counts
            self.class_counts = counts if self.class_counts is None else self.class_counts + counts
        for size, frames in other.sizes.items():
            self.sizes[size] = self.sizes.get(size, 0) + frames
        self.scenes |= other.scenes

    def as_json(self, scale: int, depth_range: tuple[float, float], labels: str) -> dict[str, Any]:
        """The counts as JSON; depth in metres (`scale` units each)."""
        return {
            "frames": self.frames,
            "scenes": len(self.scenes),
            "frames_with_truth": self.frames_with_truth,
            "frames_without_depth": self.frames_without_depth,
            "sizes": {f"{h}x{w}": n for (h, w), n in sorted(self.sizes.items())},
            "depth": self._depth(scale, depth_range),
            "classes": self._classes(labels),
        }

    def _depth(self, scale: int, depth_range: tuple[float, float]) -> dict[str, Any]:
        valid = int(self.depth_counts[1:].sum())
        share = valid / self.pixels if self.pixels else 0.0
        if not valid:
            return {"valid_share": share}
        metres = np.arange(_VALUES) / scale
        inside = (metres > depth_range[0]) & (metres < depth_range[1])
        edges = np.linspace(0.0, depth_range[1], _BINS + 1)
        histogram, _ = np.histogram(metres[1:], bins=edges, weights=self.depth_counts[1:])
        stored = np.flatnonzero(self.depth_counts[1:]) + 1
        return {
            "valid_share": share,
            "valid_share_in_range": float(self.depth_counts[inside].sum()) / self.pixels,
            "min_m": float(stored[0]) / scale,
            "max_m": float(stored[-1]) / scale,
            "quantiles_m": {
                f"{q:g}": quantile(self.depth_counts, q) / scale
                for q in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
            },
            "histogram": {"edges_m": edges.tolist(), "pixels": histogram.astype(int).tolist()},
        }

    def _classes(self, labels: str) -> dict[str, Any] | None:
        """Pixels of each class in the space in which people score, and those of no class."""
        if self.class_counts is None:
            return None
        space = label_space(labels)
        mapped = space.from_truth[: len(self.class_counts)]
        counts = np.bincount(mapped, weights=self.class_counts, minlength=256).astype(int)
        named = {name: int(count) for name, count in zip(space.names, counts, strict=False)}
        total = self.frames_with_truth and int(self.class_counts.sum())
        return {"pixels": named, "not_scored": total - sum(named.values())}


def quantile(depth_counts: NDArray[np.int64], share: float) -> int:
    """Smallest stored depth value that at least `share` of the measured pixels do not exceed."""
    cumulated = np.cumsum(depth_counts[1:])
    return int(np.searchsorted(cumulated, share * cumulated[-1])) + 1
