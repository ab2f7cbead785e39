"""What a training flow leaves on its page: numbers, stages, pictures, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.page.links import Link, mlflow_links
from flows.page.pictures import embedded
from flows.page.quietly import in_a_run, shown_if_possible
from symbio.files import read_json
from symbio.plan.budget import duration_text

_PREDICTORS = ("trained", "constant", "untrained")
_DEPTH = {"abs_rel": "abs_rel", "rmse": "rmse (m)", "d1": "d1"}
_SEMANTICS = {"miou": "mIoU", "pixel_accuracy": "pixel accuracy"}
_OUTCOMES = {
    "ran": "ran",
    "unchanged": "unchanged, did not run",
    "cached": "reused from an earlier flow",
}
_PICTURES = 2


def write_summary(
    root: Path, dataset: str, stages: Sequence[Mapping[str, Any]], decision: str
) -> None:
    """Put a Markdown summary and links to MLflow on the running flow's page.

    Keys of the artifacts: `nyu-summary`, `nyu-run`, `nyu-version`. What is missing or cannot be
    shown is logged and left out; outside a run nothing is done.

    Args:
        root: the folder that the flow worked in.
        dataset: nyu, kitti or a key of `custom`.
        stages: results with `stage`, `outcome` ("ran", "unchanged", "cached") and `seconds`.
        decision: what `symbio promote` said.
    """
    if not in_a_run():
        return
    from prefect.artifacts import create_link_artifact, create_markdown_artifact

    with shown_if_possible("summary"):
        metrics = read_json(root / "metrics" / f"{dataset}.json", "the metrics of an evaluation")
        entry = read_json(root / "registry" / f"{dataset}.json", "the registered version")
        links = mlflow_links(root, entry)
        pictures = sorted((root / "reports" / dataset / "pictures").glob("*.png"))[:_PICTURES]
        text = summary(metrics, entry, stages, decision, links, [embedded(one) for one in pictures])
        create_markdown_artifact(text, f"{dataset}-summary", headline(metrics))
        for link in links:
            create_link_artifact(
                link.url, link.text, f"{dataset}-{link.what}", f"MLflow: {link.text}"
            )


def summary(
    metrics: Mapping[str, Any],
    entry: Mapping[str, Any],
    stages: Sequence[Mapping[str, Any]],
    decision: str,
    links: Sequence[Link],
    pictures: Sequence[str],
) -> str:
    """The summary in Markdown.

    Args:
        metrics: metrics/{d}.json.
        entry: registry/{d}.json.
        stages: as in `write_summary`.
        decision: what `symbio promote` said.
        links: to MLflow; without any, the command that shows the store is named.
        pictures: Markdown of held-out frames.
    """
    parts = [
        f"## {entry['name']}, version {entry['version']}",
        _scores(metrics),
        "*constant*: the one depth and class that score best on these very frames; *untrained*: "
        "the same network with random weights.",
        f"### Promotion\n\n```\n{decision.strip()}\n```" if decision.strip() else "",
        "### Look at it",
        "\n".join(f"* MLflow: [{link.text}]({link.url})" for link in links)
        or f"Run `{entry['run_id']}`: `symbio ui` shows it and the model.",
        "### Stages",
        _stages(stages),
        "### Held-out frames" if pictures else "",
        *pictures,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(metrics: Mapping[str, Any]) -> str:
    """One line: frames, protocol, the trained network's scores."""
    columns = _columns(metrics)
    scores = ", ".join(
        f"{title} {_number(metrics['trained'], key)}" for key, title in columns.items()
    )
    return f"{_frames(metrics)}: {scores}"


def _scores(metrics: Mapping[str, Any]) -> str:
    columns = _columns(metrics)
    lines = [
        f"| {_frames(metrics)} | " + " | ".join(columns.values()) + " |",
        "|---" * (1 + len(columns)) + "|",
    ]
    for predictor in _PREDICTORS:
        if predictor not in metrics:
            continue
        mark = "**" if predictor == "trained" else ""
        cells = [predictor, *(_number(metrics[predictor], key) for key in columns)]
        lines.append("| " + " | ".join(f"{mark}{cell}{mark}" for cell in cells) + " |")
    return "\n".join(lines)


def _columns(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Metric -> title; classes are scored against the truth, or against the teacher without one."""
    trained = metrics["trained"]
    labels = "truth" if "truth_miou" in trained else "pseudo"
    note = "" if labels == "truth" else " (teacher)"
    semantics = {f"{labels}_{key}": f"{title}{note}" for key, title in _SEMANTICS.items()}
    return {key: title for key, title in {**_DEPTH, **semantics}.items() if key in trained}


def _frames(metrics: Mapping[str, Any]) -> str:
    return f"{metrics['dataset'].upper()}, {metrics['num_images']} frames, {metrics['protocol']}"


def _number(scores: Mapping[str, float | None], key: str) -> str:
    if key not in scores:
        return ""
    value = scores[key]
    return "not a number" if value is None else f"{value:.3f}"


def _stages(stages: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| stage | outcome | time |", "|---|---|---|"]
    for one in stages:
        outcome = _OUTCOMES.get(one["outcome"], one["outcome"])
        lines.append(f"| {one['stage']} | {outcome} | {duration_text(one['seconds'])} |")
    whole = duration_text(sum(one["seconds"] for one in stages))
    return "\n".join([*lines, f"| all | | {whole} |"])
