"""The summary of a training flow: its text, its pictures, its links, on a real server's page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from flows.page.links import Link
from flows.page.pictures import embedded
from flows.page.summary import headline, summary, write_summary
from symbio.files import write_json
from tests.flows.page.conftest import Server, artifacts

METRICS: dict[str, Any] = {
    "dataset": "nyu",
    "protocol": "nyu-eigen",
    "num_images": 64,
    "trained": {
        "abs_rel": 0.06588,
        "rmse": 0.32529,
        "d1": 0.9717,
        "d2": 0.9951,
        "truth_miou": 0.75296,
        "truth_pixel_accuracy": 0.90127,
        "pseudo_miou": 0.7861,
    },
    "constant": {"abs_rel": 0.231, "rmse": 1.014, "d1": 0.549, "truth_miou": 0.021},
    "untrained": {"abs_rel": None, "rmse": 1.502, "d1": 0.353, "truth_miou": 0.001},
}
ENTRY = {"name": "symbio-nyu", "version": "3", "run_id": "766c45eecf3f47d7959635751dd4abf6"}
STAGES = [
    {"stage": "sample@nyu", "outcome": "cached", "seconds": 0.2},
    {"stage": "label@nyu", "outcome": "unchanged", "seconds": 2.4},
    {"stage": "train@nyu", "outcome": "ran", "seconds": 300.0},
]
DECISION = "champion stays version 2: abs_rel 0.066 is not below 0.065"


def write_results(root: Path) -> None:
    """What the stages evaluate and register leave."""
    write_json(root / "metrics" / "nyu.json", METRICS)
    write_json(root / "registry" / "nyu.json", ENTRY)
    pictures = root / "reports" / "nyu" / "pictures"
    pictures.mkdir(parents=True)
    for number in range(4):
        grey = np.full((580, 1000, 3), 60 * number, np.uint8)
        Image.fromarray(grey).save(pictures / f"frame-{number}.png")


def picture_in(markdown: str) -> Image.Image:
    head, code = markdown.rstrip(")").split(";base64,")
    assert head.endswith("(data:image/jpeg")
    return Image.open(io.BytesIO(base64.b64decode(code, validate=True)))


def test_the_table_is_that_of_the_readme() -> None:
    text = summary(METRICS, ENTRY, STAGES, DECISION, [], [])
    assert [line for line in text.splitlines() if line.startswith("|")][:5] == [
        "| NYU, 64 frames, nyu-eigen | abs_rel | rmse (m) | d1 | mIoU | pixel accuracy |",
        "|---|---|---|---|---|---|",
        "| **trained** | **0.066** | **0.325** | **0.972** | **0.753** | **0.901** |",
        "| constant | 0.231 | 1.014 | 0.549 | 0.021 |  |",
        "| untrained | not a number | 1.502 | 0.353 | 0.001 |  |",
    ]
    assert headline(METRICS) == (
        "NYU, 64 frames, nyu-eigen: "
        "abs_rel 0.066, rmse (m) 0.325, d1 0.972, mIoU 0.753, pixel accuracy 0.901"
    )


def test_without_truth_classes_are_scored_against_the_teacher() -> None:
    trained = {"abs_rel": 0.1, "pseudo_miou": 0.5, "pseudo_pixel_accuracy": 0.6}
    text = summary({**METRICS, "trained": trained}, ENTRY, STAGES, DECISION, [], [])
    assert "| abs_rel | mIoU (teacher) | pixel accuracy (teacher) |" in text
    depth_only = summary({**METRICS, "trained": {"abs_rel": 0.1}}, ENTRY, STAGES, "", [], [])
    assert "mIoU" not in depth_only


def test_stages_decision_and_links() -> None:
    text = summary(METRICS, ENTRY, STAGES, DECISION, [], [])
    assert "| sample@nyu | reused from an earlier flow | 0 s |" in text
    assert "| label@nyu | unchanged, did not run | 2 s |" in text
    assert "| train@nyu | ran | 5 min |" in text
    assert "| all | | 5 min |" in text
    assert f"```\n{DECISION}\n```" in text
    assert "Run `766c45eecf3f47d7959635751dd4abf6`: `symbio ui` shows it" in text
    linked = summary(METRICS, ENTRY, STAGES, DECISION, [Link("run", "run a", "http://m/#/1")], [])
    assert "* MLflow: [run a](http://m/#/1)" in linked
    assert "symbio ui" not in linked
    assert "Promotion" not in summary(METRICS, ENTRY, STAGES, " \n", [], [])


def test_a_picture_is_part_of_the_text_and_small(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:580, 0:1000]
    busy = np.stack([rows % 256, columns % 256, (rows + columns) % 256], 2).astype(np.uint8)
    Image.fromarray(busy).save(tmp_path / "room-00045.png")
    text = embedded(tmp_path / "room-00045.png")
    assert text.startswith("![room-00045](")
    shown = picture_in(text)
    assert (shown.format, shown.size) == ("JPEG", (800, 464))
    like = np.asarray(Image.fromarray(busy).resize((800, 464)), np.float64)
    assert np.abs(np.asarray(shown, np.float64) - like).mean() < 12
    assert len(text) < 200_000


@pytest.mark.slow
def test_the_run_gets_the_summary(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow
    from prefect.context import FlowRunContext

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_results(tmp_path)

    @flow
    def training() -> UUID:
        write_summary(tmp_path, "nyu", STAGES, DECISION)
        write_summary(tmp_path, "kitti", STAGES, DECISION)
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        return context.flow_run.id

    # kitti has no results: nothing is shown, and nothing fails.
    [artifact] = artifacts(training())
    assert (artifact.key, artifact.type) == ("nyu-summary", "markdown")
    assert artifact.description == headline(METRICS)
    text = str(artifact.data)
    assert "| **trained** | **0.066** | **0.325** | **0.972** | **0.753** | **0.901** |" in text
    pictures = [line for line in text.splitlines() if line.startswith("![")]
    assert [line[: line.index("(")] for line in pictures] == ["![frame-0]", "![frame-1]"]
    assert [picture_in(line).convert("L").getpixel((9, 9)) for line in pictures] == [0, 60]


def test_outside_a_run_nothing_is_written(tmp_path: Path) -> None:
    write_results(tmp_path)
    write_summary(tmp_path, "nyu", STAGES, DECISION)
