"""Blocks as Markdown and as one self-contained HTML page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from symbio.blocks import Block, Drawing, Heading, Listing, Points, Table, Text
from symbio.report import Report


def markdown_of(title: str, blocks: Sequence[Block]) -> str:
    """GitHub's Markdown; of a drawing the caption."""
    parts = [f"# {title}"]
    for block in blocks:
        match block:
            case Heading(text):
                parts.append(f"## {_plain(text)}")
            case Text(text):
                parts.append(_plain(text))
            case Points(texts):
                parts.append("\n".join(f"* {_plain(text)}" for text in texts))
            case Listing(text):
                parts.append(f"```\n{text}\n```")
            case Table(head, rows, words):
                rules = ["---" if n == 0 or h in words else "---:" for n, h in enumerate(head)]
                lines = [_row(head), f"| {' | '.join(rules)} |", *map(_row, rows)]
                parts.append("\n".join(lines))
            case Drawing(_, caption):
                parts.append(f"*{_plain(caption)} (The chart is in result.html.)*")
    return "\n\n".join(parts) + "\n"


def html_of(title: str, blocks: Sequence[Block]) -> str:
    """A page that needs no other file."""
    report = Report(title)
    add_to(report, blocks)
    return report.page()


def add_to(report: Report, blocks: Sequence[Block]) -> None:
    """Add blocks to a page under way."""
    for block in blocks:
        match block:
            case Heading(text):
                report.heading(text)
            case Text(text):
                report.text(text)
            case Points(texts):
                report.points(texts)
            case Listing(text):
                report.listing(text)
            case Table(head, rows, words):
                report.table(rows, head, words)
            case Drawing(svg, caption):
                report.drawing(svg, caption)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _plain(text: str) -> str:
    """One line in which nothing begins a tag: messages of failed trials may hold anything."""
    return re.sub(r"\s+", " ", text).strip().replace("<", "&lt;")
