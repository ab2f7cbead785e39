"""Where a model comes from: a folder, or the tracking store."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import torch

from symbio.errors import SymbioError
from symbio.model.network import SymbioticNetwork
from symbio.model.saved import CARD, WEIGHTS, load_network

REGISTRY_SCHEMES = ("models:/", "runs:/")

_NETWORK = re.compile(rf"artifacts/[^/]+/(?:{re.escape(CARD)}|{re.escape(WEIGHTS)})")


def open_model(
    model: str, root: Path, device: str | torch.device
) -> tuple[SymbioticNetwork, dict[str, Any]]:
    """The network and its card.

    Args:
        model: a folder such as `models/nyu`; `models:/symbio-nyu/1` or `models:/symbio-nyu@alias`
            of the model registry; or `runs:/RUN_ID/model`.
        root: the project's folder, whose store holds registered models.
        device: where the network goes.

    Raises:
        SymbioError: there is no such model, or its weights are not those that were saved.
    """
    if not model.startswith(REGISTRY_SCHEMES):
        folder = Path(model)
        if not (folder / CARD).is_file():
            raise SymbioError(
                f"{model}: holds no {CARD}; give a model's folder (models/nyu) or a registered "
                "model (models:/symbio-nyu@candidate)"
            )
        return load_network(folder, device)
    with tempfile.TemporaryDirectory(prefix="symbio-model-") as temporary:
        return load_network(fetch_network(model, root, Path(temporary)), device)


def fetch_network(uri: str, root: Path, into: Path) -> Path:
    """Download the network of a logged model; its folder, which holds safetensors and JSON only.

    The rest of the package, its code above all, stays where it is.

    Raises:
        SymbioError: symbio has not registered it, or it is not what was registered; the store has
            no such model, refuses, or is away (exit_code 75).
    """
    from symbio.tracking import fetch_model

    package = fetch_model(uri, root, into, _NETWORK.fullmatch)
    cards = sorted(package.glob(f"artifacts/*/{CARD}"))
    if len(cards) != 1:
        raise SymbioError(f"{uri}: is no model that symbio has registered")
    return cards[0].parent
