"""What only a network itself can tell: what it costs, and pictures of any frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from symbio.compare.subject import Subject
from symbio.data.images import encode_png
from symbio.data.shards import INDEX, Shards
from symbio.evaluate.panels import panel
from symbio.evaluate.parallel import one_thread_an_operation
from symbio.evaluate.predictors import network_predictor
from symbio.evaluate.protocol import protocol_named
from symbio.evaluate.rank import open_split
from symbio.evaluate.run import OtherModel, task_of
from symbio.files import read_json
from symbio.model.cost import flops_a_frame
from symbio.model.saved import CARD, load_network
from symbio.params import Params
from symbio.predict.source import fetch_network
from symbio.progress import track


@dataclass(frozen=True, slots=True)
class Looked:
    """What one network told."""

    parameters: int
    multiply_adds: int
    """Of one frame."""
    image_size: tuple[int, int]
    """Height and width (pixels) that it sees."""
    pictures: dict[str, bytes]
    """Key of a frame -> its panel, PNG."""


def network_of(subject: Subject, weights_sha256: str, root: Path, into: Path) -> Path | None:
    """The folder of a subject's network: one that is here already, or downloaded to `into`.

    Returns:
        None where nobody has it: neither this project nor the registry.

    Raises:
        SymbioError: what the registry holds is not what was registered; it refuses, or is away.
    """
    for folder in _places(subject, root):
        if _weights(folder) == weights_sha256:
            return folder
    if subject.version is None:
        return None
    folder = fetch_network(subject.version.uri, root, into)
    return folder if _weights(folder) == weights_sha256 else None


def look(
    params: Params,
    root: Path,
    subject: Subject,
    folder: Path,
    metrics: Mapping[str, Any],
    keys: Sequence[str],
) -> Looked:
    """Load a network, count what it costs, and draw what it makes of frames of the test split.

    The panels are those of `symbio evaluate`, bit by bit.

    Args:
        params: of the experiment.
        root: the project's folder, in which the frames are prepared if there are `keys`.
        subject: whose network it is.
        folder: of the network.
        metrics: its metrics file, which names the protocol.
        keys: of the frames.

    Raises:
        SymbioError: the network or a frame is broken.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, card = load_network(folder, device)
    pictures: dict[str, bytes] = {}
    if keys:
        name, protocol = str(metrics["protocol"]), protocol_named(str(metrics["protocol"]))
        other = OtherModel(folder, subject.uri, root)
        task = task_of(params, subject.dataset, root, name, str(metrics["split"]), other)
        source, _ = open_split(task, card)
        predict = network_predictor(network)
        with one_thread_an_operation():
            for key in track(keys, f"pictures of {subject.title}"):
                picture = panel(predict, source, protocol, key, device)
                pictures[key] = encode_png(picture)
    return Looked(
        parameters=int(card["parameters"]),
        multiply_adds=flops_a_frame(network, network.image_size) // 2,
        image_size=network.image_size,
        pictures=pictures,
    )


def prepared_here(root: Path, metrics: Mapping[str, Any]) -> Shards | None:
    """The frames that were measured, if this project has prepared just these.

    Raises:
        SymbioError: they are here and broken.
    """
    folder = root / "data" / "prepared" / str(metrics["dataset"])
    if not (folder / INDEX).is_file():
        return None
    prepared = Shards(folder)
    return prepared if prepared.digest() == metrics["data_sha256"] else None


def _places(subject: Subject, root: Path) -> list[Path]:
    """Where this project may have its network."""
    tags = subject.trained.tags
    places = [root]
    if "symbio.study" in tags and tags.get("symbio.trial", "").isdecimal():
        trial = f"trial-{int(tags['symbio.trial']):04d}"
        places.append(root / "searches" / Path(tags["symbio.study"]).name / trial)
    return [place / "models" / subject.dataset for place in places]


def _weights(folder: Path) -> str | None:
    """SHA-256 that a network's description names; loading it verifies the bytes."""
    if not (folder / CARD).is_file():
        return None
    found: str | None = read_json(folder / CARD, "a saved network's description").get(
        "weights_sha256"
    )
    return found
