"""Semantic scores from one confusion matrix over the whole data set.

Convention: IoU_c = TP / (TP + FP + FN) over all pixels of the split; the mean runs over the
classes that occur in the truth or in the prediction. A class absent from both has no IoU and is
skipped, not counted as 0; the number of classes that were averaged is reported beside the mean.
Pixels without truth (255) are left out. A prediction of no class of this label space (255, from
a class map that has no counterpart) on a labelled pixel is an error: it counts as a miss.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symbio.data.classes import IGNORE
from symbio.errors import SymbioError

_LEVELS = 256


def confusion_matrix(prediction: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """Count pairs of classes.

    Args:
        prediction: uint8, any shape, class 0..num_classes-1 or 255 for no class.
        truth: uint8, the same shape, class 0..num_classes-1 or 255 for ignore.
        num_classes: C.

    Returns:
        int64 (C, C + 1): row = truth, column = prediction, last column = predicted no class.

    Raises:
        SymbioError: the truth has a class that is none of the C.
    """
    # Every pair of bytes is counted: cheaper than looking at what is to be left out.
    pairs = truth.to(torch.int16).bitwise_left_shift_(8).bitwise_or_(prediction)
    # In 16 bits a truth of 128 and more made the pair negative.
    places = pairs.int().bitwise_and_(_LEVELS**2 - 1)
    counts = torch.bincount(places.flatten(), minlength=_LEVELS**2).view(_LEVELS, _LEVELS)
    if counts[num_classes:IGNORE].any():
        found = int(counts[num_classes:IGNORE].sum(1).nonzero()[0]) + num_classes
        raise SymbioError(f"labels: class {found} of {num_classes} classes; label the data again")
    labelled = counts[:num_classes]
    no_class = labelled[:, num_classes:].sum(1, keepdim=True)
    return torch.cat([labelled[:, :num_classes], no_class], dim=1)


@dataclass(frozen=True)
class Confusion:
    """What a confusion matrix says, by class and as a whole."""

    matrix: NDArray[np.int64]
    """int64 (C, C + 1), see `confusion_matrix`."""

    @cached_property
    def hits(self) -> NDArray[np.int64]:
        """Pixels of each class that were predicted right, (C,)."""
        return np.diagonal(self.matrix).copy()

    @cached_property
    def truth_pixels(self) -> NDArray[np.int64]:
        """Pixels of each class in the truth, (C,)."""
        pixels: NDArray[np.int64] = self.matrix.sum(axis=1)
        return pixels

    @cached_property
    def predicted_pixels(self) -> NDArray[np.int64]:
        """Pixels predicted as each class where there is truth, (C,)."""
        pixels: NDArray[np.int64] = self.matrix[:, :-1].sum(axis=0)
        return pixels

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class, (C,); NaN where the class occurs in neither."""
        union = self.truth_pixels + self.predicted_pixels - self.hits
        return _divide(self.hits, union)

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """Share of each class's pixels predicted right, (C,); NaN where the truth has none."""
        return _divide(self.hits, self.truth_pixels)

    def scores(self, reachable: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """miou, pixel_accuracy, mean_accuracy, num_classes, and miou_reachable if asked for.

        Args:
            reachable: bool (C,), the classes that the network's own classes map to; a class
                outside is a miss for any prediction, so the plain mean has a ceiling below 1.

        Returns:
            Shares 0..1, NaN where nothing was labelled; num_classes = classes averaged in miou.
        """
        total = int(self.truth_pixels.sum())
        result = {
            "miou": _mean_present(self.iou),
            "pixel_accuracy": int(self.hits.sum()) / total if total else float("nan"),
            "mean_accuracy": _mean_present(self.accuracy),
            "num_classes": int(np.isfinite(self.iou).sum()),
        }
        if reachable is not None:
            result["miou_reachable"] = _mean_present(self.iou[reachable])
        return result


def _divide(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    result = np.full(len(whole), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _mean_present(values: NDArray[np.float64]) -> float:
    present = values[np.isfinite(values)]
    return float(present.mean()) if len(present) else float("nan")
