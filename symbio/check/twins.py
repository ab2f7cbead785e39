"""The same picture more than once."""

from __future__ import annotations

from symbio.check.finding import Finding
from symbio.prepare.encode import Encoded


class Twins:
    """Remembers a digest of each picture's pixels, and where it was seen first in each split."""

    def __init__(self) -> None:
        self._seen: dict[bytes, dict[str, str]] = {}

    def add(self, frame: Encoded) -> list[Finding]:
        """Note a frame; the finding, if its very pixels were seen before."""
        split, source = frame.entry.split, frame.entry.source
        seen = self._seen.setdefault(frame.pixels_sha256, {})
        found = []
        if split in seen:
            found.append(_twice("picture twice", frame, f"{seen[split]} of the same split"))
        for other, first in seen.items():
            if other != split:
                where = f"{first} of split {other}"
                found.append(_twice("picture in two splits", frame, where))
        seen.setdefault(split, source)
        return found


def _twice(kind: str, frame: Encoded, where: str) -> Finding:
    what = f"holds the same pixels as {where}"
    return Finding(kind, frame.entry.source, what, frame.entry.split)
