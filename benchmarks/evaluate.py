"""How fast a split is scored, beside the way of the published codebases, on one core.

654 made-up frames of 480x640 with 150 classes. Peers score one image at a time in numpy:
`compute_errors` of BTS and its heirs for depth; for classes three masks a class (the meter of
InvPT, MTMamba and their heirs) or, at best, one `fast_hist` an image. symbio's are the functions
that `symbio evaluate` calls, on batches as it makes them. Each frame is scored by all in turn, so
that whatever else the machine does disturbs all alike; times are processor time of one thread.

    python benchmarks/evaluate.py [frames]
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from symbio.evaluate.accumulate import DepthScores, SemanticScores
from symbio.evaluate.evaluate import BATCH
from symbio.evaluate.metrics import depth_sums
from symbio.evaluate.protocol import EIGEN_METRICS, PROTOCOLS

SIZE = (480, 640)
CLASSES = 150
TARGET = 20.0
"""Times as fast as the meter and compute_errors together."""
TOLERANCE = 1e-6
"""Greatest relative difference of any score."""
PROTOCOL = PROTOCOLS["nyu-eigen"]

Depth = NDArray[np.float32]
Classes = NDArray[np.uint8]


@dataclass
class Batch:
    """Frames: keys, predicted and true depth (B, H, W) metres, predicted and true classes."""

    keys: list[str]
    predicted_m: Depth
    truth_m: Depth
    predicted: Classes
    truth: Classes


def make_batch(number: int, size: int) -> Batch:
    """Smooth surfaces with noise and holes, classes in patches, a fifth of them wrong."""
    rng = np.random.default_rng(number)
    truth_m = np.stack([1 + 8 * _smooth(rng) for _ in range(size)])
    noise = rng.normal(0.0, 0.2, truth_m.shape).astype(np.float32)
    predicted_m = truth_m * np.exp(noise)
    truth_m[rng.random(truth_m.shape) < 0.2] = 0.0
    truth = np.stack([(CLASSES * _smooth(rng)) for _ in range(size)]).astype(np.uint8)
    wrong = rng.integers(0, CLASSES, truth.shape).astype(np.uint8)
    predicted = np.where(rng.random(truth.shape) < 0.2, wrong, truth)
    truth[rng.random(truth.shape) < 0.1] = 255
    keys = [f"{number}-{frame}" for frame in range(size)]
    return Batch(keys, predicted_m, truth_m, predicted, truth)


def _smooth(rng: np.random.Generator) -> Depth:
    coarse = rng.random((12, 16)).astype(np.float32)
    fine = cv2.resize(coarse, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_CUBIC)
    clipped: Depth = np.clip(fine, 0.0, 0.999).astype(np.float32)
    return clipped


def compute_errors(g: Depth, p: Depth) -> list[float]:
    """Depth metrics of one image's valid pixels, as BTS, AdaBins and NeWCRFs compute them."""
    ratio = np.maximum(g / p, p / g)
    d = np.log(p) - np.log(g)
    return [
        float(np.mean(np.abs(g - p) / g)),
        float(np.mean((g - p) ** 2 / g)),
        float(np.sqrt(np.mean((g - p) ** 2))),
        float(np.sqrt(np.mean((np.log(g) - np.log(p)) ** 2))),
        float(np.mean(np.abs(np.log10(p) - np.log10(g)))),
        float(np.sqrt(np.mean(d**2) - np.mean(d) ** 2) * 100),
        *(float((ratio < 1.25**power).mean()) for power in (1, 2, 3)),
    ]


def peers_depth(predicted_m: Depth, truth_m: Depth) -> list[float]:
    """One image by the NYU Eigen protocol: clamp, mask, crop, score."""
    p = predicted_m.copy()
    p[p < 1e-3] = 1e-3
    p[p > 10] = 10
    p[np.isinf(p)] = 10
    p[np.isnan(p)] = 1e-3
    crop = np.zeros(p.shape, bool)
    crop[45:471, 41:601] = True
    valid = np.logical_and(np.logical_and(truth_m > 1e-3, truth_m < 10), crop)
    return compute_errors(truth_m[valid], p[valid])


@dataclass
class Meter:
    """True and false positives and false negatives of each class, class by class."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, CLASSES), np.int64))

    def add(self, predicted: Classes, truth: Classes) -> None:
        """Count one image."""
        valid = truth != 255
        for label in range(CLASSES):
            is_truth, is_predicted = truth == label, predicted == label
            self.counts[0, label] += np.sum(is_truth & is_predicted & valid)
            self.counts[1, label] += np.sum(~is_truth & is_predicted & valid)
            self.counts[2, label] += np.sum(is_truth & ~is_predicted & valid)

    def miou(self) -> float:
        """Mean over the classes that occur."""
        union = self.counts.sum(axis=0)
        return float(np.mean(self.counts[0][union > 0] / union[union > 0]))


def fast_hist(truth: Classes, predicted: Classes) -> NDArray[np.int64]:
    """Confusion matrix of one image (C, C), as FCN's evaluation makes it."""
    known = (truth >= 0) & (truth < CLASSES)
    pairs = CLASSES * truth[known].astype(int) + predicted[known]
    return np.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


class Clock:
    """Adds up processor time by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, work: Callable[[], object]) -> None:
        """Do the work, on the account of `name`."""
        start = time.process_time()
        work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start


def main(count: int) -> int:
    """Print the figures; 1 if the target or the tolerance is missed."""
    torch.set_num_threads(1)
    # Threads that wait after drawing frames would be on the account of what comes next.
    cv2.setNumThreads(1)
    # Nor do the imports' objects have to be gone through on anybody's account.
    gc.freeze()
    clock, meter = Clock(), Meter()
    errors: list[list[float]] = []
    histogram = np.zeros((CLASSES, CLASSES), np.int64)
    depth, classes = DepthScores(PROTOCOL), SemanticScores(CLASSES)
    box = PROTOCOL.box(*SIZE)

    def symbio_depth(batch: Batch) -> None:
        p, g = (box.of(torch.from_numpy(maps)) for maps in (batch.predicted_m, batch.truth_m))
        depth.add(batch.keys, depth_sums(PROTOCOL.limit(p), g, PROTOCOL.valid(g)))

    def symbio_classes(batch: Batch) -> None:
        for p, g in zip(batch.predicted, batch.truth, strict=True):
            classes.add(torch.from_numpy(p), torch.from_numpy(g))

    def peers_hist(batch: Batch) -> None:
        for p, g in zip(batch.predicted, batch.truth, strict=True):
            histogram.__iadd__(fast_hist(g, p))

    def peers_meter(batch: Batch) -> None:
        for p, g in zip(batch.predicted, batch.truth, strict=True):
            meter.add(p, g)

    def peers(batch: Batch) -> None:
        errors.extend(map(peers_depth, batch.predicted_m, batch.truth_m))

    done, number = 0, 0
    while done < count:
        batch = make_batch(number, min(BATCH["cpu"], count - done))
        for name, work in {
            "symbio, depth": symbio_depth,
            "symbio, classes": symbio_classes,
            "peers, compute_errors": peers,
            "peers, meter of classes": peers_meter,
            "peers, fast_hist": peers_hist,
        }.items():
            clock.timed(name, lambda work=work, batch=batch: work(batch))  # type: ignore[misc]
        done, number = done + len(batch.keys), number + 1

    result, scores = depth.result(), classes.confusion().scores()
    wanted = dict(zip(EIGEN_METRICS, np.mean(errors, axis=0).tolist(), strict=True))
    pairs = [(result[name], value) for name, value in wanted.items()]
    union = histogram.sum(0) + histogram.sum(1) - np.diag(histogram)
    by_hist = float(np.mean(np.diag(histogram)[union > 0] / union[union > 0]))
    pairs += [(scores["miou"], meter.miou()), (scores["miou"], by_hist)]
    worst = max(abs(ours - theirs) / abs(theirs) for ours, theirs in pairs)

    spent = {name: seconds / count * 1e3 for name, seconds in clock.seconds.items()}
    for name, milliseconds in spent.items():
        print(f"{name:24s} {milliseconds:8.2f} ms a frame")
    ours = spent["symbio, depth"] + spent["symbio, classes"]
    theirs = spent["peers, compute_errors"]
    ratio = (theirs + spent["peers, meter of classes"]) / ours
    best = (theirs + spent["peers, fast_hist"]) / ours
    print(f"{count} frames: {ratio:.1f} times as fast as with the meter (target {TARGET:g}),")
    print(f"{best:.1f} times as with fast_hist; scores differ by {worst:.1e} at most, relatively")
    return 0 if ratio >= TARGET and worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 654))
