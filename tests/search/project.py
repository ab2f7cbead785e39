"""Params of studies that take seconds."""

from __future__ import annotations

from typing import Any

from symbio.params import Params, parse_params
from tests.train.project import tiny_params

SPACE: dict[str, Any] = {
    "train.lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    "nearfarmix.mix": {"type": "categorical", "choices": ["none", "cutmix"]},
    "model.symbiosis.window": {"type": "int", "low": 2, "high": 8, "step": 2},
}
SUITE: dict[str, Any] = {
    "seeds": [3, 1],
    "variants": {
        "none": {"model.symbiosis.exchange": "none"},
        "plain": {"model.symbiosis.exchange": "full", "nearfarmix.mix": "none"},
    },
}


def study_params(
    search: dict[str, Any] | None = None, suite: dict[str, Any] | None = None, **train: Any
) -> Params:
    """Tiny params with a section `search` and a suite called `suite`."""
    values = tiny_params(**train).model_dump(mode="json", exclude_unset=True)
    values["search"] = {"trials": 3, "pruner": "none", "space": SPACE, **(search or {})}
    values["ablations"] = {"suite": suite or SUITE}
    return parse_params(values, "study_params")
