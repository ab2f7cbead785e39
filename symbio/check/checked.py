"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.check.finding import Finding
from symbio.check.totals import Counted
from symbio.pictures import Picture
from symbio.prepare.entry import Skipped


@dataclass(frozen=True, slots=True)
class Checked:
    """Findings and counts of a raw folder."""

    dataset: str
    raw: Path
    layout: str
    depth_scale: int
    label_space: str
    findings: list[Finding]
    skipped: list[Skipped]
    """Frames that the lists themselves leave out, as those whose depth is `None`."""
    totals: list[Counted]
    splits: dict[str, dict[str, Any]]
    """Counts of the frames that can be read, as `SplitStatistics` gives them."""
    saturated: dict[str, float]
    """Share of the measured pixels that hold a split's largest value."""
    valid_shares: dict[str, list[float]]
    """Measured share of the pixels of each frame."""
    contact: Picture | None
    facts: dict[str, Any]
    seconds: float

    @property
    def fine(self) -> bool:
        """Whether nothing wrong was found."""
        return not any(finding.wrong for finding in self.findings)
