"""The exported graph says what the network says, or there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from symbio.model.inference import infer
from symbio.model.network import build_network
from symbio.model.saved import load_network, save_network
from symbio.params import ModelParams, SymbiosisParams
from symbio.register import onnx_export
from symbio.register.onnx_export import export_onnx
from tests.examined_once import examined_once
from tests.tiny_model import put_model


@pytest.mark.parametrize("batch", [2, 5])
def test_onnxruntime_says_what_inference_says(tmp_path: Path, batch: int) -> None:
    model = put_model(tmp_path / "model")
    told = examined_once(model, tmp_path).onnx
    assert told.startswith("checked, max rel. difference ")
    network, _ = load_network(model)
    height, width = network.image_size
    pictures = np.random.default_rng(batch).integers(0, 256, (batch, height, width, 3), np.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    depth, classes = session.run(None, {"image": pictures.transpose(0, 3, 1, 2)})
    expected = infer(network, pictures)
    assert (depth.dtype, classes.dtype) == (np.float32, np.uint8)
    assert depth.shape == classes.shape == (batch, height, width)
    assert np.allclose(depth, expected.depth_m, rtol=1e-4)
    assert (classes == expected.classes).mean() > 0.999
    (image,) = session.get_inputs()
    assert (image.type, image.shape) == ("tensor(uint8)", ["batch", 3, height, width])
    assert [one.shape for one in session.get_outputs()] == [["batch", height, width]] * 2
    # No file beside it, and no operator but ONNX's own.
    graph = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    assert not [one for one in graph.graph.initializer if one.data_location]
    assert {one.domain for one in graph.graph.node} == {""}


def test_depth_alone_at_a_size_that_is_padded(tmp_path: Path) -> None:
    params = ModelParams(
        encoder="test_resnet",
        pretrained=False,
        channels=16,
        symbiosis=SymbiosisParams(exchange="none", heads=2),
        depth_output="log",
        semantics=False,
    )
    save_network(tmp_path / "model", build_network(params, (51, 70), 10.0, 0.001), {})
    assert "classes" not in export_onnx(tmp_path / "model", tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [(one.name, one.shape) for one in session.get_outputs()] == [
        ("depth", ["batch", 51, 70])
    ]


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("MAX_BYTES", 1000, "none: 0.0 GiB of weights, more than "),
        ("_OPSET", 7, "none: "),
    ],
)
def test_where_it_cannot_be_made_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, reason: str
) -> None:
    monkeypatch.setattr(onnx_export, limit, value)
    assert export_onnx(put_model(tmp_path / "model"), tmp_path).startswith(reason)
    assert not (tmp_path / "model.onnx").exists()


def test_a_graph_of_other_weights_is_refused(tmp_path: Path) -> None:
    model = put_model(tmp_path / "model")
    examined_once(model, tmp_path)
    network, _ = load_network(model)
    with torch.no_grad():
        network.head_depth.out.bias += 0.01
    with pytest.raises(onnx_export.Refused, match=r"depth differs by \de-\d+ of its value"):
        onnx_export.require_alike(onnx_export.Graph(network), tmp_path / "model.onnx")
