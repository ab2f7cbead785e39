"""The verb `promote`: moves the alias `champion` if the rules hold, or back.

Not a stage of the pipeline: it reads and writes the registry only. `champion` is the version to
use, `challenger` the one that was decided on last and is not champion, `candidate` the newest.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.progress import say
from symbio.promote.decide import decide
from symbio.promote.record import (
    ROLLED_BACK_TAG,
    champions,
    note_champions,
    record_decision,
)
from symbio.promote.turn import turn
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
from symbio.tracking.store import experiment_name, tracking_uri

CANDIDATE, CHALLENGER, CHAMPION = "candidate", "challenger", "champion"
PROMOTED, REFUSED, UNCHANGED = "promoted", "refused", "unchanged"
ROLLED_BACK = "rolled back"

_ATTEMPTS = 3


def run(
    params: Params, dataset: str, root: Path = Path("."), model: str | None = None
) -> dict[str, Any]:
    """Make a version the champion, if the rule of `symbio.promote.rule` says so.

    One decision at a time, on all hosts of the store (`symbio.promote.turn`); a second process
    sees what the first decided. Evidence is stored before the alias moves, and the same command
    again goes on after any failure. An alias that somebody moved by hand in the meantime is
    respected: the decision is made anew, against the version that is champion now.

    Args:
        params: its section `promote`, and the data set's protocol.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        model: `models:/symbio-{d}/VERSION` or `...@ALIAS`; None: the candidate.

    Returns:
        dataset, name, version, uri, verdict ("promoted", "refused", or "unchanged": it is the
        champion), reasons, champion and champion_before (versions, or None), time (UTC), rule,
        and of a decision by numbers: metric, guards, interval, seeds, measured, champion_measured,
        record (path in the artifacts of the version's run).

    Raises:
        SymbioError: there is no such version, the two were not measured alike, somebody else
            moved the alias; the store refuses, or is away (exit_code 75).
    """
    name = experiment_name(dataset)
    with (
        told_as_error(f"{name} cannot be promoted in {tracking_uri(root)}"),
        registering(root, name),
    ):
        version = version_at(root, model or f"models:/{name}@{CANDIDATE}")
        if version.name != name:
            raise SymbioError(f"{version.uri}: is no version of {name}; promote its own data set")
        with turn(root, name):
            decision = _settled(params, dataset, root, version)
    _tell(decision)
    return decision


def _settled(params: Params, dataset: str, root: Path, version: Version) -> dict[str, Any]:
    """Decide, store the evidence, move the aliases."""
    name = version.name
    for _ in range(_ATTEMPTS):
        before = _champion(root, name)
        if before is not None and before.version == version.version:
            decision = _entry(params, dataset, version, before, UNCHANGED, ["it is the champion"])
        else:
            point_alias(root, name, CHALLENGER, version.version)
            decision = _decided(params, dataset, root, version, before)
            decision["record"] = record_decision(root, version, decision)
        if decision["verdict"] == PROMOTED and not _move(root, name, before, version.version):
            say(f"{name}: somebody made another version the champion meanwhile; deciding anew")
            continue
        if decision["champion"] == version.version:
            _no_longer_challenger(root, version)
        return decision
    raise SymbioError(f"{name}: its alias {CHAMPION} is moved all the time; promote again later")


def _move(root: Path, name: str, before: Version | None, number: str) -> bool:
    """Make a version the champion, if the one before still is what it was.

    Raises:
        SymbioError: the alias was moved by somebody else in the same instant.
    """
    was = None if before is None else before.version
    now = _champion(root, name)
    if was != (None if now is None else now.version):
        return False
    note_champions(root, name, [*champions(root, name, was), number])
    point_alias(root, name, CHAMPION, number)
    _require_champion(root, name, number)
    return True


def _require_champion(root: Path, name: str, number: str) -> None:
    found = aliases_of(root, name).get(CHAMPION)
    if found != number:
        raise SymbioError(
            f"{name}: version {number} should be the champion now, but somebody else made it "
            f"{'none' if found is None else f'version {found}'} in the same instant: that is "
            "respected. The same command decides again"
        )


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
        _present(dataset, root)
        with turn(root, name):
            decision = _rolled_back(dataset, root)
    _tell(decision)
    return decision


def _rolled_back(dataset: str, root: Path) -> dict[str, Any]:
    """Store the evidence, tag the version, move the alias back."""
    name = experiment_name(dataset)
    champion = _present(dataset, root)
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
    _require_champion(root, name, champion.version)
    tag_version(root, champion, {ROLLED_BACK_TAG: str(decision["time"])})
    point_alias(root, name, CHAMPION, earlier[-1])
    note_champions(root, name, earlier)
    _require_champion(root, name, earlier[-1])
    return decision


def _present(dataset: str, root: Path) -> Version:
    name = experiment_name(dataset)
    champion = _champion(root, name)
    if champion is None:
        raise SymbioError(f"{name}: has no champion; `symbio promote {dataset}` makes one")
    return champion


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
    verdict, numbers = decide(params.promote, dataset, protocol, root, version, champion)
    word = PROMOTED if verdict.promoted else REFUSED
    return {**_entry(params, dataset, version, champion, word, verdict.reasons), **numbers}


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
