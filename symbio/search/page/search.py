"""The page of a search: what was found, by how much, and how the trials went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symbio.blocks import Block, Drawing, Heading, Table, Text
from symbio.search.page.front import front
from symbio.search.page.gain import best_answer, front_answer, gain_blocks
from symbio.search.page.history import history
from symbio.search.page.importance import ENOUGH, importance
from symbio.search.page.learning import search_curves
from symbio.search.page.opening import asked
from symbio.search.page.parallel import parallel
from symbio.search.page.values import duration, told
from symbio.search.space import default_values

if TYPE_CHECKING:
    from symbio.search.page.evidence import Evidence
    from symbio.search.result import Result, Row


def search_blocks(result: Result, evidence: Evidence) -> list[Block]:
    """From the answer to the trials."""
    several = len(result.objectives) > 1
    return [
        Heading("Answer"),
        Text(front_answer(result) if several else best_answer(result, evidence)),
        *_next_step(result),
        Heading("Question"),
        Text(asked(result, evidence)),
        *gain_blocks(result, evidence),
        *(_front(result) if several else []),
        *_charts(result),
        *_importance(result, evidence),
        *_trials(result),
    ]


def _next_step(result: Result) -> list[Block]:
    if result.best is None:
        return []
    base = (
        " It leaves out what made trials cheap (search.base), so the gain of a full training is "
        "yet to be seen."
        if result.plan.base
        else ""
    )
    return [
        Text(
            "best-params.yaml beside this page is params.yaml with the best trial's values: copy "
            f"it over params.yaml, then dvc repro.{base}"
        )
    ]


def _front(result: Result) -> list[Block]:
    drawing = front(result)
    if drawing is None:
        return []
    keys = list(result.plan.params.search.space)
    head = ("trial", *(one.metric for one in result.objectives), *keys)
    rows = [
        [str(row.number), *map(told, row.values), *_drawn(result, row, keys)]
        for row in result.front
    ]
    caption = (
        "Finished trials. Filled: of the front, with their numbers; orange: the project's own "
        "params; dashed: what no trial is beyond."
    )
    return [Heading("Front"), Drawing(drawing, caption), Table(head, rows)]


def _charts(result: Result) -> list[Block]:
    drawings = [
        (history(result), "Score by trial, and the best so far (line). Orange: the project's own "
         "params; hollow: pruned, at their last validation."),
        (parallel(result), "What each trial had, and what came of it (better is above). Blue: the "
         "best; orange: the project's own params; green: the best quarter; dotted: pruned."),
        (search_curves(result), "Validations while training. Dashed, ending in a hollow dot: "
         "pruned."),
    ]  # fmt: skip
    blocks = [Drawing(drawing, caption) for drawing, caption in drawings if drawing is not None]
    return [Heading("How the trials went"), *blocks] if blocks else []


def _importance(result: Result, evidence: Evidence) -> list[Block]:
    heading = Heading("Which parameters mattered")
    found = evidence.importances
    if not found:
        return [
            heading,
            Text(
                f"Not told: fewer than {ENOUGH} trials with drawn values have finished, and what "
                "these say of a parameter's importance would be chance."
            ),
        ]
    several = len(result.objectives) > 1
    towards = "nearest the front" if several else f"with the best {result.metric}"
    caption = (
        f"How well a parameter's values tell the trials {towards} (a tenth, five at least) from "
        "all finished ones with drawn values: PED-ANOVA, as a share of 1. Black line: the "
        "least and the most that it is when some trials are left out in turn; where it is long, "
        "the trials are too few to say."
    )
    rows = [[one.key, told(one.share), told(one.low), told(one.high)] for one in found]
    table = Table(("parameter", "importance", "least", "most"), rows)
    return [heading, Drawing(importance(found), caption), table]


def _trials(result: Result) -> list[Block]:
    keys = list(result.plan.params.search.space)
    metrics = [one.metric for one in result.objectives]
    head = ("trial", "state", *metrics, "wall time", *keys)
    rows = []
    for row in result.rows:
        values = [*map(told, row.values), *[""] * len(metrics)][: len(metrics)]
        drawn = _drawn(result, row, keys)
        rows.append([str(row.number), row.state, *values, duration(row.seconds), *drawn])
    note = (
        "Scores of the exported network on the val split; of a pruned trial its last validation. "
        "Trial 0 has the project's own params. An empty cell: not drawn, as it would not count."
    )
    return [Heading("Trials"), Table(head, rows, frozenset({"state"})), Text(note)]


def _drawn(result: Result, row: Row, keys: list[str]) -> list[str]:
    values = default_values(result.plan) if row.number == 0 else row.changes
    return [told(values.get(key)) for key in keys]
