"""The package of a version: one folder that MLflow loads, and that can be verified file by file.

    MLmodel, requirements.txt, ...     MLflow's own description of it
    served.py, code/symbio/            what runs: the model's code and the part of symbio it needs
    artifacts/network/                 the weights, model.json, model.onnx, the model card
    manifest.json                      SHA-256 and size of every other file

Nothing in it is unpickled: weights are safetensors, the code is source ("models from code").
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.model.manifest import write_manifest
from symbio.model.saved import spoken
from symbio.progress import say
from symbio.register.card import Facts
from symbio.register.code import copy_code, requirements

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature

_SERVED = Path(__file__).with_name("served.py")
_EXAMPLE_SIZE = (24, 32)


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about a network by running it."""

    measured: dict[str, Any] | None
    """Seconds and memory (`symbio.register.measured.measure`); None where that failed."""
    onnx: str
    """How the exported graph compares: "checked, ..." or "none: " and the reason."""


def examine(model: Path, into: Path) -> Examined:
    """Measure a network, and export it as ONNX to `into`/model.onnx where that works.

    Args:
        model: its folder.
        into: an existing folder.

    Raises:
        SymbioError: the network cannot be read.
    """
    # Imports torch.
    from symbio.register.measured import measured_apart
    from symbio.register.onnx_export import export_onnx

    say(f"{model}: measuring how fast it predicts, and exporting it as ONNX")
    measured = measured_apart(model)
    onnx = export_onnx(model, into)
    say(f"{model}: ONNX {onnx}")
    return Examined(measured, onnx)


def write_package(
    folder: Path,
    described: Model,
    network: Path,
    facts: Facts,
) -> str:
    """Write the package to `folder`, which must not exist; returns its manifest's SHA-256.

    Args:
        folder: of the package.
        described: by MLflow, with the ids of the model that the package becomes.
        network: folder of everything that is to lie in artifacts/network.
        facts: about the network, some of which become the model's metadata.
    """
    import numpy as np

    with warnings.catch_warnings():
        # On import MLflow warns of type hints of its own.
        warnings.simplefilter("ignore", UserWarning)
        import mlflow.pyfunc

    height, width = _EXAMPLE_SIZE
    classes = spoken(facts.card)
    with tempfile.TemporaryDirectory(prefix="symbio-code-") as temporary:
        mlflow.pyfunc.save_model(
            path=str(folder),
            mlflow_model=described,
            python_model=str(_SERVED),
            artifacts={"network": str(network)},
            code_paths=[str(copy_code(Path(temporary)))],
            signature=_signature(classes is not None),
            input_example=np.zeros((1, height, width, 3), np.uint8),
            # Named, so that MLflow does not start a process to find them out (7 s).
            pip_requirements=requirements(),
            metadata={
                "dataset": facts.card["dataset"],
                "weights_sha256": facts.card["weights_sha256"],
                "input": "integers 0..255 of shape (B, H, W, 3), RGB",
                "classes": [] if classes is None else list(classes.names),
                "measured": facts.measured,
                "onnx": facts.onnx,
            },
        )
    for compiled in folder.rglob("__pycache__"):
        shutil.rmtree(compiled)
    return write_manifest(folder)


def _signature(semantics: bool) -> ModelSignature:
    """Depth (and classes) of the pictures' size come out.

    What goes in is not part of it: with a type of the input at hand, MLflow's server turns what
    JSON holds into that type before the model sees it, and 0.7 would become 0. So the model
    itself refuses what are no pictures (`symbio.model.request`).
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    out = [TensorSpec(np.dtype(np.float32), (-1, -1, -1), name="depth")]
    if semantics:
        out.append(TensorSpec(np.dtype(np.uint8), (-1, -1, -1), name="semantic"))
    return ModelSignature(outputs=Schema(out))
