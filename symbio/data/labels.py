"""The teacher's labels as training uses them: a share of the frames, disturbed, or the surest ones.

What is changed here is changed for everything in training, the mixes included: a frame that is
left out counts as never labelled, and a worse teacher misleads ClassMix as it misleads the loss.
Validation and evaluation compare with the teacher's labels as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import IGNORE, NUM_CLASSES, class_space
from symbio.data.dataset import Label, load_pseudo
from symbio.data.draws import rng_for
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.params import LabelsParams

_FRAMES_LOOKED_AT = 64
"""Frames, evenly spaced, whose classes a disturbed region may get."""


class TrainingLabels:
    """The labels of a split's frames, still in ADE20K.

    Which frames and regions are meant depends on `seed` and their keys alone: two runs of one seed
    that differ in anything else use the same. The frames of a smaller share are among those of a
    larger one, and the regions that little noise disturbs are disturbed alike by more.
    """

    def __init__(
        self, pseudo: Shards, keys: Sequence[str], params: LabelsParams, seed: int
    ) -> None:
        """Choose the frames.

        Args:
            pseudo: pseudo-labels of at least the chosen ones of `keys`.
            keys: frames of the split, in its order.
            params: the section `labels`.
            seed: the run's.

        Raises:
            SymbioError: a chosen frame has no pseudo-label.
        """
        self.keys = chosen_frames(keys, params.share, seed)
        """Frames whose labels are used, in the split's order."""
        self._pseudo = pseudo
        self._params = params
        self._seed = seed
        self._chosen = frozenset(self.keys)
        missing = [key for key in self.keys if key not in pseudo]
        if missing:
            raise SymbioError(
                f"{pseudo.folder}: no pseudo-label for {len(missing)} frames, first "
                f"{missing[0]!r}; run `symbio label {pseudo.header['dataset']}`"
            )
        self._space = class_space(params.space).from_ade20k
        self._occurring = self._look_for_classes() if params.noise > 0 else np.empty(0, np.intp)

    def load(self, key: str) -> Label | None:
        """Class and confidence of one frame at full size; None where its label is not used.

        Raises:
            SymbioError: the pseudo-label is broken.
        """
        if key not in self._chosen:
            return None
        label, confidence = load_pseudo(self._pseudo, key)
        if self._params.noise > 0:
            label = self._disturbed(key, label)
        if self._params.min_confidence > 0:
            unsure = confidence < self._params.min_confidence * 255
            label = np.where(unsure, np.uint8(IGNORE), label)
        return label, confidence

    def _disturbed(self, key: str, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give some classes of the frame another one; never one that the space takes for equal."""
        table = np.arange(256, dtype=np.uint8)
        number = _number_of(key)
        counts = np.bincount(label.ravel(), minlength=256)
        for own in np.flatnonzero(counts[:NUM_CLASSES]).tolist():
            rng = rng_for(self._seed, "label noise", number, own)
            others = self._occurring[self._space[self._occurring] != self._space[own]]
            if rng.random() < self._params.noise and self._space[own] != IGNORE and len(others):
                table[own] = rng.choice(others)
        return table[label]

    def _look_for_classes(self) -> NDArray[np.intp]:
        """ADE20K classes that occur in the labels and that the space has."""
        counts = np.zeros(256, np.int64)
        for key in self.keys[:: -(-len(self.keys) // _FRAMES_LOOKED_AT) or 1]:
            counts += np.bincount(load_pseudo(self._pseudo, key)[0].ravel(), minlength=256)
        return np.flatnonzero((counts > 0) & (self._space != IGNORE))


def chosen_frames(keys: Sequence[str], share: float, seed: int) -> list[str]:
    """The frames whose labels are used, in the order of `keys`.

    Args:
        keys: frames of the split.
        share: of them, rounded to whole frames; above 0 it is one frame at least.
        seed: the run's. Of one seed, a smaller share is a part of a larger one.
    """
    count = max(round(share * len(keys)), 1) if share > 0 else 0
    order = rng_for(seed, "label share").permutation(len(keys))
    return [keys[place] for place in sorted(order[:count].tolist())]


def _number_of(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
