"""What came out of a study: its trials as they stand, and the files that tell them.

`result.json` is for programs, `result.md` and `result.html` are the answer for readers (the same
words; the page has charts), `best-params.yaml` is params.yaml with what a search found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.files import whole_file, write_json
from symbio.search import attributes
from symbio.search.keys import changed, write_params
from symbio.search.plan import Plan

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from symbio.search.objectives import Objective

JSON_FILE, TABLE_FILE, PAGE_FILE = "result.json", "result.md", "result.html"
BEST_FILE = "best-params.yaml"
FINISHED, PRUNED, INFEASIBLE, FAILED = "finished", "pruned", "infeasible", "failed"
RUNNING, INTERRUPTED, WAITING = "running", "interrupted", "waiting"


_STATES = {"COMPLETE": FINISHED, "PRUNED": PRUNED, "FAIL": FAILED, "WAITING": WAITING}


@dataclass(frozen=True, slots=True)
class Row:
    """A trial."""

    number: int
    state: str
    values: tuple[float, ...] = ()
    """One an objective, of the exported network on the val split; of a pruned trial the first
    objective's last validation."""
    scores: dict[str, float] = field(default_factory=dict)
    """Every validation score of the exported network."""
    changes: dict[str, Any] = field(default_factory=dict)
    variant: str | None = None
    seed: int | None = None
    seconds: float = 0.0
    """Wall time, over every start."""
    rank_seconds: float = 0.0
    training_s: float = 0.0
    """Seconds of steps and validations alone."""
    measuring_s: float = 0.0
    """Seconds in which the exported network was scored frame by frame."""
    message: str | None = None
    """Why it failed, or was infeasible."""
    peak_bytes: int | None = None
    worker: str | None = None
    losses: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    """Step and first objective on the val split, by step."""
    begun: float | None = None
    ended: float | None = None
    """Seconds since 1970."""

    @property
    def score(self) -> float | None:
        """The first objective's value."""
        return self.values[0] if self.values else None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in (FINISHED, PRUNED, INFEASIBLE, FAILED)


@dataclass(frozen=True, slots=True)
class Result:
    """A study as it stands."""

    plan: Plan
    objectives: tuple[Objective, ...]
    rows: tuple[Row, ...]
    folder: Path
    """Of the study."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """What makes its trials comparable; the data's digests are `data.prepared`, `data.pseudo`."""
    lineage: dict[str, str] = field(default_factory=dict)
    trials: tuple[FrozenTrial, ...] = ()
    """As Optuna keeps them, in the order of `rows`."""

    @property
    def metric(self) -> str:
        """The first objective's name."""
        return self.objectives[0].metric

    @property
    def finished(self) -> list[Row]:
        """The trials that can be compared, by number."""
        return [row for row in self.rows if row.state == FINISHED and row.values]

    @property
    def best(self) -> Row | None:
        """The finished trial with the best first objective; the earliest of equal ones.

        Of several objectives it is one end of the front: the objective that is named first counts.
        """
        sign = -1.0 if self.objectives[0].higher_is_better else 1.0
        candidates = self.front if len(self.objectives) > 1 else self.finished
        return min(candidates, key=lambda row: sign * row.values[0], default=None)

    @property
    def front(self) -> list[Row]:
        """Finished trials than which no other is better in one objective and no worse in any."""
        signs = [-1.0 if one.higher_is_better else 1.0 for one in self.objectives]
        costs = [
            (row, [s * v for s, v in zip(signs, row.values, strict=True)]) for row in self.finished
        ]
        return [row for row, own in costs if not any(_dominates(other, own) for _, other in costs)]

    @property
    def default(self) -> Row | None:
        """The trial of a search that has the project's own params, if it has finished."""
        return next((row for row in self.finished if row.variant == attributes.DEFAULT), None)

    def trial_folder(self, row: Row) -> Path:
        """The root in which a trial trained."""
        return self.folder / f"trial-{row.number:04d}"

    def write(self, folder: Path) -> None:
        """Write the files of the study, each whole."""
        from symbio.rendering import html_of, markdown_of
        from symbio.search.page.answer import answer
        from symbio.search.page.evidence import evidence_of

        evidence = evidence_of(self)
        write_json(folder / JSON_FILE, {**self._as_dict(), **evidence.as_dict()})
        title, blocks = self.plan.name, answer(self, evidence)
        with whole_file(folder / TABLE_FILE) as aside:
            aside.write_text(markdown_of(title, blocks), encoding="utf-8")
        with whole_file(folder / PAGE_FILE) as aside:
            aside.write_text(html_of(title, blocks), encoding="utf-8")
        self._write_best(folder)

    def _as_dict(self) -> dict[str, Any]:
        best = self.best
        values: dict[str, Any] = {
            "study": self.plan.name,
            "command": self.plan.title,
            "dataset": self.plan.dataset,
            "wanted": self.plan.trials,
            "split": "val",
            "base": self.plan.base,
            "metric": self.metric,
            "higher_is_better": self.objectives[0].higher_is_better,
            "objectives": [asdict(one) for one in self.objectives],
            "trials": [{**asdict(row), "score": row.score} for row in self.rows],
        }
        if self.plan.suite is None:
            values["best"] = None if best is None else best.number
            if len(self.objectives) > 1:
                values["front"] = [row.number for row in self.front]
        return values

    def _write_best(self, folder: Path) -> None:
        """Write params.yaml with the best trial's changes.

        The base is left out: it makes trials cheap, and is not what a full training should be.
        """
        best = self.best
        if self.plan.suite is not None or best is None:
            return
        params = changed(self.plan.params, best.changes, f"trial {best.number}")
        told = f"{self.metric} {best.values[0]:.5g} on the val split"
        title = f"Best of `{self.plan.title}` ({self.plan.name}): trial {best.number}, {told}"
        write_params(params, folder / BEST_FILE, title)


def result_of(
    study: optuna.Study, plan: Plan, objectives: Sequence[Objective], folder: Path
) -> Result:
    """The result of a study as it stands.

    Args:
        study: with the user attributes of `symbio.search.attributes`.
        plan: what it is made of.
        objectives: in the order of the study's directions.
        folder: of the study; the trials' own folders are in it.
    """
    trials = tuple(study.get_trials(deepcopy=False))
    known = study.user_attrs
    return Result(
        plan,
        tuple(objectives),
        tuple(map(_row, trials)),
        folder,
        dict(known.get(attributes.RECIPE, {})),
        dict(known.get(attributes.LINEAGE, {})),
        trials,
    )


def _row(trial: FrozenTrial) -> Row:
    known = trial.user_attrs
    seconds = float(known.get(attributes.SECONDS, 0.0))
    begun, ended = trial.datetime_start, trial.datetime_complete
    return Row(
        number=trial.number,
        state=trial_state(trial),
        values=tuple(trial.values or ()),
        scores=dict(known.get(attributes.SCORES) or {}),
        changes=dict(known.get(attributes.CHANGES, {})),
        variant=known.get(attributes.VARIANT),
        seed=known.get(attributes.SEED),
        seconds=seconds,
        rank_seconds=float(known.get(attributes.RANK_SECONDS, seconds)),
        training_s=float(known.get(attributes.TRAINING_S, 0.0)),
        measuring_s=float(known.get(attributes.MEASURING_S, 0.0)),
        message=known.get(attributes.MESSAGE),
        peak_bytes=known.get(attributes.PEAK_BYTES),
        worker=known.get(attributes.WORKER),
        losses=int(known.get(attributes.LOSSES, 0)),
        curve=tuple(
            (step, value)
            for step, value in sorted(trial.intermediate_values.items())
            if math.isfinite(value)
        ),
        begun=begun.timestamp() if begun else None,
        ended=ended.timestamp() if ended else None,
    )


def trial_state(trial: FrozenTrial) -> str:
    """Finished, pruned, infeasible, failed, running, interrupted or waiting."""
    if trial.state.name == "RUNNING":
        return INTERRUPTED if trial.user_attrs.get(attributes.CLAIM) is None else RUNNING
    if trial.state.name == "PRUNED" and any(value > 0 for value in trial.constraints.values()):
        return INFEASIBLE
    return _STATES[trial.state.name]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether costs `one` are nowhere above `other`, and somewhere below."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
