"""The verb `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from symbio.predict.predict import INDEX, predict
from symbio.predict.source import open_model
from symbio.progress import say


def run(
    model: str,
    inputs: Sequence[Path],
    out: Path,
    ply: bool = False,
    focal_px: float | None = None,
    root: Path = Path("."),
) -> dict[str, Any]:
    """Predict pictures with a model and write them to `out`; see `predict` and `open_model`.

    Raises:
        SymbioError: the model or a picture cannot be read, or `out` holds something else.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network, card = open_model(model, root, device)
    index = predict(network, card, inputs, out, ply=ply, focal_px=focal_px)
    say(f"{out / INDEX}: {len(index['pictures'])} pictures predicted")
    return index
