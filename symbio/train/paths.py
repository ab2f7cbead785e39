"""Where training reads and writes, below the project's root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from symbio.ranks.heartbeat import ranks_folder


@dataclass(frozen=True, slots=True)
class Paths:
    """The fixed places of one data set."""

    root: Path
    dataset: str

    @property
    def prepared(self) -> Path:
        """Frames."""
        return self.root / "data" / "prepared" / self.dataset

    @property
    def pseudo(self) -> Path:
        """Pseudo-labels."""
        return self.root / "data" / "pseudo" / self.dataset

    @property
    def run(self) -> Path:
        """Checkpoints, journal and status of the run."""
        return self.root / "checkpoints" / self.dataset

    @property
    def model(self) -> Path:
        """The exported network."""
        return self.root / "models" / self.dataset

    @property
    def ranks(self) -> Path:
        """Heartbeats of the run's ranks."""
        return ranks_folder(self.run)

    @property
    def measured(self) -> Path:
        """What runs of this data set cost, one JSON a line."""
        return self.root / "checkpoints" / "measured" / f"{self.dataset}.jsonl"
