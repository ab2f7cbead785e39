"""prefect.yaml and the flows agree: names, forms, descriptions."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.utilities.callables import parameter_schema

ROOT = Path(__file__).parents[2]
ENTRYPOINTS = sorted(
    {
        one["entrypoint"]
        for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
)


def flow_at(entrypoint: str) -> Flow[..., Any]:
    path, name = entrypoint.split(":")
    found = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(found, Flow)
    return found


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_the_flow_is_named_after_its_function(entrypoint: str) -> None:
    # flows/bare_name.py counts on it.
    assert flow_at(entrypoint).name == entrypoint.split(":")[1].replace("_", "-")


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_the_form_explains_every_parameter(entrypoint: str) -> None:
    flow = flow_at(entrypoint)
    assert flow.description
    for name, field in parameter_schema(flow.fn).properties.items():
        assert field.get("description"), f"{entrypoint}: {name} has no description"


def test_the_form_offers_data_sets_and_presets_to_choose_from() -> None:
    form = parameter_schema(flow_at("flows/label.py:label").fn)
    assert form.required == ["dataset"]
    assert form.properties["dataset"]["enum"] == ["nyu", "kitti"]
    assert {"enum": ["sample", "paper"], "type": "string"} in form.properties["preset"]["anyOf"]


def test_no_stage_is_imported_by_a_flow() -> None:
    """A flow starts in a second: what computes runs in processes of its own."""
    import subprocess
    import sys

    told = subprocess.run(
        [sys.executable, "-c", "import flows.train, sys; print('torch' in sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert told.stdout.strip() == "False"
