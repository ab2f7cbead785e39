"""A comparison: everything that is known of networks that were measured alike, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from symbio.compare.cost import Cost, costs, measured_at_registration
from symbio.compare.differ import frames_that_differ, values_of
from symbio.compare.gains import Compared, metrics_compared
from symbio.compare.labels import KINDS
from symbio.compare.measured import Measured
from symbio.compare.network import Looked, look, network_of, prepared_here
from symbio.compare.sides import Row, classes_compared, ranges_compared
from symbio.compare.subject import Subject
from symbio.data.shards import Shards
from symbio.evaluate.held_out import held_out, picture_name
from symbio.evaluate.protocol import protocol_named
from symbio.params import Params

HELD_OUT, GAINED, LOST = "held out", "gains most", "loses most"
"""Why a frame is shown."""

_IDENTITY = (
    "dataset", "protocol", "aggregation", "split", "split_sha256", "data_sha256", "num_images",
    "label_space", "maps_sha256",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame with the panels of all."""

    picture: str
    """Name of the picture in the evaluations' artifacts."""
    key: str | None
    """None where the frames are not here."""
    why: str
    values: list[float | None]
    """Of each subject, by the protocol's first metric."""
    panels: list[bytes]
    """Of each subject, PNG."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it."""

    subjects: list[Subject]
    measured: dict[str, Any]
    """What was measured: the same for all."""
    weights: list[str]
    """SHA-256 of each network's."""
    notes: list[str]
    """What a reader must know."""
    metric: str
    """The protocol's first, by which frames are ranked."""
    metrics: list[Compared]
    ranges: list[Row]
    classes: dict[str, list[Row]]
    """"truth" and "pseudo", where they can be compared."""
    frames: list[Shown]
    cost: list[Cost]

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without the panels."""
        subjects = [
            {
                "uri": one.uri,
                "title": one.title,
                "version": None if one.version is None else one.version.uri,
                "trained_by": one.trained.run_id,
                "weights_sha256": weights,
            }
            for one, weights in zip(self.subjects, self.weights, strict=True)
        ]
        return {
            "subjects": subjects,
            "measured": self.measured,
            "notes": self.notes,
            "metrics": [asdict(one) for one in self.metrics],
            "ranges": self.ranges,
            "classes": self.classes,
            "frames": [
                {"picture": one.picture, "key": one.key, "why": one.why, "values": one.values}
                for one in self.frames
            ],
            "cost": [asdict(one) for one in self.cost],
        }


def compare(
    params: Params,
    root: Path,
    subjects: Sequence[Subject],
    measured: Sequence[Measured],
    labels: Sequence[str],
    notes: Sequence[str],
    aside: Path,
) -> Comparison:
    """Put everything side by side.

    Args:
        params: of the experiment.
        root: the project's folder.
        subjects: two or more.
        measured: a measurement of each, all alike.
        labels: against which classes can be compared, of `labels.KINDS`.
        notes: what there is to say of them.
        aside: a folder for downloads.

    Raises:
        SymbioError: a network or a prepared frame is broken; the store refuses, or is away.
    """
    metrics = measured[0].metrics
    metric = protocol_named(str(metrics["protocol"])).metrics[0]
    prepared = prepared_here(root, metrics)
    wanted = {} if prepared is None else _wanted(prepared, measured, metric)
    looked = [
        _looked(params, root, one, told, list(wanted), aside / f"network-{number}")
        for number, (one, told) in enumerate(zip(subjects, measured, strict=True))
    ]
    frames, told_of_them = _drawn(prepared, wanted, measured, looked, metric)
    using = [
        measured_at_registration(root, one, aside / f"package-{number}")
        for number, one in enumerate(subjects)
    ]
    left_out = [f"{kind}_" for kind in KINDS if kind not in labels]
    return Comparison(
        subjects=list(subjects),
        measured={key: metrics.get(key) for key in _IDENTITY},
        weights=[str(one.metrics["weights_sha256"]) for one in measured],
        notes=[*notes, *told_of_them],
        metric=metric,
        metrics=metrics_compared(measured, left_out),
        ranges=ranges_compared(measured),
        classes={kind: classes_compared(measured, kind) for kind in labels},
        frames=frames,
        cost=costs(subjects, looked, using),
    )


def _wanted(prepared: Shards, measured: Sequence[Measured], metric: str) -> dict[str, str]:
    """Key of each frame to draw -> why."""
    wanted = {
        one.key: GAINED if one.gain > 0 else LOST for one in frames_that_differ(measured, metric)
    }
    split = str(measured[0].metrics["split"])
    return wanted | {key: HELD_OUT for key in held_out(prepared.splits[split]) if key not in wanted}


def _looked(
    params: Params, root: Path, subject: Subject, told: Measured, keys: list[str], into: Path
) -> Looked | None:
    folder = network_of(subject, str(told.metrics["weights_sha256"]), root, into)
    if folder is None:
        return None
    return look(params, root, subject, folder, told.metrics, keys)


def _drawn(
    prepared: Shards | None,
    wanted: Mapping[str, str],
    measured: Sequence[Measured],
    looked: Sequence[Looked | None],
    metric: str,
) -> tuple[list[Shown], list[str]]:
    """Frames with panels of all: made anew where that can be, else those that were logged.

    Returns:
        The frames, and what there is to say of them.
    """
    if prepared is not None and all(one is not None for one in looked):
        drawn = [
            Shown(
                picture_name(prepared, key),
                key,
                why,
                values_of(measured, key, metric),
                [one.pictures[key] for one in looked if one is not None],
            )
            for key, why in wanted.items()
        ]
        return drawn, []
    missing = "the frames are not prepared here" if prepared is None else "a network is not here"
    common = sorted(set.intersection(*(set(one.pictures) for one in measured)))
    note = (
        f"Pictures are those that were logged, since {missing}."
        if common
        else f"There are no pictures: {missing}, and none were logged that all have."
    )
    split = str(measured[0].metrics["split"])
    keys = {} if prepared is None else {
        picture_name(prepared, key): key for key in prepared.splits[split]
    }  # fmt: skip
    nothing: list[float | None] = [None] * len(measured)
    logged = [
        Shown(
            name,
            keys.get(name),
            HELD_OUT,
            values_of(measured, keys[name], metric) if name in keys else nothing,
            [one.pictures[name].read_bytes() for one in measured],
        )
        for name in common
    ]
    return logged, [note]
