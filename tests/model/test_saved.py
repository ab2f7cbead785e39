"""Saved networks: bit-equal when whole, refused when not."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open

from symbio.errors import SymbioError
from symbio.model.saved import load_network, save_network

from .builders import SIZE, images, model_params, small_network

CARD = {"dataset": "nyu", "protocol": "nyu-eigen", "label_space": "ade20k"}


@pytest.fixture(scope="module")
def network():
    network = small_network(seed=5)
    network(images(2, 3, *SIZE))  # moves the encoder's running statistics
    return network.eval()


@pytest.fixture
def folder(tmp_path, network):
    save_network(tmp_path / "nyu", network, CARD)
    return tmp_path / "nyu"


def change_card(folder, **values):
    card = json.loads((folder / "model.json").read_text())
    card.update(values)
    (folder / "model.json").write_text(json.dumps(card))


@torch.no_grad()
def test_round_trip_is_bit_equal(folder, network):
    loaded, card = load_network(folder)
    assert not loaded.training
    image = images(2, 3, *SIZE)
    assert torch.equal(loaded(image).depth, network(image).depth)
    assert torch.equal(loaded(image).logits, network(image).logits)
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert loaded.params == network.params
    assert card.items() >= CARD.items()
    assert card["image_size"] == list(SIZE)
    assert card["depth_range"] == [1e-3, 10.0]
    assert card["num_classes"] == 11
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "weights.safetensors"]


def test_saving_again_replaces_and_gives_the_same_bytes(folder, network):
    before = (folder / "weights.safetensors").read_bytes()
    save_network(folder, network, CARD)
    assert (folder / "weights.safetensors").read_bytes() == before


def test_a_pretrained_encoder_is_not_fetched_again(tmp_path, network, monkeypatch):
    asked = model_params(encoder="test_maxvit", pretrained=True)  # timm has no such weights
    monkeypatch.setattr(network, "params", asked)
    save_network(tmp_path / "nyu", network, CARD)
    assert load_network(tmp_path / "nyu")[0].params == asked


def test_other_readers_open_the_weights(folder, network):
    with safe_open(folder / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == set(network.state_dict())


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize("damage", [flip_a_bit, truncate])
def test_damaged_weights_are_refused(folder, damage):
    damage(folder / "weights.safetensors")
    with pytest.raises(SymbioError, match=r"weights\.safetensors: its SHA-256 .* truncated or"):
        load_network(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(SymbioError, match=rf"{name}: no such file"):
        load_network(folder)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"exchange": "none"}, r"unknown \(symbiosis\.dgt"),
        ({"semantics": False}, r"unknown \(head_semantic"),
        ({"channels": 8}, r"of another shape \(decoder.*instead of"),
        ({"encoder": "test_resnet"}, r"missing \(encoder.*unknown \(encoder"),
    ],
)
def test_weights_of_another_network_are_refused(folder, other, says):
    change_card(folder, model=model_params(**other).model_dump(mode="json"))
    with pytest.raises(SymbioError, match="do not fit the network: .*" + says):
        load_network(folder)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"format": 2}, "format 2"),
        ({"weights_sha256": None}, "weights_sha256 is missing"),
        ({"image_size": "large"}, "does not describe a network"),
        ({"model": {"encoder": "test_maxvit"}}, "does not describe a network"),
        ({"model": None}, "does not describe a network"),
    ],
)
def test_a_card_that_describes_no_network_is_refused(folder, values, says):
    change_card(folder, **values)
    with pytest.raises(SymbioError, match=rf"model\.json: .*{says}"):
        load_network(folder)


def test_a_garbled_card_is_refused(folder):
    (folder / "model.json").write_text('{"format": 1')
    with pytest.raises(SymbioError, match=r"model\.json"):
        load_network(folder)
