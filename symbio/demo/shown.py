"""The model that the page shows, and what the page has to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symbio.data.classes import palette
from symbio.model.network import SymbioticNetwork
from symbio.model.saved import spoken
from symbio.pictures import colour_depth
from symbio.predict.cloud import focal_of_width

MOST_BYTES = 32 * 2**20
"""Of an upload. The largest JPEG files of telephones have about 25 MB."""

_NEAREST_M = 0.1
_COLOURS = 256


@dataclass(frozen=True, slots=True)
class Shown:
    """A network in evaluation mode, its card, and the name by which the user asked for it."""

    name: str
    network: SymbioticNetwork
    card: dict[str, Any]

    @property
    def dataset(self) -> str:
        """The data set whose pictures the network was trained on; empty where the card is mute."""
        return str(self.card.get("dataset", ""))

    @property
    def focal_of_width(self) -> float | None:
        """Focal length over width of that data set's camera; None: not known."""
        return focal_of_width(self.card)

    def facts(self) -> dict[str, Any]:
        """JSON values: names, sizes, the scale of depth's colours, the classes with theirs."""
        low, high = (float(limit) for limit in self.card["depth_range"])
        low = max(low, _NEAREST_M)
        # Evenly spaced on the logarithmic scale, from its far end: every colour that it has.
        depths = np.geomspace(high, low, _COLOURS)[None]
        space = spoken(self.card)
        return {
            "name": self.name,
            "dataset": self.dataset,
            "image_size": list(self.network.image_size),
            "parameters": self.card.get("parameters"),
            "scale": {
                "low": low,
                "high": high,
                "colours": colour_depth(depths, low, high)[0].tolist(),
            },
            "classes": None
            if space is None
            else {
                "space": space.name,
                "names": list(space.names),
                "colours": palette()[: len(space.names)].tolist(),
            },
            "has_points": self.focal_of_width is not None,
            "most_bytes": MOST_BYTES,
        }
