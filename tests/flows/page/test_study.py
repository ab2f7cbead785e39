"""The answer of a study on the run's page."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from flows.page.links import Link
from flows.page.study import page, show_study
from symbio.tracking import record_run
from tests.flows.page.conftest import Server, artifacts

FIRST = "Of 2 variants compared with none, 1 is better (nearfarmix)."
ANSWER = f"# nyu-mix\n\n## Answer\n\n{FIRST}\n\n| variant | mean |\n|---|---|\n| none | 0.2 |\n"


def test_the_answer_stands_first_and_says_where_more_is() -> None:
    link = Link("run", "run nyu-mix", "http://mlflow/#/run")
    text = page(ANSWER, Path("searches/nyu-mix"), [link])
    assert text.startswith(ANSWER.rstrip())
    assert "[run nyu-mix](http://mlflow/#/run)" in text
    assert "searches/nyu-mix/result.html" in text
    assert "`symbio ui`" in page(ANSWER, Path("searches/nyu-mix"), [])


@pytest.mark.slow
def test_it_is_shown_on_the_run(server: Server, tmp_path: Path) -> None:
    from prefect import flow
    from prefect.context import FlowRunContext

    folder = tmp_path / "searches" / "nyu-mix"
    folder.mkdir(parents=True)

    @flow
    def ablate() -> UUID:
        # Before there is an answer, and outside MLflow: nothing.
        show_study(tmp_path, folder)
        (folder / "result.md").write_text(ANSWER)
        record_run(
            folder / "tracking", tmp_path, experiment="symbio-nyu", name="nyu-mix", status="RUNNING"
        )
        show_study(tmp_path, folder)
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        return context.flow_run.id

    (shown,) = artifacts(ablate())
    assert shown.key == "nyu-mix-answer"
    assert shown.description == FIRST
    assert shown.data.startswith(ANSWER.rstrip())
