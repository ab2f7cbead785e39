"""Registered versions beside published results, from a real store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from symbio.errors import SymbioError
from symbio.evaluate.protocol import PROTOCOLS
from symbio.files import write_json
from symbio.params import load_params
from symbio.table.page import blocks_of
from symbio.table.published import METRICS, NOT_VERIFIED, TEST_FRAMES, published
from symbio.table.registered import Measured
from symbio.table.run import run
from symbio.tracking import open_store
from symbio.tracking.models import Version, version_at
from symbio.tracking.scores import (
    METRICS_TAG,
    log_version_evaluation,
    metrics_sha256,
    store_scores,
)
from symbio.tracking.training import WEIGHTS_TAG
from tests.embedded_store import put_store

PRESET = Path(__file__).parents[2] / "symbio" / "presets" / "sample.yaml"


def tables(markdown: str) -> dict[str, list[list[str]]]:
    """Heading -> cells of the rows of its tables, the heads left out."""
    found: dict[str, list[list[str]]] = {}
    for section in markdown.split("\n## ")[1:]:
        rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
        found[section.splitlines()[0]] = [
            row for row in rows if row[0] != "method" and not row[0].startswith("---")
        ]
    return found


def measured(protocol: str, frames: int, rendered: bool = False, **more: Any) -> Measured:
    metrics = {
        "protocol": protocol,
        "num_images_scored": frames,
        "data_sha256": "d" * 64,
        "trained": {"abs_rel": 0.0812, "rmse": 0.31, "log10": 0.03, "d1": 0.95} | more,
    }
    return Measured("symbio-nyu 4", metrics, "somewhere", rendered)


def test_published_rows_are_whole() -> None:
    rows = [*published("nyu"), *published("kitti")]
    assert len(rows) > 40
    assert len({(row.method, row.dataset) for row in rows}) == len(rows)
    for row in rows:
        assert row.protocol == NOT_VERIFIED or PROTOCOLS[row.protocol].dataset == row.dataset
        assert row.protocol == NOT_VERIFIED or row.protocol in TEST_FRAMES
        assert row.recalled <= row.values.keys() <= set(METRICS)
        assert row.source != "none" or row.recalled == set(row.values), "read in no source"
        for name, value in row.values.items():
            assert re.fullmatch(r"\d\.\d{2,4}", value), (row.method, name)
            assert 0 < float(value) < (3 if name == "rmse" else 1)
    by_name = {row.method: row for row in published("nyu")}
    assert by_name["AdaBins"].values["abs_rel"] == "0.103"
    assert by_name["AdaBins"].recalled == {"log10"}
    assert "abs_rel" not in by_name["MIM-Depth SwinV2-L"].values
    assert published("mine") == []


def test_a_model_stands_beside_published_ones_only_on_their_frames() -> None:
    ours = [measured("nyu-eigen", 654), measured("nyu-eigen", 64), measured("nyu-eigen", 654, True)]
    blocks = blocks_of("nyu", published("nyu"), ours)
    texts = [type(block).__name__ for block in blocks]
    first, second = (
        block for block in blocks[: texts.index("Points")] if type(block).__name__ == "Table"
    )
    assert [row[0] for row in first.rows].count("symbio-nyu 4") == 1
    assert len(second.rows) == 2
    assert "say nothing beside published ones" in str(blocks)


def test_no_table_has_rows_of_two_protocols() -> None:
    ours = [measured(name, 5) for name in ("nyu-multitask", "none", "nyu-eigen")]
    sections = {}
    for block in blocks_of("nyu", published("nyu"), ours):
        kind = type(block).__name__
        if kind == "Heading":
            sections[block.text] = []  # type: ignore[union-attr]
        elif kind == "Table":
            sections[list(sections)[-1]] += [row[0] for row in block.rows]  # type: ignore[union-attr]
    assert list(sections) == ["nyu-eigen", "nyu-multitask", "none", "Protocol not verified"]
    for row in published("nyu"):
        heading = "Protocol not verified" if row.protocol == NOT_VERIFIED else row.protocol
        assert [name for name, rows in sections.items() if row.method in rows] == [heading]


def test_a_number_that_is_none_is_told() -> None:
    (row,) = (
        block.rows[0]
        for block in blocks_of("mine", [], [measured("none", 5, abs_rel=None)])
        if type(block).__name__ == "Table"
    )
    assert row[1] == "nan"


@pytest.mark.slow
def test_versions_of_a_real_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    put_store(tmp_path)
    own = scores("nyu-eigen", 0.0612)
    version = registered(tmp_path, own)
    for number, later in enumerate((scores("none", 0.0733), scores("nyu-eigen", 0.0599, True))):
        out = tmp_path / f"out-{number}"
        (out / "report").mkdir(parents=True)
        write_json(out / "metrics.json", later)
        log_version_evaluation(tmp_path, version, later, "abs_rel", out, {})

    assert run(load_params(PRESET), "nyu", tmp_path) == 0
    found = tables((tmp_path / "tables" / "nyu" / "table.md").read_text())
    mine = {name: [row for row in rows if "symbio" in row[0]] for name, rows in found.items()}
    # Mirrored views averaged in and not are two measurements of one protocol.
    rows = {(name, row[-3]): row for name, rows in mine.items() for row in rows}
    assert set(rows) == {("nyu-eigen", "no"), ("nyu-eigen", "yes"), ("none", "no")}
    assert {row[0] for row in rows.values()} == {"symbio-nyu 1 @candidate"}
    assert [rows[key][1] for key in sorted(rows)] == ["0.0733", "0.0612", "0.0599"]
    page = (tmp_path / "tables" / "nyu" / "table.html").read_text()
    assert "symbio-nyu 1 @candidate" in page
    assert "AdaBins" in capsys.readouterr().out


def scores(protocol: str, abs_rel: float, flip: bool = False) -> dict[str, Any]:
    """A metrics file of 64 frames."""
    return {
        "dataset": "nyu",
        "split": "test",
        "protocol": protocol,
        "flip": flip,
        "num_images_scored": 64,
        "data_sha256": "d" * 64,
        "weights_sha256": "e" * 64,
        "trained": {"abs_rel": abs_rel, "rmse": 0.3},
    }


def registered(root: Path, metrics: dict[str, Any]) -> Version:
    """A version with these scores, whose package is nowhere: the table needs none."""
    client = open_store(root)
    run_id = client.create_run(client.create_experiment("symbio-nyu")).info.run_id
    store_scores(root, run_id, metrics, root / "no-report")
    tags = {METRICS_TAG: metrics_sha256(metrics), WEIGHTS_TAG: str(metrics["weights_sha256"])}
    client.create_registered_model("symbio-nyu")
    client.create_model_version("symbio-nyu", str(root), run_id=run_id, tags=tags)
    client.set_registered_model_alias("symbio-nyu", "candidate", "1")
    return version_at(root, "models:/symbio-nyu/1")


def test_a_data_set_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SymbioError):
        run(load_params(PRESET), "cityscapes", tmp_path)
