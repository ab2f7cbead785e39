"""A decision by numbers: the newest like measurements of two versions, and what the rule says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.evaluate.paired import Interval, gain_interval
from symbio.evaluate.protocol import require_same_measurement
from symbio.params import PromoteParams
from symbio.promote.groups import interval_over_seeds
from symbio.promote.rule import Verdict, against_champion, against_constant
from symbio.promote.seeds import SeedInterval
from symbio.tracking.models import Version
from symbio.tracking.scores import Scores, scores_of

_SPLIT = "test"


def decide(
    params: PromoteParams,
    dataset: str,
    protocol: str,
    root: Path,
    version: Version,
    champion: Version | None,
) -> tuple[Verdict, dict[str, Any]]:
    """The rule's verdict on a version, and the evidence as JSON.

    Args:
        params: section `promote`.
        dataset: nyu, kitti or a key of `custom`.
        protocol: name of the one whose scores count.
        root: the project's folder.
        version: under decision.
        champion: None: there is none yet.

    Returns:
        The verdict, and: metric, guards, interval, seeds, measured, champion_measured.

    Raises:
        SymbioError: there are no scores of one of the two, the two were not measured alike, or
            scores were changed in the store.
    """
    mine = _measured(root, version, dataset, protocol)
    interval: Interval | str | None = None
    seeds: SeedInterval | str | None = None
    if champion is None:
        own, other = mine[0], None
        verdict = against_constant(params, own.metrics)
    else:
        theirs = _measured(root, champion, dataset, protocol)
        own, other = _alike(params, version, mine, champion, theirs, dataset)
        sides = ((one.metrics, one.frames) for one in (own, other))
        interval = gain_interval(params.metric, *sides)
        seeds = interval_over_seeds(root, params.metric, (version, own), (champion, other))
        verdict = against_champion(params, own.metrics, other.metrics, interval, seeds)
    return verdict, {
        "metric": asdict(verdict.metric),
        "guards": [asdict(guard) for guard in verdict.guards],
        "interval": asdict(interval) if isinstance(interval, Interval) else interval,
        "seeds": asdict(seeds) if isinstance(seeds, SeedInterval) else seeds,
        "measured": _kept(own),
        "champion_measured": None if other is None else _kept(other),
    }


def _measured(root: Path, version: Version, dataset: str, protocol: str) -> list[Scores]:
    """At least one measurement of a version."""
    scores = scores_of(root, version, _SPLIT, protocol)
    if not scores:
        raise SymbioError(
            f"{version.uri}: there are no scores of it on the {_SPLIT} split by {protocol}; "
            f"measure it: `symbio evaluate {dataset} --model {version.uri}`, and promote again"
        )
    return scores


def _alike(
    params: PromoteParams,
    version: Version,
    mine: list[Scores],
    champion: Version,
    theirs: list[Scores],
    dataset: str,
) -> tuple[Scores, Scores]:
    """The newest measurements of the two that can be compared."""
    rule = (params.metric, *params.no_loss_beyond)
    of_classes = [name for name in rule if name.startswith("truth_")]
    spaces = [scores[0].metrics.get("label_space") for scores in (mine, theirs)]
    if of_classes and spaces[0] != spaces[1]:
        raise SymbioError(
            f"{version.uri} is scored in {spaces[0]}, the champion {champion.uri} in {spaces[1]}: "
            f"{of_classes[0]} of the two cannot be compared; train with a labels.space that is "
            "scored alike, or take the metrics of classes out of promote"
        )
    told = None
    for own in mine:
        for other in theirs:
            try:
                require_same_measurement(
                    own.metrics,
                    other.metrics,
                    f"{version.uri} and the champion {champion.uri}",
                    classes=bool(of_classes),
                )
                return own, other
            except SymbioError as error:
                told = told or error
    raise SymbioError(
        f"{told}; measure the champion on what is prepared here, and promote again: "
        f"`symbio evaluate {dataset} --model {champion.uri}` (and --model {version.uri}, if that "
        "was measured on other data too)"
    )


def _kept(scores: Scores) -> dict[str, Any]:
    """What was measured, where it lies, and the values."""
    kept = {key: one for key, one in scores.metrics.items() if not isinstance(one, dict)}
    return {**kept, "trained": scores.metrics["trained"], "run_id": scores.run_id}
