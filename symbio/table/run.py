"""The verb `table`: registered models beside published results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from symbio.blocks import Block, Heading, Points, Table, Text
from symbio.files import whole_file
from symbio.params import Params
from symbio.progress import say
from symbio.rendering import html_of, markdown_of
from symbio.status.table import aligned
from symbio.table.page import blocks_of
from symbio.table.published import published
from symbio.table.registered import measured_versions
from symbio.tracking.outage import told_as_error
from symbio.tracking.store import tracking_uri

FOLDER = "tables"


def run(params: Params, dataset: str, root: Path = Path("."), out: Path | None = None) -> int:
    """Print the tables, and write them as `tables/{d}/table.md` and `table.html`.

    Args:
        params: must know the data set.
        dataset: whose registered versions.
        root: the project's folder.
        out: another folder for the results.

    Returns:
        0.

    Raises:
        SymbioError: the params know no such data set, or scores in the store were changed; the
            store refuses, or is away (exit_code 75).
    """
    params.dataset(dataset)
    with told_as_error(f"the scores of symbio-{dataset} cannot be had from {tracking_uri(root)}"):
        measured = measured_versions(root, dataset)
    title = f"Results on {dataset}"
    blocks = blocks_of(dataset, published(dataset), measured)
    folder = out or root / FOLDER / dataset
    pages = {"table.md": markdown_of(title, blocks), "table.html": html_of(title, blocks)}
    for name, page in pages.items():
        with whole_file(folder / name) as aside:
            aside.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{_printed(blocks)}\n")
    say(f"{folder}: table.md, and table.html to open in a browser")
    return 0


def _printed(blocks: Sequence[Block]) -> str:
    lines: list[str] = []
    for block in blocks:
        match block:
            case Heading(text):
                lines += ["", text]
            case Text(text):
                lines.append(text)
            case Points(texts):
                lines += [f"* {text}" for text in texts]
            case Table(head, rows):
                width = max(len(row[0]) for row in (head, *rows))
                lines += aligned([[row[0].ljust(width), *row[1:]] for row in (head, *rows)])
            case _:
                raise AssertionError(f"no {type(block).__name__} stands in these tables")
    return "\n".join(lines)
