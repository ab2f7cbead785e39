"""report.html: what was read, what was stored, what was left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from symbio.pictures import Picture
from symbio.report import Report

_SHOWN = 200


def write_page(path: Path, report: dict[str, Any], contact: Picture) -> None:
    """Write the page from the content of report.json and the contact sheet."""
    header = report["header"]
    page = Report(f"Prepared data: {header['dataset']} ({header['layout']})")
    page.text(
        f"Depth is stored as uint16, {header['depth_scale']} units a metre, 0 = no measurement; "
        f"labels are ids of {header['label_space']}. Nothing is lost: JPEG files keep their bytes, "
        "all else is encoded anew, pixel for pixel."
    )
    _splits(page, report["splits"])
    _facts(page, header)
    page.heading("Frames of each split")
    page.picture(contact, "Image, depth (black: no measurement), labels (grey: none)")
    _depth(page, report["splits"])
    _classes(page, report["splits"])
    _left_out(page, report)
    page.write(path)


def _splits(page: Report, splits: dict[str, Any]) -> None:
    rows = []
    for name, split in splits.items():
        depth = split["depth"]
        sizes = ", ".join(f"{size} ({count})" for size, count in split["sizes"].items())
        rows.append(
            [
                name,
                split["frames"],
                split["scenes"],
                split["frames_with_truth"],
                split["frames_without_depth"],
                f"{100 * depth['valid_share']:.1f} %",
                f"{depth['min_m']:.3g} – {depth['max_m']:.4g}" if "min_m" in depth else "–",
                f"{depth['quantiles_m']['0.5']:.3g}" if "min_m" in depth else "–",
                sizes or "–",
            ]
        )
    headers = (
        "split", "frames", "scenes", "with labels", "without depth", "measured pixels",
        "depth, m", "median, m", "height x width (frames)",
    )  # fmt: skip
    page.table(rows, headers)


def _facts(page: Report, header: dict[str, Any]) -> None:
    page.heading("Where it comes from")
    rows: list[tuple[str, Any]] = []
    for key, value in header.items():
        if key not in ("dataset", "layout", "depth_scale", "label_space"):
            rows += _flat(key, value)
    page.table(rows, ("what", "value"))


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in _flat(f"{name}: {key}", inner)]
    if isinstance(value, list):
        return [(name, ", ".join(map(str, value)) or "–")]
    return [(name, value)]


def _depth(page: Report, splits: dict[str, Any]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    axes = figure.subplots()
    for name, split in splits.items():
        histogram = split["depth"].get("histogram")
        if histogram and sum(histogram["pixels"]):
            total = sum(histogram["pixels"])
            shares = [count / total for count in histogram["pixels"]]
            axes.stairs(shares, histogram["edges_m"], label=name)
    axes.set_xlabel("depth, m")
    axes.set_ylabel("share of measured pixels")
    axes.legend()
    page.heading("Depth")
    page.figure(figure, "Measured depth of the stored frames")


def _classes(page: Report, splits: dict[str, Any]) -> None:
    known = {name: split["classes"] for name, split in splits.items() if split["classes"]}
    if not known:
        return
    page.heading("Labels")
    page.text("Share of the labelled pixels, in the classes in which people score.")
    totals = {name: max(1, sum(c["pixels"].values())) for name, c in known.items()}
    names = next(iter(known.values()))["pixels"]
    rows = [
        [label, *(f"{100 * c['pixels'][label] / totals[s]:.2f} %" for s, c in known.items())]
        for label in names
    ]
    rows.append(["pixels not scored", *(c["not_scored"] for c in known.values())])
    page.table(rows, ("class", *known))


def _left_out(page: Report, report: dict[str, Any]) -> None:
    page.heading("Left out")
    skipped = report["skipped"]
    if not skipped:
        page.text("Nothing: every listed frame is stored.")
    else:
        counts = Counter((s["split"], s["reason"]) for s in skipped)
        page.table([(*key, n) for key, n in sorted(counts.items())], ("split", "reason", "frames"))
        rows = [(s["split"], s["source"], s["reason"]) for s in skipped[:_SHOWN]]
        page.table(rows, ("split", "frame", "reason"))
    if report["lookalikes"]:
        page.heading("Frames of two splits that look alike")
        page.text("Perhaps the same picture, compressed again; perhaps only two plain pictures.")
        page.table([(pair,) for pair in report["lookalikes"][:_SHOWN]], ("pair",))
