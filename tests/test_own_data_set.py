"""A data set that symbio has never heard of goes the whole way by the verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from symbio.cli import main
from symbio.files import read_json
from symbio.presets import PRESETS
from tests.prepare.own_files import write_dataset_file, write_frames

SECTION = {
    "raw": "rooms",
    "layout": "custom",
    "image_size": [32, 64],
    "depth_range": [0.3, 12.0],
    "protocol": "none",
    "val_share": 0.3,
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params of a data set `rooms`, and its files."""
    values: dict[str, Any] = yaml.safe_load((PRESETS / "sample.yaml").read_text())
    values["custom"] = {"rooms": SECTION}
    values["model"]["channels"] = 16
    values["train"].update(
        steps=2, batch=2, micro_batch=2, checkpoint_every=2, validate_every=2, precision="fp32"
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    write_frames(tmp_path / "rooms")
    write_dataset_file(tmp_path / "rooms")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.mark.slow
def test_a_data_set_of_ones_own_goes_from_files_to_a_registered_model(project: Path) -> None:
    for verb in ("check", "prepare", "label"):
        assert main([verb, "rooms"]) == 0
    for verb in ("train", "evaluate"):
        assert main([verb, "rooms", "--ranks", "1"]) == 0
    assert main(["register", "rooms"]) == 0
    metrics = read_json(project / "metrics" / "rooms.json", "metrics")
    assert (metrics["dataset"], metrics["num_images_scored"]) == ("rooms", 3)
    # Of the three classes ADE20K has two: what the network can never say still counts as missed.
    assert metrics["label_space"] == "names:1=wall,2=floor,7=gizmo"
    trained = metrics["trained"]
    assert trained["truth_num_classes"] == 3
    assert trained["truth_miou"] == pytest.approx(trained["truth_miou_reachable"] * 2 / 3)
    entry = read_json(project / "registry" / "rooms.json", "the registered version")
    assert entry["uri"] == "models:/symbio-rooms/1"
    picture = "rooms/test/room_0/000_rgb.png"
    # The point cloud needs no --focal: the card knows the camera from dataset.yaml.
    assert main(["predict", "models:/symbio-rooms/1", picture, "--ply"]) == 0
    (cloud,) = (project / "predictions").glob("*.ply")
    assert b"focal length 60.000 pixels" in cloud.read_bytes()[:400]
    assert main(["status", "rooms"]) == 0
    assert main(["gc"]) == 0
