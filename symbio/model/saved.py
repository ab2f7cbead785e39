"""A trained network on disk: weights.safetensors and model.json, nothing that runs code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from symbio.data.classes import ADE20K, ClassSpace, class_space
from symbio.errors import SymbioError
from symbio.files import read_json, sha256_of, whole_folder, write_json
from symbio.model.network import SymbioticNetwork, build_network
from symbio.model.safetensors_file import check_header, refuse_pickle
from symbio.params import ModelParams

WEIGHTS, CARD = "weights.safetensors", "model.json"
FORMAT = 1


def save_network(folder: Path, network: SymbioticNetwork, card: dict[str, Any]) -> dict[str, Any]:
    """Write `folder`, whole: the weights, and a card that is enough to build the network again.

    Args:
        folder: replaced if it exists.
        network: its weights are copied to the host and kept in their own dtype.
        card: JSON values to keep beside (dataset, protocol, label_space, class_space, ...).

    Returns:
        The card as written: `card` and format, model, image_size, depth_range, num_classes,
        parameters (their number), weights_sha256.
    """
    weights = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    with whole_folder(folder) as aside:
        save_file(weights, aside / WEIGHTS, metadata={"format": "pt"})
        written = {
            **card,
            "format": FORMAT,
            "model": network.params.model_dump(mode="json"),
            "image_size": list(network.image_size),
            "depth_range": list(network.depth_range),
            "num_classes": network.num_classes,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "weights_sha256": sha256_of(aside / WEIGHTS),
        }
        write_json(aside / CARD, written)
    return written


def load_network(
    folder: Path, device: str | torch.device = "cpu"
) -> tuple[SymbioticNetwork, dict[str, Any]]:
    """Read what `save_network` wrote: the network in evaluation mode, and its card.

    Raises:
        SymbioError: a file is missing, the weights are not the bytes that were saved, or they
            do not fit the network that the card describes.
    """
    card = read_json(folder / CARD, "a saved network's description")
    weights = _verified_weights(folder, card)
    network = _network_of(folder / CARD, card)
    expected = {name: value.shape for name, value in network.state_dict().items()}
    found = {name: value.shape for name, value in weights.items()}
    if expected != found:
        raise SymbioError(f"{folder / WEIGHTS}: {_difference(expected, found)}")
    network.load_state_dict(weights)
    network.says_classes = spoken(card) is not None
    return network.to(device).eval(), card


def spoken(card: Mapping[str, Any]) -> ClassSpace | None:
    """The classes that a saved network says; None: depth alone.

    Raises:
        SymbioError: the card names classes that this symbio does not know.
    """
    if not card["model"].get("semantics", True):
        return None
    # Cards from before there was a choice do not name it.
    name = card.get("class_space", ADE20K)
    return None if name is None else class_space(name)


def _verified_weights(folder: Path, card: Any) -> dict[str, torch.Tensor]:
    path = folder / WEIGHTS
    if not isinstance(card, dict) or not isinstance(card.get("weights_sha256"), str):
        raise SymbioError(f"{folder / CARD}: weights_sha256 is missing; make the model again")
    if not path.is_file():
        raise SymbioError(f"{path}: no such file (the weights that {CARD} belongs to)")
    refuse_pickle(path)
    digest = sha256_of(path)
    if digest != card["weights_sha256"]:
        raise SymbioError(
            f"{path}: its SHA-256 is {digest[:12]}..., {CARD} says "
            f"{card['weights_sha256'][:12]}...: the file is truncated or was changed "
            f"({path.stat().st_size} bytes); restore it or make the model again"
        )
    check_header(path)
    try:
        weights: dict[str, torch.Tensor] = load_file(path)
    except SafetensorError as error:
        raise SymbioError(f"{path}: is no safetensors file ({error})") from error
    return weights


def _network_of(path: Path, card: dict[str, Any]) -> SymbioticNetwork:
    if card.get("format") != FORMAT:
        raise SymbioError(f"{path}: format {card.get('format')!r}, this symbio reads {FORMAT}")
    try:
        params = ModelParams.model_validate(card["model"])
        height, width = (int(side) for side in card["image_size"])
        low, high = (float(depth) for depth in card["depth_range"])
        num_classes = int(card["num_classes"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise SymbioError(f"{path}: does not describe a network ({error})") from error
    # The weights come from the file: nothing is fetched.
    network = build_network(
        params.model_copy(update={"pretrained": False}), (height, width), high, low, num_classes
    )
    network.params = params
    return network


def _difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """In words, with at most three names of each kind."""

    def some(names: list[str]) -> str:
        return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")

    missing = sorted(expected.keys() - found.keys())
    foreign = sorted(found.keys() - expected.keys())
    shapes = [
        f"{name} {tuple(found[name])} instead of {tuple(expected[name])}"
        for name in sorted(expected.keys() & found.keys())
        if expected[name] != found[name]
    ]
    parts = [
        f"{len(names)} {what} ({some(names)})"
        for what, names in (
            ("missing", missing),
            ("unknown", foreign),
            ("of another shape", shapes),
        )
        if names
    ]
    return "the weights do not fit the network: " + "; ".join(parts)
