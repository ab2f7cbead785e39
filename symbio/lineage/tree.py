"""What a registered version was made of, as a tree: data, code, params, machines, runs.

What is not known is said in a node's words ("not in DVC", "no run in this store"): a version that
somebody else registered, or an old one, has a tree too, with less in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from symbio.lineage.history import History, Run
from symbio.lineage.recorded import Recorded, deps_of, outs_of
from symbio.params import section_in
from symbio.tracking.training import HOSTS_TAG

VERSION = "version"
"""Key of the version's own node."""

_NOT_IN_DVC, _NO_RUN = "not in DVC", "no run in this store"
_STALE = " (stale)"
_SHORT = 12
_LIBRARIES = ("torch", "timm", "deepspeed", "numpy")


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that a version was made of, or one that was made of the version."""

    what: str
    """In a word or two: "training"."""
    identity: str = ""
    """Its hash, whole; "" where it has none."""
    details: tuple[str, ...] = ()
    run_id: str | None = None
    """Of the run in the tracking store that did it."""
    address: str | None = None
    """Where a browser finds that run; None: the store is no server."""
    sources: tuple[str, ...] = ()
    """Keys of the nodes that it was made of."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes by key, each after those that it was made of."""

    title: str
    nodes: Mapping[str, Node]

    def runs(self) -> dict[str, str]:
        """Key of a node -> id of the run that did it, of what the version was made of."""
        since = self.since()
        return {
            key: node.run_id
            for key, node in self.nodes.items()
            if node.run_id is not None and key not in since
        }

    def since(self) -> list[str]:
        """Keys of what happened to the version after it was registered."""
        return [key for key, node in self.nodes.items() if VERSION in node.sources]


def short(identity: str) -> str:
    """A hash as people read it: its first digits. A name stays itself."""
    digits = identity.removesuffix(".dir")
    is_hash = len(digits) >= 32 and all(one in "0123456789abcdef" for one in digits)
    return identity[:_SHORT] if is_hash else identity


def tree_of(record: Recorded, history: History, gap: str | None = None) -> Tree:
    """The lineage of a version.

    Args:
        record: what the store holds of how it came about.
        history: its runs, and what happened to it since.
        gap: why the record holds so little, if it does.
    """
    nodes: dict[str, Node] = {}
    for key, node in (*_data(record, history), *_recipe(record), *_study(history)):
        nodes[key] = node
    # A model that came from elsewhere: code and params are those that registered it.
    trained_here = history.run is not None and history.run.stage != "register"
    inputs = tuple(key for key in ("prepared", "labels") if key in nodes)
    made_with = tuple(key for key in ("params", "code", "environment") if key in nodes)
    trained_from = (*inputs, *(made_with if trained_here else ()))
    nodes["training"] = _training(record, history, trained_from)
    nodes["evaluation"] = _evaluation(record, ("training", *inputs))
    sources = ("evaluation", *(() if trained_here else made_with))
    nodes[VERSION] = _version(record, history, sources, gap)
    for number, node in enumerate(_since(history)):
        nodes[f"since-{number}"] = node
    return Tree(record.version.uri, nodes)


def _data(record: Recorded, history: History) -> Iterator[tuple[str, Node]]:
    """Raw data, prepared frames, teacher and labels."""
    dataset, tags = record.dataset, record.version.tags
    raw = section_in(record.params, dataset).get("raw")
    made_of: tuple[str, ...] = ()
    if raw is not None:
        rendered = raw in outs_of(record.dvc_lock, f"sample@{dataset}")
        known = deps_of(record.dvc_lock, f"prepare@{dataset}").get(raw)
        told = ("rendered by `symbio sample`",) if rendered else ()
        yield "raw", _folder("raw data", raw, tags, known, told=told)
        made_of = ("raw",)
    prepared, labels = f"data/prepared/{dataset}", f"data/pseudo/{dataset}"
    known = outs_of(record.dvc_lock, f"prepare@{dataset}").get(prepared)
    yield "prepared", _folder("prepared frames", prepared, tags, known, made_of)
    teacher = tags.get("symbio.teacher")
    made_of = ("prepared",)
    if teacher is not None:
        digest = tags.get("symbio.teacher_sha256", "")
        yield "teacher", Node("teacher", digest, (teacher,))
        made_of = ("prepared", "teacher")
    known = outs_of(record.dvc_lock, f"label@{dataset}").get(labels)
    written, run = _folder("labels", labels, tags, known, made_of), history.labelling
    if run is not None:
        written = replace(written, run_id=run.run_id, address=run.address)
    yield "labels", written


def _folder(
    what: str,
    path: str,
    tags: Mapping[str, str],
    known: Mapping[str, Any] | None,
    sources: tuple[str, ...] = (),
    told: tuple[str, ...] = (),
) -> Node:
    """A folder that DVC tracks; `known` is its entry in dvc.lock."""
    tagged = tags.get(f"symbio.data.{path}", "")
    identity = tagged.removesuffix(_STALE) or str((known or {}).get("md5", ""))
    details = [path, *told]
    if known is not None and known.get("md5") == identity:
        size, files = known.get("size"), known.get("nfiles")
        parts = (files is not None and f"{files} files", size is not None and _bytes(size))
        details += [", ".join(part for part in parts if part)]
    if tagged.endswith(_STALE):
        details.append("changed after DVC had hashed it")
    if identity in ("", _NOT_IN_DVC):
        index = tags.get(f"symbio.index.{path}")
        told_index = f"; its index is {short(index)}" if index else ""
        identity, details = "", [*details, f"{_NOT_IN_DVC}{told_index}"]
    return Node(what, identity, tuple(filter(None, details)), sources=sources)


def _recipe(record: Recorded) -> Iterator[tuple[str, Node]]:
    """Code, params and libraries."""
    tags, lineage = record.version.tags, record.lineage
    git = lineage.get("git") or {}
    commit = record.commit or ""
    told = [f"branch {git['branch']}" if git.get("branch") else "", git.get("remote") or ""]
    dirty = tags.get("symbio.git_diff_sha256")
    if dirty is not None:
        told.append(f"and uncommitted changes {short(dirty)}")
        told.append("" if record.diff is not None else "(they were not kept)")
    elif tags.get("symbio.git_dirty") == "true":
        told.append("and uncommitted changes that are not known")
    if not commit:
        told.insert(0, "no commit is known")
    yield "code", Node("code", commit, tuple(filter(None, told)))
    yield "params", _params(record)
    versions = lineage.get("versions") or {}
    libraries = [f"{name} {versions[name]}" for name in _LIBRARIES if name in versions]
    python = tags.get("symbio.python")
    told = [f"Python {python}" if python else "", ", ".join(libraries)]
    told.append(str(lineage.get("platform") or ""))
    lock = tags.get("symbio.lock_sha256", "none")
    if lock == "none":
        lock, told = "", ["no requirements.lock is known", *told]
    yield "environment", Node("environment", lock, tuple(filter(None, told)))


def _params(record: Recorded) -> Node:
    tags, params = record.version.tags, record.params
    told = []
    config = tags.get("symbio.config_sha256")
    if config is not None:
        told.append(f"without the seed: {short(config)}")
    train, model = params.get("train") or {}, params.get("model") or {}
    if train:
        told.append(f"{train.get('steps')} steps of {train.get('batch')} frames")
    if model:
        exchange = (model.get("symbiosis") or {}).get("exchange")
        told.append(f"encoder {model.get('encoder')}, symbiosis {exchange}")
    if not params:
        told.append("their values were not kept")
    return Node("params", tags.get("symbio.params_sha256", ""), tuple(told))


def _study(history: History) -> Iterator[tuple[str, Node]]:
    origin = history.origin
    if origin is None:
        return
    yield "study", Node("study", "", (origin.study,), origin.run_id, origin.address)
    told = (f"number {origin.trial}", *origin.told)
    own = (origin.trial_run_id, origin.trial_address)
    yield "trial", Node("trial", "", told, *own, sources=("study",))


def _training(record: Recorded, history: History, sources: tuple[str, ...]) -> Node:
    tags, run = record.version.tags, history.run
    weights = tags.get("symbio.weights_sha256", "")
    if history.origin is not None:
        sources = ("trial", *sources)
    if run is None or run.stage == "register":
        why = "trained elsewhere" if run is not None else _NO_RUN
        return Node("training", weights, (why,), sources=sources)
    told = [run.name, _when(run)]
    hosts = tags.get(HOSTS_TAG) or tags.get("symbio.host", "")
    told.append(" · ".join(filter(None, (hosts, *_devices(record)))))
    ranks, threads = tags.get("symbio.ranks", ""), tags.get("symbio.threads", "")
    machines = [f"{ranks} {'rank' if ranks == '1' else 'ranks'}"] if ranks else []
    machines += [f"{threads} {'thread' if threads == '1' else 'threads'} each"] if threads else []
    seed = tags.get("symbio.seed")
    told.append(", ".join([*machines, f"seed {seed}"] if seed else machines))
    return Node(
        "training", weights, tuple(filter(None, told)), run.run_id, run.address, sources=sources
    )


def _devices(record: Recorded) -> list[str]:
    """What it trained on, alike ones once with their number."""
    if HOSTS_TAG in record.version.tags:
        # The ranks themselves said so.
        return [record.version.tags["symbio.devices"]]
    devices = record.lineage.get("devices") or [record.version.tags.get("symbio.devices", "")]
    counts = Counter(map(str, devices))
    return [one if count == 1 else f"{count} x {one}" for one, count in counts.items()]


def _evaluation(record: Recorded, sources: tuple[str, ...]) -> Node:
    metrics, tags = record.metrics, record.version.tags
    identity = tags.get("symbio.metrics_sha256", "")
    if not metrics:
        return Node("evaluation", identity, ("its scores were not kept",), sources=sources)
    split = metrics.get("split_sha256")
    told = [
        f"{metrics.get('protocol')}, {metrics.get('split')} split",
        f"{metrics.get('num_images')} frames" + (f", list {short(split)}" if split else ""),
    ]
    headline = _headline(metrics)
    return Node("evaluation", identity, (*told, *headline), sources=sources)


def _headline(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """The protocol's first metric and its value."""
    from symbio.evaluate.protocol import PROTOCOLS

    protocol, trained = PROTOCOLS.get(str(metrics.get("protocol"))), metrics.get("trained") or {}
    if protocol is None or trained.get(protocol.metrics[0]) is None:
        return ()
    return (f"{protocol.metrics[0]} {trained[protocol.metrics[0]]:.4g}",)


def _version(record: Recorded, history: History, sources: tuple[str, ...], gap: str | None) -> Node:
    told = [record.version.uri, *(f"@{alias}" for alias in history.aliases)]
    reproduced = record.version.tags.get("symbio.reproduced")
    told += [f"reproduced: {reproduced}"] if reproduced else []
    told += [gap] if gap else []
    manifest = record.version.tags.get("symbio.manifest_sha256", "")
    return Node("version", manifest, tuple(told), sources=sources)


def _since(history: History) -> Iterator[Node]:
    for one in history.evaluations:
        told = (f"{one.protocol}, {one.split} split", *one.told)
        yield Node("evaluated again", one.sha256, told, one.run_id, one.address, (VERSION,))
    for decision in history.decisions:
        reasons = tuple(decision.reasons)
        told = (decision.verdict, decision.time.replace("T", " ")[:16] + " UTC", *reasons)
        yield Node("decision", "", told, sources=(VERSION,))


def _when(run: Run) -> str:
    """When a run began and how long it took."""
    begun = datetime.fromtimestamp(run.started_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if run.ended_ms is None:
        return f"{begun}, {run.status.lower()}"
    ending = "" if run.status == "FINISHED" else f", {run.status.lower()}"
    return f"{begun}, {_duration((run.ended_ms - run.started_ms) / 1000)}{ending}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _bytes(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
