"""The question of a study, in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from symbio.evaluate.metrics import metric_named
from symbio.search.page.values import changes_told, counted
from symbio.search.result import FINISHED

if TYPE_CHECKING:
    from symbio.search.page.evidence import Evidence
    from symbio.search.result import Result


def asked(result: Result, evidence: Evidence) -> str:
    """What was asked, of how much, and how far the study is."""
    plan = result.plan
    frames = evidence.num_frames("val")
    split = "the val split" if frames is None else f"the {frames} held-out frames of the val split"
    scores = " and ".join(directed(one.metric, one.higher_is_better) for one in result.objectives)
    if plan.suite is None:
        search = plan.params.search
        what = (
            f"Which values of {counted(len(search.space), 'parameter')} give the best {scores} on "
            f"{split} of {plan.dataset}? Sampler {search.sampler}, pruner {search.pruner}."
        )
        if search.hours is not None:
            what += f" No trial starts after {search.hours:g} h of training in all."
    else:
        seeds = plan.params.ablations[plan.suite].seeds
        what = (
            f'How does {scores} on {split} of {plan.dataset} change against "{plan.baseline}" with '
            f"each of {counted(len(plan.variants) - 1, 'other variant')}? Each is trained with "
            f"{counted(len(seeds), 'seed')}."
        )
    base = f" All trainings have {changes_told(plan.base)}." if plan.base else ""
    return f"{what} {_how_far(result)}.{base}"


def directed(metric: str, higher_is_better: bool) -> str:
    """A score and its good direction."""
    return f"{metric} ({'higher' if higher_is_better else 'lower'} is better)"


def arrow(metric: str) -> str:
    """The good direction of a score, for a table's head."""
    return "↑" if metric_named(metric).higher_is_better else "↓"


def _how_far(result: Result) -> str:
    over = [row for row in result.rows if row.is_over]
    states = Counter(row.state for row in over)
    parts = ", ".join(f"{count} {state}" for state, count in states.items())
    told = f" ({parts})" if set(states) - {FINISHED} else ""
    return f"{len(over)} of {result.plan.trials} trials have ended{told}"
