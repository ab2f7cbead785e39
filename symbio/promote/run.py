"""The verb `promote`: moves the alias `champion` if the rules hold, or back.

Not a stage of the pipeline: it reads and writes the registry only. `champion` is the version to
use, `challenger` the one that was decided on last and is not champion, `candidate` the newest.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.evaluate.metrics import metric_named
from symbio.evaluate.protocol import require_same_measurement
from symbio.params import Params, PromoteParams
from symbio.progress import say
from symbio.promote.bootstrap import Interval, gains_of, paired_interval, reproduces
from symbio.promote.record import (
    ROLLED_BACK_TAG,
    champions,
    note_champions,
    record_decision,
)
from symbio.promote.rule import Verdict, against_champion, against_constant
from symbio.tracking.models import (
    Version,
    aliases_of,
    drop_alias,
    point_alias,
    registering,
    tag_version,
    version_at,
    version_of,
)
from symbio.tracking.outage import told_as_error
from symbio.tracking.scores import Scores, scores_of
from symbio.tracking.store import experiment_name, tracking_uri

CANDIDATE, CHALLENGER, CHAMPION = "candidate", "challenger", "champion"
PROMOTED, REFUSED, UNCHANGED = "promoted", "refused", "unchanged"
ROLLED_BACK = "rolled back"

_SPLIT = "test"


def run(
    params: Params, dataset: str, root: Path = Path("."), model: str | None = None
) -> dict[str, Any]:
    """Make a version the champion, if the rule of `symbio.promote.rule` says so.

    One decision at a time on this machine; a second process sees what the first decided. Evidence
    is stored before the alias moves, and the same command again goes on after any failure.

    Args:
        params: its section `promote`, and the data set's protocol.
        dataset: "nyu" or "kitti".
        root: the project's folder.
        model: `models:/symbio-{d}/VERSION` or `...@ALIAS`; None: the candidate.

    Returns:
        dataset, name, version, uri, verdict ("promoted", "refused", or "unchanged": it is the
        champion), reasons, champion and champion_before (versions, or None), time (UTC), rule,
        and of a decision by numbers: metric, guards, interval, measured, champion_measured,
        record (path in the artifacts of the version's run).

    Raises:
        SymbioError: there is no such version, the two were not measured alike; the store refuses,
            or is away (exit_code 75).
    """
    name = experiment_name(dataset)
    with (
        told_as_error(f"{name} cannot be promoted in {tracking_uri(root)}"),
        registering(root, name),
    ):
        version = version_at(root, model or f"models:/{name}@{CANDIDATE}")
        if version.name != name:
            raise SymbioError(f"{version.uri}: is no version of {name}; promote its own data set")
        before = _champion(root, name)
        if before is not None and before.version == version.version:
            decision = _entry(params, dataset, version, before, UNCHANGED, ["it is the champion"])
        else:
            point_alias(root, name, CHALLENGER, version.version)
            decision = _decided(params, dataset, root, version, before)
            decision["record"] = record_decision(root, version, decision)
        if decision["verdict"] == PROMOTED:
            history = champions(root, name, None if before is None else before.version)
            note_champions(root, name, [*history, version.version])
            point_alias(root, name, CHAMPION, version.version)
        if decision["champion"] == version.version:
            _no_longer_challenger(root, version)
    _tell(decision)
    return decision


def back(dataset: str, root: Path = Path(".")) -> dict[str, Any]:
    """Make the champion before this one the champion again.

    The version that was rolled back is tagged so and not promoted again while it has that tag: else
    the next flow that comes by it would.

    Returns:
        As `run`; verdict is "rolled back", version the one rolled back.

    Raises:
        SymbioError: there is no champion, or none before it; or as `run`.
    """
    name = experiment_name(dataset)
    with (
        told_as_error(f"{name} cannot be rolled back in {tracking_uri(root)}"),
        registering(root, name),
    ):
        champion = _champion(root, name)
        if champion is None:
            raise SymbioError(f"{name}: has no champion; `symbio promote {dataset}` makes one")
        history = champions(root, name, champion.version)
        earlier = [one for one in history[:-1] if one != champion.version]
        while earlier and version_of(root, name, earlier[-1]) is None:
            earlier.pop()
        if not earlier:
            raise SymbioError(
                f"{champion.uri}: no version was champion before it, so there is none to go back "
                f"to; `symbio promote {dataset} --model models:/{name}/VERSION` chooses another"
            )
        decision = {
            "dataset": dataset,
            "name": name,
            "version": champion.version,
            "uri": champion.uri,
            "verdict": ROLLED_BACK,
            "reasons": [f"version {earlier[-1]} was champion before"],
            "champion_before": champion.version,
            "champion": earlier[-1],
            "time": _now(),
        }
        decision["record"] = record_decision(root, champion, decision)
        tag_version(root, champion, {ROLLED_BACK_TAG: str(decision["time"])})
        point_alias(root, name, CHAMPION, earlier[-1])
        note_champions(root, name, earlier)
    _tell(decision)
    return decision


def _champion(root: Path, name: str) -> Version | None:
    number = aliases_of(root, name).get(CHAMPION)
    return None if number is None else version_of(root, name, number)


def _decided(
    params: Params,
    dataset: str,
    root: Path,
    version: Version,
    champion: Version | None,
) -> dict[str, Any]:
    """The decision by numbers, or why there is none to make."""
    if ROLLED_BACK_TAG in version.tags:
        reason = (
            f"it was rolled back; to allow it again, remove its tag {ROLLED_BACK_TAG} in MLflow"
        )
        return _entry(params, dataset, version, champion, REFUSED, [reason])
    protocol = params.dataset(dataset).protocol
    mine = scores_of(root, version, _SPLIT, protocol)
    if not mine:
        raise SymbioError(_measure(version, dataset, protocol))
    if champion is None:
        own, other, interval = mine[0], None, None
        verdict = against_constant(params.promote, own.metrics)
    else:
        theirs = scores_of(root, champion, _SPLIT, protocol)
        if not theirs:
            raise SymbioError(_measure(champion, dataset, protocol))
        own, other = _alike(params.promote, version, mine, champion, theirs, dataset)
        interval = _interval(params.promote, own, other)
        verdict = against_champion(params.promote, own.metrics, other.metrics, interval)
    return {
        **_entry(params, dataset, version, champion, _word(verdict), verdict.reasons),
        "metric": asdict(verdict.metric),
        "guards": [asdict(guard) for guard in verdict.guards],
        "interval": asdict(interval) if isinstance(interval, Interval) else interval,
        "measured": _measured(own),
        "champion_measured": None if other is None else _measured(other),
    }


def _word(verdict: Verdict) -> str:
    return PROMOTED if verdict.promoted else REFUSED


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


def _measure(version: Version, dataset: str, protocol: str) -> str:
    return (
        f"{version.uri}: there are no scores of it on the {_SPLIT} split by {protocol}; measure "
        f"it: `symbio evaluate {dataset} --model {version.uri}`, and promote again"
    )


def _interval(params: PromoteParams, own: Scores, other: Scores) -> Interval | str:
    """The interval of the gain, or why there is none."""
    metric = metric_named(params.metric)
    values = [one.metrics["trained"].get(params.metric) for one in (own, other)]
    if own.frames is None or other.frames is None:
        return "there is no table of single frames"
    if values[0] is None or values[1] is None:
        return f"{params.metric} is not a number"
    if params.metric != metric.name:
        return f"{params.metric} has no value for single frames"
    found = gains_of(metric, own.frames, other.frames, own.metrics["aggregation"] == "pooled")
    if isinstance(found, str):
        return found
    interval = paired_interval(*found)
    difference = (values[0] - values[1]) * (1 if metric.higher_is_better else -1)
    if not reproduces(interval, difference, values[1]):
        return f"{params.metric} is no mean over the frames of the tables"
    return interval


def _measured(scores: Scores) -> dict[str, Any]:
    """What was measured, where it lies, and the values."""
    kept = {key: one for key, one in scores.metrics.items() if not isinstance(one, dict)}
    return {**kept, "trained": scores.metrics["trained"], "run_id": scores.run_id}


def _entry(
    params: Params,
    dataset: str,
    version: Version,
    champion: Version | None,
    verdict: str,
    reasons: list[str],
) -> dict[str, Any]:
    before = None if champion is None else champion.version
    return {
        "dataset": dataset,
        "name": version.name,
        "version": version.version,
        "uri": version.uri,
        "verdict": verdict,
        "reasons": reasons,
        "champion_before": before,
        "champion": version.version if verdict == PROMOTED else before,
        "rule": params.promote.model_dump(mode="json"),
        "time": _now(),
    }


def _no_longer_challenger(root: Path, version: Version) -> None:
    if aliases_of(root, version.name).get(CHALLENGER) == version.version:
        drop_alias(root, version.name, CHALLENGER)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _tell(decision: dict[str, Any]) -> None:
    say(f"{decision['uri']}: {decision['verdict']}")
    for reason in decision["reasons"]:
        say(f"  {reason}")
    champion, before = decision["champion"], decision["champion_before"]
    now = "none" if champion is None else f"version {champion}"
    was = "" if champion == before else f" (before: {before or 'none'})"
    say(f"champion of {decision['name']}: {now}{was}")
