"""Keys of artifacts, by which Prefect's pages list them."""

from __future__ import annotations

import re


def artifact_key(*parts: str) -> str:
    """The parts in one key: Prefect's know lower-case letters, digits and dashes."""
    return re.sub("[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
