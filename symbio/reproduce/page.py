"""A finished reproduction as people read it: a table in the terminal, and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symbio.reproduce.result import Result
from symbio.reproduce.scores import Score

if TYPE_CHECKING:
    from rich.table import Table

    from symbio.report import Report

_COLOURS = {"identical": "green", "within bound": "yellow", "different": "bold red"}
_SHOWN_SCORES = 12


@dataclass(frozen=True, slots=True)
class Finished:
    """A reproduction that came to its end."""

    uri: str
    commit: str
    dirty: bool
    verdict: str
    first_parted: str | None
    bound: float
    environment: str
    """Whose libraries."""
    differences: Sequence[str]
    """What is not as it was: libraries, Python, devices."""
    notes: Sequence[str]
    results: Sequence[Result]


def table_of(done: Finished) -> Table:
    """A row a stage."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=f"{done.uri}, made again", title_justify="left")
    for heading in ("stage", "verdict", "took", "what was compared"):
        table.add_column(heading, overflow="fold")
    for one in done.results:
        verdict = one.verdict(done.bound)
        colour = _COLOURS.get(verdict, "dim")
        told = "\n".join((*one.told(done.bound), *_worst_scores(one)))
        table.add_row(one.stage, f"[{colour}]{verdict}[/]", f"{one.seconds:.0f} s", escape(told))
    if done.differences:
        table.add_row("environment", "[yellow]differs[/]", "", escape("\n".join(done.differences)))
    for note in done.notes:
        table.add_row("note", "", "", escape(note))
    return table


def page_of(done: Finished) -> Report:
    """The same, with every metric that differs."""
    from symbio.report import Report

    report = Report(f"{done.uri}, made again: {done.verdict}")
    changes = " with its uncommitted changes" if done.dirty else ""
    report.text(
        f"Commit {done.commit}{changes}, recorded params, {done.environment}. Each stage read the "
        "recorded inputs, so that each is judged by itself."
    )
    if done.first_parted is not None:
        report.text(f"First parted: {done.first_parted}.")
    report.points(done.notes)
    rows = [
        (
            one.stage,
            one.verdict(done.bound),
            f"{one.seconds:.0f} s",
            "; ".join(one.told(done.bound)),
        )
        for one in done.results
    ]
    words = ("verdict", "what was compared")
    report.table(rows, ("stage", "verdict", "took", "what was compared"), words)
    if done.differences:
        report.heading("What is not as it was")
        report.points(done.differences)
    for one in done.results:
        _details(report, one, done.bound)
    return report


def _details(report: Report, one: Result, bound: float) -> None:
    if one.tensors:
        report.heading(f"{one.stage}: tensors that differ most")
        headers = ("tensor", "largest difference", "largest value")
        report.table([list(row) for row in one.tensors], headers)
    apart = sorted((score for score in one.scores if score.apart), key=lambda each: -each.apart)
    if apart:
        report.heading(f"{one.stage}: metrics that are not equal")
        rows = [
            (each.name, str(each.recorded), str(each.now), _share(each), each.verdict(bound))
            for each in apart
        ]
        report.table(rows, ("metric", "recorded", "now", "apart", "verdict"))
    if one.difference is not None and one.difference.files:
        report.heading(f"{one.stage}: files that differ")
        found = one.difference
        files = [
            (f"{one.out}/{name}", what)
            for what, names in (
                ("other bytes", found.changed),
                ("missing now", found.missing),
                ("new", found.extra),
            )
            for name in names
        ]
        report.table(files, ("file", "what"), ("what",))


def _worst_scores(one: Result) -> list[str]:
    apart = sorted((score for score in one.scores if score.apart), key=lambda each: -each.apart)
    return [
        f"  {each.name}: {each.now} instead of {each.recorded} ({_share(each)})"
        for each in apart[:_SHOWN_SCORES]
    ]


def _share(score: Score) -> str:
    return f"{score.apart:.2g}" if score.apart != float("inf") else "another value"
