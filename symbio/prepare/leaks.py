"""The same picture in two splits, also when it was compressed again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from symbio.errors import SymbioError

_NEAR = 1.0
"""Mean difference (grey levels) of two thumbnails below which the pictures look the same."""
_COARSE = 12


class LeakCheck:
    """Remembers a digest and a thumbnail of each frame."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[str, str]] = {}
        self._thumbs: dict[str, list[NDArray[np.uint8]]] = {}
        self._sources: dict[str, list[str]] = {}

    def add(self, split: str, source: str, sha256: bytes, thumb: NDArray[np.uint8]) -> None:
        """Note a frame by the SHA-256 of its pixels and its thumbnail (16, 16, 3).

        Raises:
            SymbioError: the very same pixels are in another split.
        """
        other_split, other = self._seen.setdefault(sha256, (split, source))
        if other_split != split:
            raise SymbioError(
                f"{source} of split {split} holds the same pixels as {other} of split "
                f"{other_split}; scores would be of frames seen in training: take one of "
                "the two out of its list"
            )
        self._thumbs.setdefault(split, []).append(thumb)
        self._sources.setdefault(split, []).append(source)

    def lookalikes(self) -> list[str]:
        """Pairs of frames in two splits that are alike but for compression; for the report.

        Only a hint: two plain pictures may look alike on so few pixels.
        """
        found = []
        splits = sorted(self._thumbs)
        for place, one in enumerate(splits):
            for other in splits[place + 1 :]:
                found += self._between(one, other)
        return found

    def _between(self, one: str, other: str) -> list[str]:
        from scipy.spatial import cKDTree

        first, second = (np.array(self._thumbs[s], np.float32) for s in (one, other))
        # A mean of block means differs by no more than the pixels do: few dimensions find the
        # candidates, the whole thumbnails decide.
        reach = _NEAR * _COARSE
        coarse_first, coarse_second = cKDTree(_coarse(first)), cKDTree(_coarse(second))
        pairs = coarse_first.query_ball_tree(coarse_second, reach, p=1)
        return [
            f"{self._sources[one][i]} ({one}) and {self._sources[other][j]} ({other})"
            for i, neighbours in enumerate(pairs)
            for j in sorted(neighbours)
            if np.abs(first[i] - second[j]).mean() < _NEAR
        ]


def _coarse(thumbs: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 16, 16, 3) to the means of 2 x 2 blocks, (N, 12)."""
    blocks: NDArray[np.float32] = thumbs.reshape(-1, 2, 8, 2, 8, 3).mean(axis=(2, 4))
    return blocks.reshape(-1, _COARSE)
