"""The network as ONNX: for programs that have neither PyTorch nor symbio.

The graph takes pictures of the size that the network was trained on; its input is uint8
(B, 3, h, w), RGB, and normalisation is inside. Outputs: `depth` float32 (B, h, w) in metres, and of
networks with semantics `semantic` uint8 (B, h, w). B may be any number. The weights are inside
the file, as numbers: nothing in it is unpickled or run but ONNX's own operators.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from symbio.data.draws import rng_for
from symbio.data.resize import resize_rgb
from symbio.model.network import SymbioticNetwork
from symbio.model.saved import load_network

ONNX = "model.onnx"

MAX_DIFFERENCE = 1e-3
"""Of a depth, relative. Two orders of summation differ by 3e-6 in small networks."""
MIN_SAME_CLASSES = 0.999
"""Share of the pixels; where two classes are equally likely, the last digit decides."""
MAX_BYTES = 1 << 30
"""Of weights. A protobuf file holds 2 GiB at most, and the exporter more than one copy."""

_OPSET = 18
_BLOTS = (6, 8)
_BATCHES = (1, 3)


class Refused(Exception):
    """There is no graph, or it does not say what the network says."""


def export_onnx(model: Path, into: Path) -> str:
    """Export a saved network and see that onnxruntime says what the network says.

    Seeded pictures, one and three at a time, go through both. The file is kept only if each depth
    differs by `MAX_DIFFERENCE` at most and `MIN_SAME_CLASSES` of the classes are the same.

    Args:
        model: folder of the network.
        into: folder that `model.onnx` is written to.

    Returns:
        "checked, max rel. difference 3e-06, same classes 100 %"; or "none: " and the reason.
    """
    network, _ = load_network(model)
    size = sum(weight.numel() * weight.element_size() for weight in network.state_dict().values())
    if size > MAX_BYTES:
        return f"none: {size / 2**30:.1f} GiB of weights, more than {MAX_BYTES / 2**30:g} GiB"
    graph = Graph(network).eval()
    with tempfile.TemporaryDirectory(prefix="symbio-onnx-") as temporary:
        path = Path(temporary) / ONNX
        try:
            _export(graph, path)
            told = require_alike(graph, path)
        # The exporter, its passes and onnxruntime raise kinds of their own.
        except Exception as error:
            first_line = (str(error).strip().splitlines() or [""])[0]
            kind = "" if isinstance(error, Refused) else f"{type(error).__name__}: "
            return f"none: {kind}{first_line:.200}"
        (into / ONNX).write_bytes(path.read_bytes())
    return told


class Graph(nn.Module):
    """From bytes to metres and classes, at the network's own size."""

    def __init__(self, network: SymbioticNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """uint8 (B,3,h,w) -> float32 (B,h,w), and uint8 (B,h,w) with semantics."""
        network = self.network
        said = network(network.normalise(image), coarse_logits=True)
        if said.logits is None:
            return (said.depth.float(),)
        return said.depth.float(), network.classes(said.logits, network.image_size)

    def pictures(self, batch: int) -> NDArray[np.uint8]:
        """Seeded blots of colour, uint8 (batch, 3, h, w).

        No noise: on it, a deep network's depth in float32 is off by several thousandths from that
        in float64, whoever computes it (0.004 with an untrained MaxViT-B, on blots 0.0002).
        """
        blots = rng_for(0, "onnx", batch).integers(0, 256, (batch, *_BLOTS, 3), np.uint8)
        images = [resize_rgb(one, self.network.image_size) for one in blots]
        return np.stack(images).transpose(0, 3, 1, 2)


def _export(graph: Graph, path: Path) -> None:
    """Write the graph with the exporter that traces.

    torch's newer one gives the same numbers and takes three to eight times as long (17 to 40 s for
    a network of 1.6 M parameters on a core), at each registration.
    """
    import onnx

    names = ["depth", "semantic"] if len(_said(graph, graph.pictures(1))) == 2 else ["depth"]
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            graph,
            (torch.from_numpy(graph.pictures(2)),),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["image"],
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in ("image", *names)},
        )
    # Tracing forgets the shapes of the outputs.
    written = onnx.load(str(path))
    for out in written.graph.output:
        dims = out.type.tensor_type.shape.dim
        dims[0].dim_param = "batch"
        for dim, side in zip(dims[1:], graph.network.image_size, strict=True):
            dim.dim_value = side
    onnx.checker.check_model(written)
    onnx.save(written, str(path))


def require_alike(graph: Graph, path: Path) -> str:
    """Run the file beside the network.

    Raises:
        Refused: they do not say the same.
    """
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Errors alone: what it warns of, the comparison below tells.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    difference, same = 0.0, 1.0
    for batch in _BATCHES:
        pictures = graph.pictures(batch)
        expected, found = _said(graph, pictures), session.run(None, {"image": pictures})
        for one, other in zip(expected, found, strict=True):
            if one.shape != other.shape or one.dtype != other.dtype:
                raise Refused(
                    f"{batch} pictures give {other.dtype} {other.shape}, "
                    f"the network gives {one.dtype} {one.shape}"
                )
        relative = np.abs(found[0] - expected[0]) / expected[0]
        # What is not a number compares as no difference.
        difference = max(difference, float(np.nan_to_num(relative, nan=np.inf).max()))
        if len(expected) == 2:
            same = min(same, float((found[1] == expected[1]).mean()))
    if difference > MAX_DIFFERENCE:
        raise Refused(
            f"depth differs by {difference:.0e} of its value, the bound is {MAX_DIFFERENCE:g}"
        )
    if same < MIN_SAME_CLASSES:
        raise Refused(
            f"{same:.2%} of the classes are the same, the bound is {MIN_SAME_CLASSES:.2%}"
        )
    classes = f", same classes {same * 100:.6g} %" if len(expected) == 2 else ""
    return f"checked, max rel. difference {difference:.0e}{classes}"


def _said(graph: Graph, pictures: NDArray[np.uint8]) -> list[NDArray[np.generic]]:
    with torch.inference_mode():
        return [one.numpy() for one in graph(torch.from_numpy(pictures))]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The tracer warns of each size that it takes for fixed, and of its own age."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
