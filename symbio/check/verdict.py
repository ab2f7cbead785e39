"""A check in one sentence, and as JSON."""

from __future__ import annotations

from typing import Any

from symbio.check.checked import Checked
from symbio.check.finding import by_kind
from symbio.prepare.known import ORIGIN


def verdict_of(checked: Checked) -> str:
    """Whether `symbio prepare` can go ahead; if files are missing, where they come from."""
    frames = sum(split["frames"] for split in checked.splits.values())
    wrong = sum(finding.wrong for finding in checked.findings)
    notes = len(checked.findings) - wrong
    if not wrong:
        noted = f", to know: {notes}" if notes else ""
        return f"fine: {frames} frames read{noted}; `symbio prepare {checked.dataset}` can begin"
    text = f"wrong: {wrong} found, {frames} frames could be read and checked"
    if any(finding.kind == "missing file" for finding in checked.findings):
        text += f". {origin_of(checked)}" if origin_of(checked) else ""
    return text


def origin_of(checked: Checked) -> str:
    """Where the official files of the layout come from; empty for data of one's own."""
    return ORIGIN.get(checked.layout, "")


def as_json(checked: Checked) -> dict[str, Any]:
    """The content of check.json: counts and every finding."""
    return {
        "dataset": checked.dataset,
        "raw": str(checked.raw),
        "layout": checked.layout,
        "fine": checked.fine,
        "verdict": verdict_of(checked),
        "findings": {
            kind: {
                "wrong": group[0].wrong,
                "count": len(group),
                "all": [{"file": f.file, "what": f.what, "split": f.split} for f in group],
            }
            for kind, group in by_kind(checked.findings).items()
        },
        "listed": {
            total.split: {
                "frames": total.listed,
                "whole": total.whole,
                "published": total.published.name if total.published else None,
            }
            for total in checked.totals
        },
        "splits": checked.splits,
        "saturated_share": checked.saturated,
        "skipped": [
            {"split": s.split, "source": s.source, "reason": s.reason} for s in checked.skipped
        ],
        "facts": checked.facts,
    }
