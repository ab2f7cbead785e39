"""Which versions, logged models and runs stay, and which data they need.

A version stays that an alias means, that was champion, or that a checkout or a branch names; with
an alias's version those of its other seeds, against which the next one is judged. With a version
stay the runs that trained, measured and found it. A run stays that is under way, or that has the
tag `symbio.keep`; and with a run its whole family: a study and its trials are one thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from symbio.errors import SymbioError
from symbio.gc.checkouts import hashes_in
from symbio.gc.item import MODELS, RECENT, RUNS, VERSIONS, Item, Marks, is_recent
from symbio.gc.store import Holdings, is_deleted, size_of
from symbio.lineage.origin import origin_of
from symbio.lineage.recorded import recorded_of
from symbio.promote.groups import SEED_TAG, identity_of
from symbio.promote.record import CHAMPIONS_TAG
from symbio.tracking.mirror import KEY_TAG, PARENT_TAG
from symbio.tracking.models import Version, model_tag
from symbio.tracking.record import RUNNING
from symbio.tracking.store import open_store
from symbio.tracking.training import WEIGHTS_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

KEEP_TAG = "symbio.keep"
"""Of a run: "true" keeps it for good, with its study, its versions and its data."""

_MODEL_TAG = "symbio.model"
"""Of a run that measured a version: its address."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What checkouts and branches name of the store."""

    versions: Marks = field(default_factory=Marks)
    """By "symbio-nyu/3"."""
    runs: Marks = field(default_factory=Marks)
    """By the run's own key (tag symbio.key)."""
    weights: Marks = field(default_factory=Marks)
    """By their SHA-256."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one data set's holdings."""

    items: list[Item]
    keys: set[str]
    """Own keys of the runs that stay."""
    data: Marks
    """Hashes of data that what stays was made of."""
    notes: list[str]


def judge(root: Path, held: Holdings, wanted: Wanted, now: float) -> Judged:
    """Judge what the store holds of one data set.

    Args:
        root: the project's folder.
        held: all of it.
        wanted: from outside the store.
        now: seconds since 1970.

    Raises what MLflow raises when the store is away.
    """
    tagged = {run.info.run_id for run in held.runs if run.data.tags.get(KEEP_TAG) == "true"}
    versions = _versions(root, held, wanted, tagged, now)
    data, notes = Marks(), list[str]()
    needed = Marks()
    for one in versions:
        if one.why is not None:
            _mark_made_of(root, held, one, needed, data, notes)
    runs = _runs(held, wanted, needed, tagged, now)
    for run in held.runs:
        if runs.why(run.info.run_id) is not None:
            data.mark(hashes_in(" ".join(run.data.tags.values())), "a run that stays reads it")
    return Judged(
        [
            *versions,
            *_models(root, held, versions, runs, tagged, now),
            *_run_items(root, held, runs),
        ],
        {run.data.tags.get(KEY_TAG, "") for run in held.runs if runs.why(run.info.run_id)},
        data,
        notes,
    )


def _versions(
    root: Path, held: Holdings, wanted: Wanted, tagged: set[str], now: float
) -> list[Item]:
    marks = Marks()
    for alias, number in sorted(held.aliases.items()):
        marks.mark([f"{held.name}/{number}"], f"is @{alias}")
    former = (model_tag(root, held.name, CHAMPIONS_TAG) or "").split()
    marks.mark([f"{held.name}/{number}" for number in former], "was champion")
    for alias, number in sorted(held.aliases.items()):
        marks.mark(_other_seeds(held, number), f"is another seed of @{alias}")
    found = []
    for one in held.versions:
        key = f"{held.name}/{one.version}"
        if one.run_id in tagged:
            marks.mark([key], f"its run is tagged {KEEP_TAG}")
        if is_recent(max(one.creation_timestamp, one.last_updated_timestamp or 0) / 1000, now):
            marks.mark([key], RECENT)
        # Its bytes are the logged model's.
        found.append(Item(VERSIONS, key, key, 0, marks.why(key) or wanted.versions.why(key)))
    return found


def _other_seeds(held: Holdings, number: str) -> Iterator[str]:
    """Versions of the same configuration and data, the newest of each seed."""
    tags: dict[str, str] = {}
    for one in held.versions:
        tags = dict(one.tags) if str(one.version) == number else tags
    identity, seeds = identity_of(tags), {tags.get(SEED_TAG)}
    for one in sorted(held.versions, key=lambda one: int(one.version), reverse=True):
        seed = one.tags.get(SEED_TAG)
        if identity is not None and identity_of(one.tags) == identity and seed not in seeds:
            seeds.add(seed)
            yield f"{held.name}/{one.version}"


def _mark_made_of(
    root: Path, held: Holdings, item: Item, runs: Marks, data: Marks, notes: list[str]
) -> None:
    """Mark the runs and the data that a version which stays is made of."""
    version = next(
        _as_version(one) for one in held.versions if item.key.endswith(f"/{one.version}")
    )
    why = f"belongs to models:/{item.key}"
    named = hashes_in(" ".join(version.tags.values()))
    weights = version.tags.get(WEIGHTS_TAG)
    trained = {
        run.info.run_id
        for run in held.runs
        if weights is not None and run.data.tags.get(WEIGHTS_TAG) == weights
    }
    measured = {
        run.info.run_id for run in held.runs if run.data.tags.get(_MODEL_TAG) == version.uri
    }
    # Among the hashes in its tags are the runs of its newest measurements.
    runs.mark({version.run_id, *trained, *measured, *named}, why)
    data.mark(named, why)
    known = {run.info.run_id for run in held.runs if not is_deleted(run)}
    for run_id in (trained | {version.run_id}) & known:
        origin = origin_of(open_store(root), root, run_id, held.name.removeprefix("symbio-"))
        if origin is not None and origin.run_id is not None:
            runs.mark([origin.run_id], f"the params of models:/{item.key} come from it")
    try:
        told = recorded_of(root, version)
    except SymbioError as error:
        notes.append(f"{error}; its data is kept as far as its tags name it")
        return
    stages = told.dvc_lock.get("stages") or {}
    own = {name: one for name, one in stages.items() if name.endswith(f"@{told.dataset}")}
    data.mark(hashes_in(json.dumps([own, told.lineage])), why)


def _as_version(found: ModelVersion) -> Version:
    number, tags = str(found.version), dict(found.tags)
    return Version(found.name, number, found.run_id or "", found.source, tags)


def _runs(held: Holdings, wanted: Wanted, needed: Marks, tagged: set[str], now: float) -> Marks:
    """Run id -> why it stays."""
    marks = Marks()
    for run in held.runs:
        run_id, info, tags = run.info.run_id, run.info, run.data.tags
        why = needed.why(run_id)
        if why is None and run_id in tagged:
            why = f"is tagged {KEEP_TAG}"
        if why is None and not is_deleted(run):
            why = wanted.runs.why(tags.get(KEY_TAG, ""))
            why = why or wanted.weights.why(tags.get(WEIGHTS_TAG, ""))
            why = why or ("is running" if info.status == RUNNING else None)
            if why is None and is_recent((info.end_time or info.start_time) / 1000, now):
                why = RECENT
        if why is not None:
            marks.mark([run_id], why)
    for family in _families(held.runs):
        stay = [run for run in family if marks.why(run.info.run_id) is not None]
        if stay:
            told = f"belongs to {stay[0].info.run_name or stay[0].info.run_id}, which stays"
            marks.mark((run.info.run_id for run in family if not is_deleted(run)), told)
    return marks


def _families(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Runs with all that are nested in them."""
    parents = {run.info.run_id: run.data.tags.get(PARENT_TAG) for run in runs}

    def eldest(run_id: str) -> str:
        seen = {run_id}
        while (parent := parents.get(run_id)) in parents and parent not in seen:
            run_id = str(parent)
            seen.add(run_id)
        return run_id

    families: dict[str, list[Run]] = {}
    for run in runs:
        families.setdefault(eldest(run.info.run_id), []).append(run)
    yield from families.values()


def _models(
    root: Path,
    held: Holdings,
    versions: Sequence[Item],
    runs: Marks,
    tagged: set[str],
    now: float,
) -> Iterator[Item]:
    stay = {one.key for one in versions if one.why is not None}
    marks = Marks()
    for one in held.versions:
        key = f"{held.name}/{one.version}"
        if key in stay:
            marks.mark([one.source.removeprefix("models:/")], f"is models:/{key}")
    running = {run.info.run_id for run in held.runs if runs.why(run.info.run_id) == "is running"}
    for model in held.models:
        if model.source_run_id in tagged | running:
            marks.mark([model.model_id], "is its run's, which is running or tagged")
        if is_recent(model.last_updated_timestamp / 1000, now):
            marks.mark([model.model_id], RECENT)
        size = size_of(model.artifact_location, root)
        name = f"{held.name} {model.model_id}"
        yield Item(MODELS, model.model_id, name, size, marks.why(model.model_id))


def _run_items(root: Path, held: Holdings, marks: Marks) -> Iterator[Item]:
    """Those nested in others first: what points goes before what it points to."""
    for run in sorted(held.runs, key=lambda one: PARENT_TAG not in one.data.tags):
        run_id, info = run.info.run_id, run.info
        name = f"{info.run_name or 'run'} ({run_id[:8]})"
        yield Item(RUNS, run_id, name, size_of(info.artifact_uri, root), marks.why(run_id))
