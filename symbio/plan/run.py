"""The verb `symbio plan`: everything asked and estimated, and put into one table."""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json, write_json
from symbio.params import Params
from symbio.plan.baseline import Baseline
from symbio.plan.plan import Plan
from symbio.plan.stages import StagesQuestion
from symbio.progress import say
from symbio.ranks.settings import Settings, num_gpus, settings_from
from symbio.train.fingerprint import shape_of
from symbio.train.paths import Paths

DOES_NOT_FIT = 2
_WIDTH = 120


def run(
    params: Params,
    dataset: str,
    root: Path = Path("."),
    settings: Settings | None = None,
    price_an_hour: float | None = None,
    probe: bool = False,
    as_json: bool = False,
) -> int:
    """Tell what a run will do and take; nothing is started.

    Args:
        params: of the run.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        settings: on which ranks and hosts; None: as `symbio train` would start.
        price_an_hour: of one host, in any currency.
        probe: run a few micro-batches if no run of this shape was measured.
        as_json: print JSON instead of the table.

    Returns:
        0 if all fits, 2 if something does not fit or divide.
    """
    settings = settings or settings_from(root=root)
    plan = plan_of(params, dataset, root, settings, price_an_hour, probe)
    _store(plan, params, root)
    if as_json:
        sys.stdout.write(json.dumps(plan.to_json(), indent=1) + "\n")
    else:
        from rich.console import Console

        from symbio.plan.table import table_of

        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDTH)
        console.print(table_of(plan))
    return DOES_NOT_FIT if plan.problems else 0


def plan_of(
    params: Params,
    dataset: str,
    root: Path,
    settings: Settings,
    price_an_hour: float | None,
    probe: bool,
) -> Plan:
    """Ask DVC and an empty rank, trace the step, and put the plan together."""
    with contextlib.ExitStack() as open_questions:
        question = StagesQuestion(dataset, root)
        open_questions.callback(question.close)
        baseline = Baseline(params) if num_gpus() == 0 else None
        if baseline is not None:
            open_questions.callback(baseline.close)
        # Torch is imported while the two processes work.
        from symbio.plan.assemble import assemble

        return assemble(params, dataset, root, settings, question, baseline, price_an_hour, probe)


def _store(plan: Plan, params: Params, root: Path) -> None:
    """Keep the estimate beside what was measured: checkpoints/measured/{dataset}.plan.json."""
    if plan.peak is None:
        return
    path = Paths(root, plan.dataset).run.parent / "measured" / f"{plan.dataset}.plan.json"
    known: dict[str, Any] = {}
    with contextlib.suppress(SymbioError):
        known = read_json(path, "estimates of plans")
    key = f"{shape_of(params, plan.dataset)} x{plan.ranks} {plan.device}"
    known[key] = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "estimated_peak_bytes": plan.peak.total,
        "measured_peak_bytes": None if plan.measured is None else plan.measured["peak_bytes"],
    }
    try:
        write_json(path, known)
    except (SymbioError, OSError) as error:
        say(f"{path}: the estimate is not kept: {error}")
