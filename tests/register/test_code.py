"""The packed code is enough for inference, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from symbio.register.code import copy_code, needed_modules, requirements
from tests.tiny_model import put_model


def test_only_inference_is_packed() -> None:
    modules = needed_modules()
    assert "symbio.model.inference" in modules
    floors = {name.split(".")[1] for name in modules if name.count(".")}
    assert floors <= {"model", "data", "errors", "files", "params", "progress"}


def test_requirements_are_exact_and_name_what_inference_imports() -> None:
    found = dict(line.split("==") for line in requirements())
    assert {"torch", "timm", "numpy", "safetensors", "mlflow"} <= found.keys()
    assert not {"dvc", "deepspeed", "prefect", "optuna", "transformers", "zstandard"} & found.keys()
    assert all("+" not in version for version in found.values())


def test_the_copy_runs_where_symbio_and_its_pipeline_are_not(tmp_path: Path) -> None:
    copy_code(tmp_path / "code")
    model = put_model(tmp_path / "model")
    script = f"""
import sys
sys.path[:0] = [{str(tmp_path / "code")!r}]
for name in ("dvc", "deepspeed", "prefect", "optuna", "mlflow", "transformers"):
    sys.modules[name] = None
import numpy as np
from pathlib import Path
from symbio.data.classes import ade20k_names
from symbio.model.inference import infer
from symbio.model.saved import load_network
import symbio
assert symbio.__file__.startswith({str(tmp_path / "code")!r}), symbio.__file__
network, card = load_network(Path({str(model)!r}))
found = infer(network, np.zeros((2, 50, 70, 3), np.uint8))
assert found.depth_m.shape == found.classes.shape == (2, 50, 70)
assert len(ade20k_names()) == 150
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
