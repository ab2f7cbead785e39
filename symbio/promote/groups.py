"""Which versions are one configuration that was trained with several seeds.

A configuration is the parameters that a training reads without the seed (`symbio.config_sha256`),
and the data that it read, by DVC's hashes. The code is no part of it: with each seed that is
written into params.yaml the commit is another one. Of versions with one configuration and one seed
the newest counts, so that a retrained one takes the place of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from symbio.errors import SymbioError
from symbio.evaluate.metrics import metric_named
from symbio.evaluate.protocol import require_same_measurement
from symbio.promote.seeds import Group, SeedInterval, group_of, seed_interval
from symbio.tracking.models import Version, versions_of
from symbio.tracking.scores import Scores, scores_of

CONFIG_TAG, SEED_TAG = "symbio.config_sha256", "symbio.seed"

_DATA, _OWN = "symbio.data.", "symbio.data.models/"
_STALE = "(stale)"

Measured = tuple[Version, Scores]
Identity = tuple[str, tuple[tuple[str, str], ...]]


def interval_over_seeds(
    root: Path, metric: str, candidate: Measured, champion: Measured
) -> SeedInterval | str:
    """How far the gain can be told from the luck of the seed, or why that is not known.

    Args:
        root: the project's folder.
        metric: name of the metric that decides.
        candidate: the version under decision, and its scores.
        champion: the champion, and its scores, measured alike.

    Raises:
        SymbioError: scores in the store are not those that were put there.
    """
    identities = [identity_of(version.tags) for version, _ in (candidate, champion)]
    for identity, (version, _) in zip(identities, (candidate, champion), strict=True):
        if identity is None:
            return f"{version.uri} does not say which configuration, data and seed it is of"
    one = identities[0] == identities[1]
    known = versions_of(root, candidate[0].name)
    theirs = _members(root, metric, champion, known)
    if one:
        # The candidate is one draw more, unless it is the champion's own seed, trained again.
        mine = {_seed(candidate[0]): _told(metric, candidate)}
        alone = {_seed(champion[0]): _told(metric, champion)}
        groups = [_group(mine), _group(alone), _group({**mine, **theirs})]
    else:
        groups = [_group(_members(root, metric, candidate, known)), _group(theirs), None]
    if groups[0] is None or groups[1] is None:
        return f"{metric} is not a number"
    return seed_interval(
        groups[0], groups[1], metric_named(metric).higher_is_better, groups[2] if one else None
    )


def identity_of(tags: Mapping[str, str]) -> Identity | None:
    """Configuration and data; None where the tags do not say."""
    config, seed = tags.get(CONFIG_TAG), tags.get(SEED_TAG, "")
    data = tuple(
        sorted(
            (key, value)
            for key, value in tags.items()
            if key.startswith(_DATA) and not key.startswith(_OWN)
        )
    )
    if not config or not seed.lstrip("-").isdigit() or any(_STALE in value for _, value in data):
        return None
    return config, data


def _members(
    root: Path, metric: str, of: Measured, known: list[Version]
) -> dict[int, tuple[str, float | None]]:
    """Seed -> (version, value), for the versions of one configuration that were measured alike."""
    version, scores = of
    found = {_seed(version): _told(metric, of)}
    split, protocol = scores.metrics["split"], scores.metrics["protocol"]
    for other in sorted(known, key=lambda one: int(one.version), reverse=True):
        if identity_of(other.tags) != identity_of(version.tags) or _seed(other) in found:
            continue
        for one in scores_of(root, other, split, protocol):
            try:
                require_same_measurement(one.metrics, scores.metrics, other.uri)
            except SymbioError:
                continue
            found[_seed(other)] = _told(metric, (other, one))
            break
    return found


def _group(members: Mapping[int, tuple[str, float | None]]) -> Group | None:
    """The group of those with a number; None where there is none."""
    numbers = {
        seed: (version, value) for seed, (version, value) in members.items() if value is not None
    }
    return group_of(numbers) if numbers else None


def _seed(version: Version) -> int:
    return int(version.tags[SEED_TAG])


def _told(metric: str, one: Measured) -> tuple[str, float | None]:
    version, scores = one
    return version.version, scores.metrics["trained"].get(metric)
