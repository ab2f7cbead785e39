"""report.html: the verdict, every kind of finding, pictures and histograms."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from symbio.check.checked import Checked
from symbio.check.finding import NOTES, WRONG, by_kind
from symbio.check.verdict import origin_of, verdict_of
from symbio.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LISTED = 200
_SHARE_BINS = 40


def page_of(checked: Checked) -> Report:
    """The page, self-contained."""
    page = Report(f"Check of {checked.dataset}: {checked.raw} ({checked.layout})")
    page.text(verdict_of(checked) + f". Took {checked.seconds:.1f} s.")
    _kinds(page, checked)
    _totals(page, checked)
    _splits(page, checked)
    if checked.contact is not None:
        page.heading("Frames spread over each split")
        page.picture(checked.contact, "Image, depth (black: no measurement), labels (grey: none)")
    if any(checked.valid_shares.values()):
        page.heading("Depth")
        page.figure(_depth(checked), "Depth of the frames that can be read")
    _classes(page, checked)
    _left_out(page, checked)
    _all(page, checked)
    return page


def _kinds(page: Report, checked: Checked) -> None:
    page.heading("Found")
    rows = [
        ("wrong" if group[0].wrong else "note", kind, len(group), {**WRONG, **NOTES}[kind])
        for kind, group in by_kind(checked.findings).items()
    ]
    if rows:
        words = ("kind", "what to do, or what it means")
        page.table(rows, ("", "kind", "found", "what to do, or what it means"), words)
    else:
        page.text("Nothing: every listed file is there, can be decoded and is what it should be.")


def _totals(page: Report, checked: Checked) -> None:
    page.heading("Listed frames")
    rows = []
    for total in checked.totals:
        known = ", ".join(f"{one.listed}: {one.name}" for one in total.expected) or "–"
        name = total.published.name if total.published else "–"
        rows.append((total.split, total.listed, total.whole, name, known))
    words = ("is", "published")
    page.table(rows, ("list", "listed", "with all files", "is", "published"), words)
    if origin := origin_of(checked):
        page.text(f"{origin}.")


def _splits(page: Report, checked: Checked) -> None:
    page.heading("Frames that can be read")
    rows = []
    for name, split in checked.splits.items():
        depth = split["depth"]
        measured = "min_m" in depth
        rows.append(
            (
                name,
                split["frames"],
                split["scenes"],
                split["frames_with_truth"],
                f"{100 * depth['valid_share']:.1f} %",
                f"{depth['min_m']:.3g} – {depth['max_m']:.4g}" if measured else "–",
                f"{depth['quantiles_m']['0.5']:.3g}" if measured else "–",
                f"{100 * checked.saturated[name]:.2f} %",
                ", ".join(f"{size} ({count})" for size, count in split["sizes"].items()) or "–",
            )
        )
    headers = (
        "split", "frames", "scenes", "with labels", "measured pixels", "depth, m", "median, m",
        "at the largest depth", "height x width (frames)",
    )  # fmt: skip
    page.table(rows, headers)
    page.text(
        "Val is held out of the training list. A large share of pixels at the largest depth says "
        "that the sensor, or a conversion, cut depth off there."
    )


def _depth(checked: Checked) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2))
    metres, shares = figure.subplots(1, 2)
    for name, split in checked.splits.items():
        _stairs(metres, split["depth"].get("histogram"), name)
        if of := checked.valid_shares[name]:
            counts, edges = np.histogram(of, bins=_SHARE_BINS, range=(0.0, 1.0))
            shares.stairs(counts / len(of), edges, label=name)
    metres.set(xlabel="depth, m", ylabel="share of measured pixels")
    shares.set(xlabel="measured share of a frame's pixels", ylabel="share of frames")
    for axes in (metres, shares):
        axes.legend()
    figure.tight_layout()
    return figure


def _stairs(axes: Axes, histogram: dict[str, Any] | None, name: str) -> None:
    if histogram and (total := sum(histogram["pixels"])):
        axes.stairs(
            [count / total for count in histogram["pixels"]], histogram["edges_m"], label=name
        )


def _classes(page: Report, checked: Checked) -> None:
    known = {name: split["classes"] for name, split in checked.splits.items() if split["classes"]}
    if not known:
        return
    page.heading("Class balance")
    totals = {name: max(1, sum(c["pixels"].values())) for name, c in known.items()}
    labels = next(iter(known.values()))["pixels"]
    rows = [
        (label, *(f"{100 * c['pixels'][label] / totals[s]:.2f} %" for s, c in known.items()))
        for label in labels
    ]
    rows.append(("pixels not scored", *(str(c["not_scored"]) for c in known.values())))
    page.table(rows, ("class", *known))


def _left_out(page: Report, checked: Checked) -> None:
    if not checked.skipped:
        return
    page.heading("Left out by the lists")
    counts = Counter((skipped.split, skipped.reason) for skipped in checked.skipped)
    rows = [(*key, number) for key, number in sorted(counts.items())]
    page.table(rows, ("split", "reason", "frames"), ("reason",))


def _all(page: Report, checked: Checked) -> None:
    for kind, group in by_kind(checked.findings).items():
        page.heading(f"{kind}: {len(group)}")
        rows = [(one.file, one.split or "–", one.what) for one in group[:_LISTED]]
        page.table(rows, ("file", "split", "what"), ("split", "what"))
        if len(group) > _LISTED:
            page.text(f"{len(group) - _LISTED} more stand in check.json.")
