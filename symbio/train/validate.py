"""Scoring the val split during training: the evaluation's own metrics, each frame once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from symbio.data.classes import label_space
from symbio.data.shards import Shards
from symbio.evaluate.accumulate import DepthScores, SemanticScores
from symbio.evaluate.examples import Example, Source, scored_box
from symbio.evaluate.metrics import depth_sums
from symbio.evaluate.predictors import Predictor, network_predictor
from symbio.evaluate.protocol import Protocol, protocol_named
from symbio.model.network import SymbioticNetwork
from symbio.params import Params
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.ranks.stop import StopReason, StopRequest, flags_of, reason_in

SPLIT = "val"
"""Held out of the training list by whole scene or drive; the test split is never looked at."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What is scored and how."""

    source: Source
    keys: list[str]
    protocol: Protocol
    batch: int
    """Frames of one forward; changes no score."""

    def score(
        self,
        network: SymbioticNetwork,
        place: Place,
        device: torch.device,
        stop: StopRequest,
        beat: Callable[[str], None],
    ) -> dict[str, float] | StopReason:
        """Score a plain network on `device`; every rank takes its share and gets all scores.

        The ranks go batch by batch together, so that a request to stop that reaches one of them
        ends it for all within a batch.

        Args:
            network: not in the engine.
            place: of this rank.
            device: of `network`.
            stop: what this rank is asked.
            beat: called before each batch.

        Returns:
            The protocol's depth metrics, and `pseudo_miou` and `pseudo_pixel_accuracy` against
            the teacher where there are pseudo-labels. NaN where a prediction was NaN. Or, if a
            rank was asked to stop meanwhile, the reason.
        """
        predict = network_predictor(network)
        names = self.source.space.predicted.names
        depth, semantics = DepthScores(self.protocol), SemanticScores(len(names))
        # Whole batches are dealt out, so that a frame is predicted beside the same others, and to
        # the same last digit, on any number of ranks.
        groups = self.source.groups(self.keys, self.batch)
        mine = self.source.batches(groups[place.rank :: place.world])
        while True:
            beat("validating")
            examples = next(mine, None)
            reason, more = _agree(stop.now(), examples is not None, device)
            if reason is not None:
                return reason
            if not more:
                break
            if examples is not None:
                self._add(examples, predict, depth, semantics, device)
        depth.gather()
        semantics.gather(device)
        result = depth.result()
        scores = {name: float(result[name]) for name in self.protocol.metrics}
        if semantics.num_pixels:
            found = semantics.confusion().scores()
            scores |= {f"pseudo_{name}": found[name] for name in ("miou", "pixel_accuracy")}
        return scores

    def _add(
        self,
        examples: list[Example],
        predict: Predictor,
        depth: DepthScores,
        semantics: SemanticScores,
        device: torch.device,
    ) -> None:
        view = examples[0].view
        guess = predict(torch.stack([e.image for e in examples]).to(device), view.size)
        truth = torch.stack([e.depth_m for e in examples]).to(device)
        dataset = self.source.prepared.header["dataset"]
        box = scored_box(self.protocol, dataset, truth.shape[1], truth.shape[2])
        scored = box.within(view).of(self.protocol.limit(guess.depth_m))
        valid = self.protocol.valid(box.of(truth))
        depth.add([e.key for e in examples], depth_sums(scored, box.of(truth), valid))
        if guess.classes is None:
            return
        for example, classes in zip(examples, guess.classes, strict=True):
            if example.pseudo is not None:
                semantics.add(classes, view.of(example.pseudo).to(device))


def _agree(
    stop: StopReason | None, more: bool, device: torch.device
) -> tuple[StopReason | None, bool]:
    """Whether any rank was asked to stop, and whether any has frames left."""
    mine = torch.tensor([more, *flags_of(stop)], device=device)
    left, *asked = group.total(mine.float()).tolist()
    return reason_in(asked), bool(left)


def open_validation(
    prepared: Shards, pseudo: Shards | None, params: Params, dataset: str
) -> Validation | None:
    """The validation of a data set, or None if it holds no frames out.

    Raises:
        SymbioError: the protocol is unknown or not defined on frames of this size, or the
            network's classes cannot be compared with the data set's.
    """
    keys = prepared.splits.get(SPLIT, [])
    if not keys:
        return None
    section = params.dataset(dataset)
    protocol = protocol_named(section.protocol)
    info = prepared.info(keys[0])
    protocol.box(info["height"], info["width"])
    space = label_space(prepared.header["label_space"], params.labels.space)
    source = Source(prepared, pseudo, space, section.image_size)
    return Validation(source, keys, protocol, params.train.micro_batch)


def resolved(metric: str) -> str:
    """The validation score that `train.select.metric` means: `miou` is that against the teacher."""
    return f"pseudo_{metric}" if metric in ("miou", "pixel_accuracy") else metric
