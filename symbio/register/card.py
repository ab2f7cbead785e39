"""The model card: what a version is, how good it is, and what it must not be used for.

One list of blocks becomes MODEL_CARD.md, MODEL_CARD.html (with pictures) and, as far as it fits,
the version's description in MLflow. What a reader must not miss stands first: cutting begins at the
end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symbio.blocks import Block, Heading, Points, Table, Text
from symbio.data.classes import ClassSpace
from symbio.data.images import decode_rgb
from symbio.errors import SymbioError
from symbio.evaluate.metrics import metric_named
from symbio.evaluate.paired import RESAMPLES, SEED, Interval
from symbio.model.saved import spoken
from symbio.register.usage import usage
from symbio.rendering import add_to, markdown_of
from symbio.report import Report

DESCRIPTION_LIMIT = 5000
"""Characters of a version's description: PostgreSQL refuses more in MLflow's table."""

_SPACES = {"ade20k": "ADE20K", "nyu40": "NYU40", "nyu13": "NYU13", "cityscapes19": "Cityscapes"}
_TERMS = {
    "nyu": "NYU Depth V2 is offered for research; see its authors' page before any other use.",
    "kitti": "KITTI is CC BY-NC-SA 3.0: not for commercial use, share alike.",
}
_PREDICTORS = ("trained", "constant", "untrained")
_BOOKKEEPING = ("symbio.dataset", "symbio.key", "symbio.stage")
"""Tags that say nothing of how a version was made."""
_CUT = "\n\nThe rest is in MODEL_CARD.html, in the artifacts of the version's model.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a card tells."""

    name: str
    """Of the registered model."""
    card: Mapping[str, Any]
    """model.json."""
    metrics: Mapping[str, Any]
    """metrics/{d}.json."""
    lineage: Mapping[str, str]
    """Tags of the run that trained it."""
    measured: Mapping[str, Any] | None = None
    """From `symbio.register.measured`; None: not measured."""
    onnx: str = ""
    """The outcome of the export: "checked, ..." or "none: reason"; "": not tried."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """From `symbio.register.intervals`."""


def card_text(facts: Facts) -> str:
    """MODEL_CARD.md."""
    return markdown_of(facts.name, [*_result(facts), *_rest(facts)])


def card_page(facts: Facts, pictures: Path) -> str:
    """MODEL_CARD.html, which needs no other file.

    Args:
        facts: what it tells.
        pictures: folder of the evaluation's pictures of held-out frames; may not be there.
    """
    report = Report(facts.name)
    add_to(report, list(_result(facts)))
    files = sorted(pictures.glob("*.png"))
    if files:
        report.heading("Pictures")
        report.text(
            f"Frames of the {facts.metrics.get('split', 'test')} split that every evaluation of "
            "the data set shows, good or bad."
        )
    for file in files:
        report.picture(decode_rgb(file.read_bytes(), str(file)), f"frame {file.stem}")
    add_to(report, list(_rest(facts)))
    return report.page()


def description_of(facts: Facts) -> str:
    """The card for MLflow's page of the version, cut between two sections where it is too long."""
    title, *sections = re.split(r"\n(?=## )", card_text(facts))
    # The page of the version has the title already.
    text = title.split("\n", 2)[2]
    for section in sections:
        if len(text) + 1 + len(section) + len(_CUT) > DESCRIPTION_LIMIT:
            return text[: DESCRIPTION_LIMIT - len(_CUT)].rstrip() + _CUT
        text += f"\n{section}"
    return text


def _result(facts: Facts) -> Iterator[Block]:
    yield Text(_what(facts.card))
    yield from _scores(facts)


def _rest(facts: Facts) -> Iterator[Block]:
    yield Heading("Limits")
    yield Points(list(_limits(facts.card)))
    yield Heading("Terms")
    yield Text(_terms(facts.card))
    yield from usage(facts.name, facts.card, facts.onnx.startswith("checked"))
    yield from _cost(facts)
    yield Heading("Data")
    yield Text(_data(facts.card))
    yield Points(list(_told(facts.lineage, data=True)))
    yield Heading("Where it comes from")
    yield Text(
        f"symbio lineage models:/{facts.name}/VERSION tells all of it, and symbio reproduce makes "
        "it again."
    )
    yield Points(
        [*_told(facts.lineage, data=False), f"weights: SHA-256 {facts.card['weights_sha256']}"]
    )
    space = spoken(facts.card)
    if space is not None:
        yield Heading("Classes")
        yield Text(", ".join(f"{number} {label}" for number, label in enumerate(space.names)))


def _what(card: Mapping[str, Any]) -> str:
    model = card["model"]
    height, width = card["image_size"]
    space = spoken(card)
    what = "Depth" if space is None else f"Depth and {len(space.names)} {_titled(space)} classes"
    exchange = model["symbiosis"]["exchange"]
    return (
        f"{what} from one image. Encoder {model['encoder']}, symbiosis {exchange}, "
        f"{card['parameters'] / 1e6:.2f} M parameters, trained at {width}x{height} pixels."
    )


def _scores(facts: Facts) -> Iterator[Block]:
    metrics = facts.metrics
    yield Heading("Scores")
    yield Text(
        f"Protocol {metrics['protocol']} on {metrics['num_images']} images of the "
        f"{metrics.get('split', 'test')} split. constant: the best single depth and class, chosen "
        "on these very images; untrained: the same network with random weights."
    )
    yield scores_table(metrics, facts.intervals)
    if facts.intervals:
        yield Text(
            f"95 %: the images drawn with return {RESAMPLES} times (seed {SEED}), the middle 95 % "
            "of the means. Images of one scene resemble each other, so over scenes it is wider. "
            "Scores that are no mean over images have none."
        )


def scores_table(metrics: Mapping[str, Any], intervals: Mapping[str, Interval]) -> Table:
    """Trained network and what it is compared with, one metric a row."""
    shown = [one for one in _PREDICTORS if isinstance(metrics.get(one), Mapping)]
    scores = {one: _numbers(metrics[one]) for one in shown}
    head = ["metric", "better", *shown]
    if intervals:
        head.insert(3, "95 %")
    rows = []
    # What has a direction first, then counts.
    for key in sorted(scores["trained"], key=lambda one: not _better(one)):
        cells = [_cell(scores[one].get(key)) for one in shown]
        if intervals:
            found = intervals.get(key)
            cells.insert(1, "" if found is None else f"{found.low:.4g} to {found.high:.4g}")
        rows.append([key, _better(key), *cells])
    return Table(head, rows, frozenset({"better"}))


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {
        key: float(value)
        for key, value in scores.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _better(key: str) -> str:
    """Which way a score is better; "" for a count."""
    try:
        return "higher" if metric_named(key).higher_is_better else "lower"
    except SymbioError:
        return ""


def _limits(card: Mapping[str, Any]) -> Iterator[str]:
    low, high = card["depth_range"]
    height, width = card["image_size"]
    yield f"Depth lies between {low:g} and {high:g} m by construction: nothing else is ever said."
    yield (
        "Depth is metric for cameras with the field of view of the training pictures only; "
        "with other lenses it is off by a factor."
    )
    yield (
        f"Pictures are brought to {width}x{height} pixels: details smaller than a few of those "
        "pixels are lost, and other shapes are stretched."
    )
    if spoken(card) is not None:
        yield "Classes were learnt from another network's labels, its mistakes included."
    yield (
        "Scores hold for the images of this protocol. Other scenes, weather, night and reflecting "
        "or transparent surfaces were not measured."
    )
    yield "Not for decisions about safety."


def _terms(card: Mapping[str, Any]) -> str:
    pretrained = (
        f" The encoder began from timm's {card['model']['encoder']} weights, which have terms of "
        "their own."
        if card["model"].get("pretrained")
        else ""
    )
    data = _TERMS.get(str(card["dataset"]))
    if data is None:
        return f"See the terms of the data set {card['dataset']}.{pretrained}"
    return (
        f"{data} That holds for weights trained on the official files; a model of the rendered "
        f"sample carries no such terms.{pretrained}"
    )


def _cost(facts: Facts) -> Iterator[Block]:
    """Time and memory of a prediction."""
    yield Heading("Speed and memory")
    found = facts.measured
    if found is None:
        yield Text("Not measured.")
    else:
        yield Text(
            f"On {found['device']} with {_counted(found['threads'], 'thread')}, in a process of "
            f"its own: loaded in {found['load_s']} s, at most {found['peak_rss_mib']} MiB of memory"
            + (f" and {found['peak_gpu_mib']} MiB on the GPU." if "peak_gpu_mib" in found else ".")
        )
        yield Table(
            ["pictures", "at once", "ms a picture (median)", "ms (90 %)"],
            [
                [size, at_once, _cell(times["median"]), _cell(times["p90"])]
                for size, batches in found["picture_ms"].items()
                for at_once, times in batches.items()
            ],
        )
    yield Text(f"ONNX: {facts.onnx or 'not exported'}.")


def _counted(count: int, one: str) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def _data(card: Mapping[str, Any]) -> str:
    space = spoken(card)
    classes = ""
    if space is not None:
        teacher = "from a teacher network (pseudo-labels, not ground truth)"
        classes = f" and {_titled(space)} classes {teacher}"
    return f"Trained on {card['dataset']} with depth of that data set{classes}."


def _told(lineage: Mapping[str, str], data: bool) -> Iterator[str]:
    """The tags of the data, or the others, by their names."""
    for key, value in sorted(lineage.items()):
        if key.startswith("symbio.data.") is data and key not in _BOOKKEEPING:
            yield f"{key.removeprefix('symbio.').removeprefix('data.')}: {value}"


def _titled(space: ClassSpace) -> str:
    return _SPACES.get(space.name, space.name)
