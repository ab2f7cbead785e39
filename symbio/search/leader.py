"""Keeping a study's results: done by one of the commands that work on it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.search.objectives import objectives_of
from symbio.search.plan import Plan
from symbio.search.result import Result, Row, result_of
from symbio.search.storage import patiently
from symbio.search.tracked import track_study
from symbio.tell import tell_progress
from symbio.tracking.record import RUNNING
from symbio.train.lock import run_lock

if TYPE_CHECKING:
    import optuna


class Leader:
    """Writes results and tracks the study, unless another command in the same folder does."""

    def __init__(
        self,
        study: optuna.Study,
        plan: Plan,
        folder: Path,
        root: Path,
        recipe: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> None:
        """`recipe` and `tags` go to the study's run: what it is made of, where it comes from."""
        self._study, self._plan, self._folder, self._root = study, plan, folder, root
        self._recipe, self._tags = recipe, tags
        self._held = contextlib.ExitStack()
        self._leads = False
        self._over: set[int] | None = None

    def __enter__(self) -> Leader:
        if not self._takes_the_lead():
            say(f"{self._folder}: another command leads this study; working along with it")
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    def refresh(self) -> None:
        """Tell of trials that have ended since the last time, and bring the results up to date."""
        result = self.result()
        over = {row.number for row in result.rows if row.is_over}
        if self._over is not None and over > self._over:
            for number in sorted(over - self._over):
                say(_line(result, result.rows[number], len(over)))
        tell_progress("trials", len(over), max(self._plan.trials, len(over)))
        if over != self._over:
            self._over = over
            self.write(result, RUNNING)

    def result(self) -> Result:
        """The study as it stands."""
        objectives = objectives_of(self._plan)
        return patiently(lambda: result_of(self._study, self._plan, objectives, self._folder))

    def write(self, result: Result, status: str) -> None:
        """Write the results and bring the study's run up to date, where this command leads."""
        if self._takes_the_lead():
            result.write(self._folder)
            track_study(
                self._folder, self._root, self._plan, self._recipe, self._tags, status, result
            )

    def _takes_the_lead(self) -> bool:
        if not self._leads:
            with contextlib.suppress(SymbioError):
                self._held.enter_context(run_lock(self._folder))
                self._leads = True
        return self._leads


def _line(result: Result, row: Row, over: int) -> str:
    values = ", ".join(
        f"{one.metric} {value:.4g}"
        for one, value in zip(result.objectives, row.values, strict=False)
    )
    what = " ".join(filter(None, (row.variant, None if row.seed is None else f"seed {row.seed}")))
    best = result.best
    known = "" if best is None else f"; best {best.score:.4g} (trial {best.number})"
    told = f"{what}: " if what else ""
    detail = f" ({values})" if values else f" ({row.message})" if row.message else ""
    return (
        f"[{over}/{result.plan.trials}] trial {row.number}: {told}{row.state}{detail} "
        f"in {row.seconds:.0f} s{known if result.plan.suite is None else ''}"
    )
