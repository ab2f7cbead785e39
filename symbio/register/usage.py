"""How a version is used, for its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from symbio.blocks import Block, Heading, Listing, Text
from symbio.model.saved import spoken


def usage(name: str, card: Mapping[str, Any], onnx: bool) -> Iterator[Block]:
    """A section of a card.

    Args:
        name: of the registered model.
        card: model.json.
        onnx: whether the package holds model.onnx.
    """
    version = f"models:/{name}/VERSION"
    classes = spoken(card)
    yield Heading("Use")
    yield Text("VERSION is the number of this version.")
    yield Listing(
        f"symbio predict {version} PICTURE... --out predictions\n"
        f"symbio demo {version}\n"
        f"symbio fetch {version} --out model   # verified, file by file\n"
        "mlflow models serve -m model --env-manager local"
    )
    lines = [
        "import mlflow",
        'model = mlflow.pyfunc.load_model("model")',
        "out = model.predict(images)  # uint8 (B, H, W, 3), RGB",
        'out["depth"]  # metres (B, H, W)',
    ]
    if classes is not None:
        lines.append(f'out["semantic"]  # class 0..{len(classes.names) - 1} (B, H, W)')
    yield Listing("\n".join(lines))
    if onnx:
        height, width = card["image_size"]
        said = "depth," if classes is None else "depth, semantic"
        yield Text("Without PyTorch and symbio, for pictures of one size:")
        yield Listing(
            "import onnxruntime\n"
            'session = onnxruntime.InferenceSession("model/artifacts/network/model.onnx")\n'
            f'{said} = session.run(None, {{"image": images}})'
            f"  # uint8 (B, 3, {height}, {width}), RGB"
        )
