"""Tables and files of a study, against numbers computed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symbio.params import load_params
from symbio.search.plan import ablation_plan, search_plan
from symbio.search.result import Result, Row, Summary, summaries
from tests.search.project import study_params


def cell(number: int, variant: str, seed: int, score: float | None, state: str = "finished") -> Row:
    message = "it broke | badly" if state == "failed" else None
    return Row(number, state, score, 61.4, {"seed": seed}, variant, seed, message, 100.0)


CELLS = [
    cell(0, "none", 1, 0.10),
    cell(1, "both", 1, 0.07),
    cell(2, "none", 2, 0.12),
    cell(3, "both", 2, None, "failed"),
    cell(4, "none", 3, 0.17),
    cell(5, "plain", 3, None, "failed"),
]


def test_mean_and_deviation_of_each_variant() -> None:
    # none: mean 0.39/3 = 0.13; deviations -0.03, -0.01, 0.04; squares sum to 0.0026; / 2; root.
    none, both, plain = summaries(CELLS)
    assert (none.variant, none.finished) == ("none", 3)
    assert none.mean == pytest.approx(0.13)
    assert none.std == pytest.approx(0.036055512754639894)
    assert both == Summary("both", 1, 0.07, None)
    assert plain == Summary("plain", 0, None, None)


def test_the_ablations_table(tmp_path: Path) -> None:
    plan = ablation_plan(study_params(), "nyu", "suite")
    Result(plan, "abs_rel", False, CELLS).write(tmp_path)
    text = (tmp_path / "result.md").read_text()
    assert "`symbio ablate nyu suite`" in text
    assert "abs_rel on the val split of nyu (lower is better)" in text
    for line in (
        "| none | 3 | 0.13 | 0.03606 |",
        "| both | 1 | 0.07 |  |",
        "| 3 | both | 2 | failed |  | 61 |",
        "* Trial 3 failed: it broke | badly",
    ):
        assert line in text.splitlines()
    values = json.loads((tmp_path / "result.json").read_text())
    assert values["variants"][1] == {"variant": "both", "finished": 1, "mean": 0.07, "std": None}
    assert len(values["trials"]) == 6
    assert not (tmp_path / "best-params.yaml").exists()


@pytest.mark.parametrize(("higher_is_better", "best"), [(False, 1), (True, 0)])
def test_the_best_trial_and_its_params(tmp_path: Path, higher_is_better: bool, best: int) -> None:
    def row(number: int, lr: float, score: float | None, state: str) -> Row:
        return Row(number, state, score, 1.0, {"train.lr": lr}, None, None, None, 100.0)

    rows = [
        row(0, 1e-3, 0.4, "finished"),
        row(1, 2e-3, 0.2, "finished"),
        row(2, 3e-3, 0.1 if not higher_is_better else 0.9, "pruned"),
        row(3, 4e-3, None, "failed"),
    ]
    params = study_params()
    Result(search_plan(params, "nyu"), "d1", higher_is_better, rows).write(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["best"] == best
    written = load_params(tmp_path / "best-params.yaml")
    assert written.train.lr == rows[best].changes["train.lr"]
    train = params.train.model_copy(update={"lr": written.train.lr})
    assert written == params.model_copy(update={"train": train})
    text = (tmp_path / "result.md").read_text()
    assert f"Best: trial {best}, {rows[best].score:g}." in text
    assert "| 2 | 0.003 | pruned |" in text
