"""What a flow that ran a study leaves on its page: the study's own answer, and where to look."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from flows.page.key import artifact_key
from flows.page.links import Link, run_links
from flows.page.quietly import in_a_run, shown_if_possible
from symbio.files import read_json

ANSWER, PAGE = "result.md", "result.html"


def show_study(root: Path, folder: Path) -> None:
    """Put the answer of a study on the running flow's page, as far as it is known.

    Key of the artifact: `nyu-symbiosis-answer` for the study `nyu-symbiosis`. Outside a run, or
    where the study has not told anything yet, nothing is done.

    Args:
        root: the folder that the flow worked in.
        folder: of the study, below it.
    """
    if not in_a_run() or not (folder / ANSWER).is_file():
        return
    from prefect.artifacts import create_markdown_artifact

    with shown_if_possible("answer of the study"):
        answer = (folder / ANSWER).read_text(encoding="utf-8")
        # As seen from the checkout, where flows start: a worktree is in its workspaces/.
        text = page(answer, Path(os.path.relpath(folder)), _links(root, folder))
        create_markdown_artifact(text, artifact_key(folder.name, "answer"), headline(answer))


def page(answer: str, folder: Path, links: Sequence[Link]) -> str:
    """The artifact in Markdown.

    Args:
        answer: what the study says of itself, in Markdown.
        folder: of the study, below the checkout.
        links: to MLflow; without any, `symbio ui` is named.
    """
    places = [f"* MLflow: [{link.text}]({link.url})" for link in links]
    places = places or ["* MLflow: `symbio ui`"]
    places += [
        f"* With charts: `{folder / PAGE}` where the flow ran, and with the run in MLflow",
        f"* While it runs: `optuna-dashboard`, and `symbio status` (study {folder.name})",
    ]
    return "\n".join([answer.rstrip(), "", "## Look at it", "", *places]) + "\n"


def headline(answer: str) -> str:
    """The first line of the answer that is no heading."""
    lines = (line for line in answer.splitlines() if line.strip() and not line.startswith("#"))
    return next(lines, "")


def _links(root: Path, folder: Path) -> list[Link]:
    """The study's run in MLflow, and its page there."""
    run = read_json(folder / "tracking" / "run.json", "the study's run").get("run_id")
    found = [] if run is None else run_links(root, str(run))
    charts = [
        Link("page", "the answer with charts", f"{link.url}/artifacts/study/{PAGE}")
        for link in found
    ]
    return [*found, *charts]
