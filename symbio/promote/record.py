"""What the store keeps of decisions: evidence, tags, and who was champion before whom."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import write_json
from symbio.promote.evidence import evidence
from symbio.tracking.mirror import log_artifact
from symbio.tracking.models import Version, model_tag, tag_model, tag_version
from symbio.tracking.store import open_store

CHAMPIONS_TAG = "symbio.champions"
"""Of the registered model: versions that were champion, oldest first, without those rolled back."""
DECISION_TAG, TIME_TAG, REASON_TAG = (
    "symbio.promotion",
    "symbio.promotion.time",
    "symbio.promotion.reason",
)
"""Of a version: its last decision (promoted, refused, rolled back), when, and why in a line."""
ROLLED_BACK_TAG = "symbio.rolled_back"
"""Of a version that was champion and is not wanted as such: when it was rolled back."""
FOLDER = "promotion"
"""Of the decisions in the artifacts of a version's run."""

_REASON_LIMIT = 500


def record_decision(root: Path, version: Version, decision: Mapping[str, Any]) -> str:
    """Store a decision with the version's run, and tag the version; returns the artifact's path.

    Beside the JSON lies the same as a page (.md).

    Raises:
        SymbioError: the version has no run: symbio did not register it.
    """
    if not version.run_id:
        raise SymbioError(
            f"{version.uri}: has no run to keep the decision with; register the model with "
            "`symbio register`"
        )
    stamp = str(decision["time"]).replace(":", "").replace("-", "").split("+")[0]
    with tempfile.TemporaryDirectory(prefix="symbio-promotion-") as folder:
        path = Path(folder) / f"{version.name}-{version.version}-{stamp}.json"
        write_json(path, decision)
        page = path.with_suffix(".md")
        page.write_text(evidence(decision), encoding="utf-8")
        for one in (page, path):
            log_artifact(open_store(root), version.run_id, one, FOLDER)
    reason = "; ".join(decision["reasons"])
    tags = {DECISION_TAG: decision["verdict"], TIME_TAG: decision["time"]}
    tag_version(root, version, tags | {REASON_TAG: reason[:_REASON_LIMIT]})
    return f"{FOLDER}/{path.name}"


def champions(root: Path, name: str, champion: str | None) -> list[str]:
    """Versions that were champion, oldest first, ending with the present one.

    What the tag tells is cut or extended to the alias, which is the truth: somebody may have moved
    it by hand, and a process may have died between the two.
    """
    told = [one for one in (model_tag(root, name, CHAMPIONS_TAG) or "").split() if one]
    if champion is None:
        return []
    if champion in told:
        last = len(told) - 1 - told[::-1].index(champion)
        return told[: last + 1]
    return [*told, champion]


def note_champions(root: Path, name: str, versions: list[str]) -> None:
    """Remember who was champion."""
    tag_model(root, name, CHAMPIONS_TAG, " ".join(versions))
