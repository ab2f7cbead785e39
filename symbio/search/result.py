"""What came out of a study: result.json, result.md and best-params.yaml."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.files import whole_file, write_json
from symbio.search.keys import changed, write_params
from symbio.search.plan import Plan
from symbio.search.study import CHANGES, MESSAGE, SECONDS, SEED, VARIANT

if TYPE_CHECKING:
    import optuna

JSON_FILE, TABLE_FILE, BEST_FILE = "result.json", "result.md", "best-params.yaml"
FINISHED = "finished"
_STATES = {
    "COMPLETE": FINISHED,
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "interrupted",
    "WAITING": "waiting",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A trial."""

    number: int
    state: str
    score: float | None
    """Of the exported network; of a pruned trial its last validation."""
    seconds: float
    """Trained in all, over every start."""
    changes: dict[str, Any]
    variant: str | None
    seed: int | None
    message: str | None
    """Why it failed."""
    ended: float | None
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A variant of an ablation, over its finished seeds."""

    variant: str
    finished: int
    mean: float | None
    std: float | None
    """Of the sample (n - 1); None for fewer than two."""


@dataclass(frozen=True, slots=True)
class Result:
    """A study as it stands."""

    plan: Plan
    metric: str
    higher_is_better: bool
    rows: list[Row]

    @property
    def best(self) -> Row | None:
        """The finished trial with the best score; the earliest of equal ones."""
        scored = [row for row in self.rows if row.state == FINISHED and row.score is not None]
        sign = -1.0 if self.higher_is_better else 1.0
        return min(scored, key=lambda row: sign * (row.score or 0.0), default=None)

    def write(self, folder: Path) -> None:
        """Write the files of the study, each whole."""
        best = self.best
        values = {
            "study": self.plan.name,
            "command": self.plan.title,
            "dataset": self.plan.dataset,
            "split": "val",
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "trials": [asdict(row) for row in self.rows],
        }
        if self.plan.suite is None:
            values["best"] = None if best is None else best.number
        else:
            values["variants"] = [asdict(one) for one in summaries(self.rows)]
        write_json(folder / JSON_FILE, values)
        with whole_file(folder / TABLE_FILE) as aside:
            aside.write_text(self.text(), encoding="utf-8")
        if self.plan.suite is None and best is not None:
            params = changed(self.plan.params, best.changes, f"trial {best.number}")
            told = f"{self.metric} {best.score:.5g} on the val split"
            title = f"Best of `{self.plan.title}` ({self.plan.name}): trial {best.number}, {told}"
            write_params(params, folder / BEST_FILE, title)

    def text(self) -> str:
        """The result in Markdown."""
        better = "higher" if self.higher_is_better else "lower"
        ended = sum(row.state not in ("interrupted", "waiting") for row in self.rows)
        lines = [
            f"# {self.plan.name}",
            "",
            f"`{self.plan.title}`: {ended} of {self.plan.trials} trials have ended. Score: "
            f"{self.metric} on the val split of {self.plan.dataset} ({better} is better).",
            "",
        ]
        if self.plan.suite is None:
            lines += self._best_lines()
        else:
            lines += _table(
                ("variant", "seeds", "mean", "std"),
                [
                    (one.variant, one.finished, _number(one.mean), _number(one.std))
                    for one in summaries(self.rows)
                ],
            )
        lines += ["", *self._trial_lines()]
        failed = [row for row in self.rows if row.message is not None]
        if failed:
            lines += ["", *(f"* Trial {row.number} failed: {row.message}" for row in failed)]
        return "\n".join(lines) + "\n"

    def _best_lines(self) -> list[str]:
        best = self.best
        if best is None:
            return ["No trial has finished."]
        return [
            f"Best: trial {best.number}, {_number(best.score)}. {BEST_FILE} beside this file has "
            f"its params: copy it over params.yaml, then `dvc repro`."
        ]

    def _trial_lines(self) -> list[str]:
        keys = list(dict.fromkeys(key for row in self.rows for key in row.changes))
        if self.plan.suite is not None:
            head: tuple[str, ...] = ("trial", "variant", "seed", "state", "score", "s")
            keys = []
        else:
            head = ("trial", *keys, "state", "score", "s")
        rows = []
        for row in self.rows:
            own = [row.changes.get(key) for key in keys] if keys else [row.variant, row.seed]
            cells = [*own, row.state, row.score]
            rows.append((row.number, *map(_cell, cells), f"{row.seconds:.0f}"))
        return _table(head, rows)


def result_of(study: optuna.Study, plan: Plan, metric: str, higher_is_better: bool) -> Result:
    """The result of a study as it stands."""
    return Result(plan, metric, higher_is_better, [_row(trial) for trial in study.trials])


def summaries(rows: Sequence[Row]) -> list[Summary]:
    """Mean and standard deviation of each variant, in the order in which they began."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        known = scores.setdefault(str(row.variant), [])
        if row.state == FINISHED and row.score is not None:
            known.append(row.score)
    return [
        Summary(
            variant,
            len(found),
            statistics.fmean(found) if found else None,
            statistics.stdev(found) if len(found) > 1 else None,
        )
        for variant, found in scores.items()
    ]


def _row(trial: optuna.trial.FrozenTrial) -> Row:
    attributes = trial.user_attrs
    return Row(
        number=trial.number,
        state=_STATES[trial.state.name],
        score=trial.value,
        seconds=attributes.get(SECONDS, 0.0),
        changes=attributes.get(CHANGES, {}),
        variant=attributes.get(VARIANT),
        seed=attributes.get(SEED),
        message=attributes.get(MESSAGE),
        ended=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return _number(value) if isinstance(value, float) else str(value).replace("|", r"\|")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
