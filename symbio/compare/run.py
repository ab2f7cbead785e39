"""The verb `compare`: versions and runs side by side, as a page to flip through."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symbio.compare.alike import measured_alike
from symbio.compare.comparison import compare
from symbio.compare.labels import comparable_labels
from symbio.compare.measured import read_measured
from symbio.compare.page import write_page
from symbio.compare.subject import Subject, subject_at
from symbio.compare.summary import summary
from symbio.errors import SymbioError
from symbio.files import whole_folder, write_json
from symbio.params import Params
from symbio.progress import say
from symbio.tracking.measurements import fetch_tables
from symbio.tracking.outage import told_as_error
from symbio.tracking.store import tracking_uri

PAGE, NUMBERS = "page.html", "comparison.json"
FOLDER = "comparisons"


def run(
    params: Params, names: Sequence[str], root: Path = Path("."), out: Path | None = None
) -> dict[str, Any]:
    """Compare versions or runs that were measured alike, and write a page and its numbers.

    Everything is compared with the first. Writes `comparisons/A--B/` with page.html, which needs no
    other file, and comparison.json; prints the summary.

    Args:
        params: their protocols say which scores of a version count.
        names: two or more: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `runs:/RUN_ID`.
        root: the project's folder.
        out: another folder for the results.

    Returns:
        The content of comparison.json: subjects, measured, notes, metrics, ranges, classes, frames,
        cost (`symbio.compare.comparison`).

    Raises:
        SymbioError: there is no such version or run, or no scores of it; they were not measured
            alike; `out` holds something else; the store refuses, or is away (exit_code 75).
    """
    with tempfile.TemporaryDirectory(prefix="symbio-compare-") as temporary:
        aside = Path(temporary)
        with told_as_error(f"{', '.join(names)} cannot be compared from {tracking_uri(root)}"):
            subjects = _different([subject_at(params, root, name) for name in names])
            out = out or root / FOLDER / "--".join(one.short for one in subjects)
            _require_room(out)
            alike = measured_alike(subjects)
            labels, notes = comparable_labels(root, subjects, alike)
            for number, one in enumerate(alike.measurements):
                fetch_tables(root, one, aside / str(number))
        measured = [
            read_measured(one.metrics, aside / str(number))
            for number, one in enumerate(alike.measurements)
        ]
        comparison = compare(params, root, subjects, measured, labels, notes, aside)
        numbers = comparison.as_dict()
        with whole_folder(out) as folder:
            write_json(folder / NUMBERS, numbers)
            write_page(folder / PAGE, comparison)
    sys.stdout.write(f"{summary(comparison)}\n")
    say(f"{out / PAGE}: open it in a browser")
    return numbers


def _different(subjects: list[Subject]) -> list[Subject]:
    """Refuse less than two."""
    if len({one.uri for one in subjects}) < max(2, len(subjects)):
        told = ", ".join(one.uri for one in subjects)
        raise SymbioError(f"{told}: name two or more that are not the same")
    return subjects


def _require_room(out: Path) -> None:
    """Never replace anything but an earlier comparison."""
    if out.exists() and not out.is_dir():
        raise SymbioError(f"{out}: is a file; give a folder for the comparison")
    if out.is_dir() and any(out.iterdir()) and not (out / NUMBERS).is_file():
        raise SymbioError(
            f"{out}: is not empty and holds no earlier comparison; give a new folder with --out"
        )
