"""The page of a comparison: tables, and frames to flip through; it needs no other file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from symbio.compare.comparison import Comparison, Shown
from symbio.compare.sides import RANGE_METRICS
from symbio.compare.told import direction, interval, shown, verdict
from symbio.report import Report

_CLASSES_SHOWN = 40
_VIEWER = Path(__file__).with_name("viewer.html")


def write_page(path: Path, comparison: Comparison) -> None:
    """Write the page, whole."""
    titles = [one.title for one in comparison.subjects]
    report = Report(" and ".join(titles))
    _who(report, comparison)
    _metrics(report, comparison)
    report.heading("Frames")
    if comparison.frames:
        report.element(viewer(titles, comparison.metric, comparison.frames))
    _ranges(report, comparison, titles)
    _classes(report, comparison, titles)
    _cost(report, comparison, titles)
    report.heading("What was measured")
    report.table([(key, shown(one)) for key, one in comparison.measured.items()], ["", "value"])
    report.write(path)


def viewer(titles: Sequence[str], metric: str, frames: Sequence[Shown]) -> str:
    """The frames as an element: one picture in place of the other at a click or a key.

    Without scripts all pictures stand below each other.

    Args:
        titles: of the subjects.
        metric: whose values stand below a frame.
        frames: each with a panel of every subject.
    """
    figures = "".join(_figure(titles, metric, frame) for frame in frames)
    buttons = "".join(
        f'<button type="button" data-subject="{number}">{number + 1} {html.escape(title)}</button>'
        for number, title in enumerate(titles)
    )
    options = "".join(
        f'<option value="{number}">{html.escape(_named(frame))}: {html.escape(frame.why)}</option>'
        for number, frame in enumerate(frames)
    )
    text = _VIEWER.read_text(encoding="utf-8")
    for place, markup in (("buttons", buttons), ("options", options), ("figures", figures)):
        text = text.replace(f"<!-- {place} -->", markup)
    return text


def _figure(titles: Sequence[str], metric: str, frame: Shown) -> str:
    pictures = "".join(
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}" '
        f'alt="{html.escape(title)}">'
        for title, png in zip(titles, frame.panels, strict=True)
    )
    values = ", ".join(
        f"{title} {value:.4f}"
        for title, value in zip(titles, frame.values, strict=True)
        if value is not None
    )
    told = f"{_named(frame)} ({frame.picture}), {frame.why}"
    told += f"; {metric}: {values}" if values else ""
    return f"<figure>{pictures}<figcaption>{html.escape(told)}</figcaption></figure>"


def _named(frame: Shown) -> str:
    return frame.key or frame.picture


def _who(report: Report, comparison: Comparison) -> None:
    rows = [
        (one.title, one.uri, one.trained.name, weights[:12])
        for one, weights in zip(comparison.subjects, comparison.weights, strict=True)
    ]
    headers = ["", "address", "run", "weights, SHA-256"]
    report.table(rows, headers, words=headers)
    if comparison.notes:
        report.points(comparison.notes)


def _metrics(report: Report, comparison: Comparison) -> None:
    first, *others = comparison.subjects
    report.heading("Metrics")
    headers = ["", first.title]
    for other in others:
        headers += [other.title, f"{other.title}: gain", "95 % interval"]
    rows = []
    for metric in comparison.metrics:
        row = [direction(metric), shown(metric.values[0])]
        for value, gain in zip(metric.values[1:], metric.gains, strict=True):
            row += [shown(value), verdict(gain), interval(gain)]
        rows.append(row)
    report.table(rows, headers, words=["95 % interval"])
    report.text(
        f"Gains are over {first.title}, in shares of its value; intervals are in the metric's own "
        "unit and positive where the other is better. They are of a bootstrap over the frames, "
        "drawn in pairs: frames of one scene resemble each other, so they are narrower than over "
        "scenes."
    )


def _ranges(report: Report, comparison: Comparison, titles: Sequence[str]) -> None:
    report.heading("By distance")
    if not comparison.ranges:
        report.text("Not known of all, or by other ranges.")
        return
    for name in RANGE_METRICS:
        headers = ["true depth, m", "pixels", *(f"{name}: {title}" for title in titles)]
        headers += [f"change, {title}" for title in titles[1:]]
        rows = [
            [
                _between(one["from_m"], one["to_m"]),
                one["pixels"],
                *map(shown, one[name]["values"]),
                *map(_signed, one[name]["change"]),
            ]
            for one in comparison.ranges
        ]
        report.table(rows, headers)


def _classes(report: Report, comparison: Comparison, titles: Sequence[str]) -> None:
    for labels, classes in comparison.classes.items():
        if not classes:
            continue
        report.heading(f"By class, against {labels} labels")
        headers = ["IoU", *titles, *(f"change, {title}" for title in titles[1:])]
        rows = [
            [one["class"], *map(shown, one["iou"]), *map(_signed, one["change"])]
            for one in classes[:_CLASSES_SHOWN]
        ]
        report.table(rows, headers)
        if len(classes) > _CLASSES_SHOWN:
            report.text(
                f"{len(classes) - _CLASSES_SHOWN} classes that change less are in comparison.json."
            )


def _cost(report: Report, comparison: Comparison, titles: Sequence[str]) -> None:
    report.heading("Cost")
    rows = [
        [f"{one.what}, {one.unit}" if one.unit else one.what, *map(shown, one.values)]
        for one in comparison.cost
    ]
    report.table(rows, ["", *titles])


def _between(low: float, high: float | None) -> str:
    return f"{low:g} and more" if high is None else f"{low:g} to {high:g}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"
