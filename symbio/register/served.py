"""The registered model as MLflow runs it ("models from code"): this file is part of the package.

It is executed where the model is loaded, beside the packed copy of the code it needs; nothing is
unpickled. Input: pictures, integers 0..255 of shape (B, H, W, 3), RGB. Output: depth in metres,
float32 (B, H, W), and, of networks with semantics, classes, uint8 (B, H, W), whose names are in the
model's metadata. Anything else is refused with a message, over HTTP with status 400.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

from symbio.errors import SymbioError
from symbio.model.inference import infer
from symbio.model.manifest import check_manifest
from symbio.model.request import pictures_in
from symbio.model.saved import load_network

_PICTURES_AT_ONCE = 4


class Served(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Depth and semantics of pictures of any one size."""

    def load_context(self, context: Any) -> None:
        """Load the network.

        Raises:
            SymbioError: a file of the package is missing, was added or has other bytes than its
                manifest says.
        """
        network = Path(context.artifacts["network"])
        check_manifest(network.parents[1], None)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network, _ = load_network(network, device)
        # MLflow's server calls from many threads; side by side they would only share the cores,
        # and each takes memory of its own.
        self._one_at_a_time = threading.Lock()

    # MLflow reads the hints of this method: of a plain array it makes no schema of its own.
    def predict(
        self,
        context: Any,
        model_input: np.ndarray,  # type: ignore[type-arg]
        params: dict[str, Any] | None = None,
    ) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        """Depth and classes, see the module.

        Raises:
            MlflowException: INVALID_PARAMETER_VALUE, the input is something else.
        """
        try:
            images = pictures_in(model_input)
        except SymbioError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        with self._one_at_a_time:
            parts = [
                infer(self._network, images[start : start + _PICTURES_AT_ONCE])
                for start in range(0, len(images), _PICTURES_AT_ONCE)
            ]
        result: dict[str, NDArray[Any]] = {"depth": np.concatenate([p.depth_m for p in parts])}
        classes = [p.classes for p in parts if p.classes is not None]
        if classes:
            result["semantic"] = np.concatenate(classes)
        return result


mlflow.models.set_model(Served())
