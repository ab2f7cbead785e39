"""Scores of predictors on a split: one pass over the frames, all predictors and protocols together.

Ranks take whole batches, in turn. Which frames go through a network together decides by which
kernels, and so the last bits of what it predicts; the batches are therefore the same on any number
of ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symbio.evaluate.accumulate import DepthScores, SemanticScores
from symbio.evaluate.constant import most_frequent_class
from symbio.evaluate.examples import Example, Source, scored_box
from symbio.evaluate.metrics import depth_sums
from symbio.evaluate.parallel import in_parallel
from symbio.evaluate.predictors import Guess, Predictor
from symbio.evaluate.protocol import Box, Protocol
from symbio.evaluate.ranges import RangeScores, range_edges
from symbio.progress import track
from symbio.ranks.place import Place
from symbio.ranks.sharing import ALONE, gathered

BATCH = {"cpu": 2, "cuda": 8}
"""Frames of one forward, by the kind of device. Changes no more of a score than its last bits."""


@dataclass
class Scores:
    """What one predictor achieved."""

    depth: DepthScores
    ranges: RangeScores
    truth: SemanticScores
    """Against ground truth, in its label space."""
    pseudo: SemanticScores
    """Against pseudo-labels, in the classes that the network predicts."""

    def merge(self, other: Scores) -> None:
        """Add other frames. Raises SymbioError if a frame is in both."""
        self.depth.merge(other.depth)
        self.ranges.merge(other.ranges)
        self.truth.merge(other.truth)
        self.pseudo.merge(other.pseudo)

    def gather(self, device: torch.device | str = "cpu") -> None:
        """Bring the shares of all ranks together on every rank; nothing without ranks."""
        self.depth.gather()
        self.ranges.gather()
        self.truth.gather(device)
        self.pseudo.gather(device)


@dataclass
class Evaluation:
    """Scores of every predictor on the same frames."""

    source: Source
    protocol: Protocol
    scores: dict[str, Scores]
    num_pixels_unpredicted: int = 0
    """Pixels that the protocol counts and that lie outside what the network sees."""

    def merge(self, other: Evaluation) -> None:
        """Add the scores of other frames. Raises SymbioError if a frame is in both."""
        for name, scores in self.scores.items():
            scores.merge(other.scores[name])
        self.num_pixels_unpredicted += other.num_pixels_unpredicted

    def gather(self, device: torch.device | str = "cpu") -> None:
        """Bring the shares of all ranks together on every rank; nothing without ranks."""
        for scores in self.scores.values():
            scores.gather(device)
        self.num_pixels_unpredicted = sum(gathered(self.num_pixels_unpredicted))

    def summary(self) -> dict[str, Any]:
        """Predictor -> metrics; NaN where there is nothing to average or a prediction was NaN."""
        return {name: self._metrics(scores) for name, scores in self.scores.items()}

    def _metrics(self, scores: Scores) -> dict[str, float]:
        metrics = dict(scores.depth.result())
        if scores.truth.num_pixels:
            metrics |= _named("truth", scores.truth.confusion().scores(self.source.space.reachable))
        if scores.pseudo.num_pixels:
            metrics |= _named("pseudo", scores.pseudo.confusion().scores())
        return metrics


@dataclass(frozen=True, slots=True)
class Rules:
    """A protocol, and who is scored by it."""

    protocol: Protocol
    predictors: Mapping[str, Predictor]
    """Name -> predictor. One that stands in several rules too predicts a frame once."""


def evaluate(
    predictors: Mapping[str, Predictor],
    source: Source,
    keys: list[str],
    protocol: Protocol,
    max_depth_m: float,
    device: torch.device | str = "cpu",
    place: Place = ALONE,
    workers: int = 1,
) -> Evaluation:
    """As `evaluate_by`, by one protocol."""
    rules = [Rules(protocol, predictors)]
    return evaluate_by(rules, source, keys, max_depth_m, device, place, workers)[0]


def evaluate_by(
    rules: Sequence[Rules],
    source: Source,
    keys: list[str],
    max_depth_m: float,
    device: torch.device | str = "cpu",
    place: Place = ALONE,
    workers: int = 1,
) -> list[Evaluation]:
    """Score predictors on frames; on several ranks, on this rank's batches (then `gather`).

    Args:
        rules: how depth is scored, and whose; predictors are on `device`.
        source: where frames and labels come from.
        keys: the frames of all ranks.
        max_depth_m: where the breakdown by depth ends, metres.
        device: where metrics are computed.
        place: which rank this is.
        workers: batches to work on at a time.

    Returns:
        The scores by each of the rules.

    Raises:
        SymbioError: a frame is broken, comes twice, or does not fit a protocol.
    """
    results = _nothing_scored(rules, source, max_depth_m)

    def score(batch: list[str]) -> list[Evaluation]:
        parts = _nothing_scored(rules, source, max_depth_m)
        _score(parts, rules, [source.load(key) for key in batch], device)
        return parts

    batches = source.groups(keys, BATCH[torch.device(device).type])[place.rank :: place.world]
    scored = in_parallel(score, batches, workers)
    for parts in track(scored, "evaluate", len(batches)) if place.first else scored:
        for result, part in zip(results, parts, strict=True):
            result.merge(part)
    return results


def score_together(
    predictors: Mapping[str, Predictor],
    source: Source,
    keys: list[str],
    protocol: Protocol,
    max_depth_m: float,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Score predictors on frames of one size, in one forward; arguments as of `evaluate`."""
    rules = [Rules(protocol, predictors)]
    results = _nothing_scored(rules, source, max_depth_m)
    _score(results, rules, [source.load(key) for key in keys], device)
    return results[0]


def _nothing_scored(rules: Sequence[Rules], source: Source, max_depth_m: float) -> list[Evaluation]:
    return [
        Evaluation(
            source,
            one.protocol,
            {
                name: Scores(
                    DepthScores(one.protocol),
                    RangeScores(range_edges(max_depth_m)),
                    SemanticScores(len(source.space.names)),
                    SemanticScores(len(source.space.predicted.names)),
                )
                for name in one.predictors
            },
        )
        for one in rules
    ]


def _score(
    results: Sequence[Evaluation],
    rules: Sequence[Rules],
    examples: list[Example],
    device: torch.device | str,
) -> None:
    views = torch.stack([example.image for example in examples]).to(device)
    view = examples[0].view
    depth = torch.stack([example.depth_m for example in examples]).to(device)
    known: dict[Predictor, tuple[Guess, Scores]] = {}
    for result, one in zip(results, rules, strict=True):
        result.num_pixels_unpredicted += _unpredicted(result, depth)
        for name, predict in one.predictors.items():
            scores = result.scores[name]
            if predict in known:
                # No protocol has a say in classes: counted once, they hold for all.
                guess, counted = known[predict]
                scores.truth.merge(counted.truth)
                scores.pseudo.merge(counted.pseudo)
            else:
                guess = predict(views, view.size)
                known[predict] = guess, scores
                if guess.classes is not None:
                    _score_classes(scores, examples, guess.classes, view, result.source)
            _score_depth(result, scores, examples, guess, depth)


def _score_depth(
    result: Evaluation, scores: Scores, examples: list[Example], guess: Guess, depth: Tensor
) -> None:
    protocol, dataset = result.protocol, result.source.prepared.header["dataset"]
    height, width = depth.shape[1:]
    view, box = examples[0].view, scored_box(protocol, dataset, height, width)
    truth = box.of(depth)
    valid = protocol.valid(truth)
    prediction = protocol.limit(box.within(view).of(guess.depth_m))
    keys = [example.key for example in examples]
    scores.depth.add(keys, depth_sums(prediction, truth, valid))
    scores.ranges.add(keys, prediction, truth, valid)


def _unpredicted(result: Evaluation, depth: Tensor) -> int:
    protocol, dataset = result.protocol, result.source.prepared.header["dataset"]
    height, width = depth.shape[1:]
    valid = protocol.valid(depth)
    wanted = protocol.box(height, width).of(valid).sum()
    return int(wanted - scored_box(protocol, dataset, height, width).of(valid).sum())


def _score_classes(
    scores: Scores, examples: list[Example], classes: Tensor, view: Box, source: Source
) -> None:
    """Semantics are scored on everything that the network sees; depth crops do not apply."""
    to_space = torch.from_numpy(source.space.from_predicted.copy()).to(classes.device)
    for example, predicted in zip(examples, classes, strict=True):
        if example.truth is not None:
            mapped = to_space[predicted.long()]
            scores.truth.add(mapped, view.of(example.truth).to(classes.device))
        if example.pseudo is not None:
            scores.pseudo.add(predicted, view.of(example.pseudo).to(classes.device))


def add_constant_classes(result: Evaluation, constant: str, reference: str) -> dict[str, int]:
    """Give predictor `constant` the scores of always saying the most frequent class.

    The truth is what predictor `reference` was scored against.

    Returns:
        The class chosen, by kind of label ("truth", "pseudo").
    """
    chosen = {}
    for kind in ("truth", "pseudo"):
        scored: SemanticScores = getattr(result.scores[reference], kind)
        if scored.num_pixels:
            chosen[kind], confusion = most_frequent_class(scored.confusion())
            getattr(result.scores[constant], kind).matrix = torch.from_numpy(confusion.matrix)
    return chosen


def _named(kind: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{kind}_{name}": value for name, value in scores.items()}
