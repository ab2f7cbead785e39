"""The tables as blocks: one for each protocol, and what must be known of its rows."""

from __future__ import annotations

from collections.abc import Sequence

from symbio.blocks import Block, Heading, Points, Table, Text
from symbio.evaluate.metrics import metric_named
from symbio.evaluate.protocol import PROTOCOLS, protocol_named
from symbio.table.published import METRICS, NOT_VERIFIED, TEST_FRAMES, Published
from symbio.table.registered import Measured

_WORDS = ("mirrored views", "trained on", "source")
"""Columns behind those of the metrics."""
_RECALLED = "r"


def blocks_of(
    dataset: str, published: Sequence[Published], measured: Sequence[Measured]
) -> list[Block]:
    """Every protocol that anything was measured by, in a section of its own.

    Args:
        dataset: its name.
        published: published results of it.
        measured: registered versions of it.
    """
    there = {one.protocol for one in published} | {str(one.metrics["protocol"]) for one in measured}
    blocks: list[Block] = [
        Text(
            "A table holds numbers of one protocol, which are comparable with each other; numbers "
            "of two tables are not. Lower is better but for d1 and mIoU. A number followed by "
            f"{_RECALLED} is recalled and was not read in a source; - was not seen."
        )
    ]
    for name in PROTOCOLS:
        if name in there:
            blocks += _section(
                name,
                [one for one in published if one.protocol == name],
                [one for one in measured if one.metrics["protocol"] == name],
            )
    blocks += _not_verified([one for one in published if one.protocol == NOT_VERIFIED])
    if not measured:
        blocks.append(
            Text(
                f"No version of symbio-{dataset} with scores is registered here; `symbio register "
                f"{dataset}` makes one."
            )
        )
    return blocks


def _section(
    name: str, published: Sequence[Published], measured: Sequence[Measured]
) -> list[Block]:
    ours = [one for one in measured if _on_the_benchmark(one)]
    others = [one for one in measured if not _on_the_benchmark(one)]
    metrics = [metric for metric in METRICS if _known(metric, published, measured)]
    blocks: list[Block] = [Heading(name), Text(f"{protocol_named(name).summary}.")]
    rows = [
        *(_published(one, metrics) for one in published),
        *(_ours(one, metrics) for one in ours),
    ]
    if rows:
        blocks.append(_table(metrics, rows))
    if others:
        wanted = TEST_FRAMES.get(name)
        benchmark = "" if wanted is None else f", which are {wanted} with depth"
        blocks += [
            Text(
                "Scored by the same rules on frames that are not the benchmark's"
                f"{benchmark}: these numbers say nothing beside published ones."
            ),
            _table(metrics, [_ours(one, metrics) for one in others]),
            Points([_on_what(one) for one in others]),
        ]
    return blocks


def _not_verified(published: Sequence[Published]) -> list[Block]:
    if not published:
        return []
    metrics = [metric for metric in METRICS if _known(metric, published, ())]
    return [
        Heading("Protocol not verified"),
        Text(
            "By which crop, cap and average these were measured was not read in their code, or it "
            "is known to be none of symbio's: each row stands alone, and is comparable neither "
            "with another nor with any table above."
        ),
        _table(metrics, [_published(one, metrics) for one in published]),
    ]


def _table(metrics: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    head = ["method", *(_titled(name) for name in metrics), *_WORDS]
    return Table(head, rows, frozenset(_WORDS))


def _titled(name: str) -> str:
    unit = metric_named(name).unit
    return f"{name} [{unit}]" if unit else name


def _published(one: Published, metrics: Sequence[str]) -> list[str]:
    cells = [
        f"{one.values[name]}{_RECALLED if name in one.recalled else ''}"
        if name in one.values
        else "-"
        for name in metrics
    ]
    return [one.method, *cells, one.flip, one.trained_on, one.source]


def _ours(one: Measured, metrics: Sequence[str]) -> list[str]:
    values = one.metrics["trained"]
    cells = ["nan" if values.get(n, 0.0) is None else _number(values.get(n)) for n in metrics]
    flip = "yes" if one.metrics.get("flip") else "no"
    return [one.called, *cells, flip, one.trained_on, "this registry"]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _known(name: str, published: Sequence[Published], measured: Sequence[Measured]) -> bool:
    return any(name in one.values for one in published) or (
        name != "truth_miou" and any(name in one.metrics["trained"] for one in measured)
    )


def _on_the_benchmark(one: Measured) -> bool:
    """Whether the frames can be those of the published numbers: real, and as many with depth."""
    wanted = TEST_FRAMES.get(str(one.metrics["protocol"]))
    return not one.rendered and int(one.metrics["num_images_scored"]) == wanted


def _on_what(one: Measured) -> str:
    count, data = one.metrics["num_images_scored"], str(one.metrics["data_sha256"])[:12]
    flip = ", mirrored views averaged in" if one.metrics.get("flip") else ""
    return f"{one.called}{flip}: {count} frames of the data {data}, trained on {one.trained_on}"
