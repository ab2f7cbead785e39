"""The registered model as MLflow runs it ("models from code"): this file is part of the package.

It is executed where the model is loaded, beside the packed copy of the code it needs; nothing is
unpickled. Input: pictures, uint8 (B, H, W, 3), RGB. Output: depth in metres, float32 (B, H, W),
and, of networks with semantics, classes, uint8 (B, H, W), whose names are in the model's metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from numpy.typing import NDArray

from symbio.model.inference import infer
from symbio.model.saved import load_network

_PIXELS_AT_ONCE = 4_000_000


class Served(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Depth and semantics of pictures of any one size."""

    def load_context(self, context: Any) -> None:
        """Load the network; a changed byte of its weights is an error."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network, _ = load_network(Path(context.artifacts["network"]), device)

    # MLflow reads the hints of this method: of a plain array it makes no schema of its own.
    def predict(
        self,
        context: Any,
        model_input: np.ndarray,  # type: ignore[type-arg]
        params: dict[str, Any] | None = None,
    ) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        """Depth and classes, see the module."""
        images = np.asarray(model_input, dtype=np.uint8)
        at_once = max(1, _PIXELS_AT_ONCE // max(1, images[0].size // 3))
        parts = [
            infer(self._network, images[start : start + at_once])
            for start in range(0, len(images), at_once)
        ]
        result: dict[str, NDArray[Any]] = {"depth": np.concatenate([p.depth_m for p in parts])}
        classes = [p.classes for p in parts if p.classes is not None]
        if classes:
            result["semantic"] = np.concatenate(classes)
        return result


mlflow.models.set_model(Served())
