"""Where training reads and writes, below the project's root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
