"""Which protocols are defined on the frames of a split, and why the others are not."""

from __future__ import annotations

from pathlib import Path

from symbio.data.shards import INDEX
from symbio.errors import SymbioError
from symbio.evaluate.protocol import PROTOCOLS, Protocol
from symbio.files import read_json


def applicable(folder: Path, dataset: str, split: str) -> tuple[list[Protocol], dict[str, str]]:
    """The protocols that can score a split, in their usual order, and why the rest cannot.

    Only the index is read; whoever reads frames verifies them.

    Args:
        folder: of the prepared data set.
        dataset: its name.
        split: which of its frames.

    Returns:
        Protocols of this data set, or of any, whose crop is defined on every frame; and by the
        name of each other one the reason, a clause.

    Raises:
        SymbioError: the folder has no index.
    """
    index = read_json(folder / INDEX, "the index of a shard folder")
    infos = (index["frames"][key]["info"] for key in index["splits"].get(split, []))
    sizes = {(info["height"], info["width"]) for info in infos}
    found, reasons = [], {}
    for protocol in PROTOCOLS.values():
        why_not = _why_not(protocol, dataset, sizes)
        if why_not is None:
            found.append(protocol)
        else:
            reasons[protocol.name] = why_not
    return found, reasons


def _why_not(protocol: Protocol, dataset: str, sizes: set[tuple[int, int]]) -> str | None:
    if protocol.dataset not in (None, dataset):
        return f"its numbers are of {protocol.dataset}, these frames are of {dataset}"
    for height, width in sorted(sizes):
        try:
            protocol.box(height, width)
        except SymbioError as error:
            return str(error).split(";")[0]
    return None
