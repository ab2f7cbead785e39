"""One thing that stays or goes, and the marks by which that is decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

GRACE_S = 3600.0
"""Nothing that changed within this time goes: somebody may be about to use it."""
RECENT = "changed within the last hour"

VERSIONS = "registered versions"
MODELS = "logged models"
RUNS = "runs"
STUDIES = "studies"
WORKSPACES = "workspaces"
REPRODUCTIONS = "reproductions"
COMPARISONS = "comparisons"
EVALUATIONS = "evaluations"
TRAININGS = "trainings"
RECORDS = "records of runs"
RUN_CACHE = "DVC run cache"
OBJECTS = "DVC objects"
KINDS = (
    VERSIONS, MODELS, COMPARISONS, EVALUATIONS, REPRODUCTIONS, STUDIES, RECORDS, TRAININGS,
    WORKSPACES, RUNS, RUN_CACHE, OBJECTS,
)  # fmt: skip
"""In the order in which they go: whatever points to something goes before it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing."""

    kind: str
    """One of `KINDS`."""
    key: str
    """What it is found by: "symbio-nyu/3", an id, a path below the project, a hash."""
    name: str
    """What people call it."""
    size: int | None
    """Bytes that its going frees; None: not known (a store that is no disk of ours)."""
    why: str | None
    """Why it stays; None: it goes."""


@dataclass(slots=True)
class Marks:
    """Key -> why it stays. The first reason counts."""

    reasons: dict[str, str] = field(default_factory=dict)

    def mark(self, keys: Iterable[str], why: str) -> None:
        """Let these stay."""
        for key in keys:
            self.reasons.setdefault(key, why)

    def why(self, key: str) -> str | None:
        """Why it stays; None: nothing needs it."""
        return self.reasons.get(key)


def is_recent(changed: float, now: float) -> bool:
    """Whether what changed then (seconds since 1970) may not go yet."""
    return changed > now - GRACE_S
