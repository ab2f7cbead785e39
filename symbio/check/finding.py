"""What a check can find, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

WRONG = {
    "missing file": "fetch it, or take a list that names only what is there",
    "list": "take the published list, or correct the line",
    "broken file": "copy or download the file again",
    "wrong format": "take the file as it was published, neither converted nor turned",
    "sizes differ": "image, depth and labels must show the same pixels: take all unscaled",
    "class ids": "take the published label file, neither coloured nor mapped to other ids",
    "depth unit": "take the published depth, or convert yours to the unit that is expected",
    "8-bit depth": "the depth went through 8 bits and is lost: take the file as it was published",
    "no frames": "a split needs frames with depth inside the range of the params",
    "picture in two splits": "take one of the two out of its list",
}
"""Kinds that `symbio prepare` refuses, or that would spoil what is trained on them."""
NOTES = {
    "no measurement": "left out of train and val; kept in test, where the evaluation counts them",
    "depth beyond the range": "perhaps another unit in these frames alone: look at them",
    "labels empty": "no pixel has a class that is scored: nothing is learnt or scored there",
    "picture twice": "harmless, but counted twice",
    "another size": "these frames are brought to the size and shape of the others",
    "scene in two splits": "scores are partly of places seen in training",
    "number of frames": "scores are comparable with published ones only on the published frames",
}
"""Kinds to know about, which stop nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in one place."""

    kind: str
    """A key of `WRONG` or of `NOTES`."""
    file: str
    """The file, frame or list it was found in."""
    what: str
    """What was found, and what was expected."""
    split: str
    """train, val, test, or "" where it belongs to no split."""

    @property
    def wrong(self) -> bool:
        """Whether it spoils the verdict."""
        return self.kind in WRONG

    def below(self, raw: Path) -> Finding:
        """The same, with paths relative to the raw folder."""
        prefix = f"{raw}/"
        what = self.what.removeprefix(f"{self.file}: ").replace(prefix, "")
        return Finding(self.kind, self.file.replace(prefix, ""), what, self.split)


def by_kind(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings of each kind that there is, wrong ones first, each in the order of finding."""
    groups: dict[str, list[Finding]] = {kind: [] for kind in (*WRONG, *NOTES)}
    for finding in findings:
        groups[finding.kind].append(finding)
    return {kind: group for kind, group in groups.items() if group}
