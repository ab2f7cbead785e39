"""The number of frames of each split beside what was published."""

from __future__ import annotations

from dataclasses import dataclass

from symbio.check.finding import Finding
from symbio.prepare.entry import Plan
from symbio.prepare.known import KNOWN, Total, recognised


@dataclass(frozen=True, slots=True)
class Counted:
    """One split of a plan."""

    split: str
    listed: int
    """Lines of its list, or frames found in its folder."""
    whole: int
    """Listed frames that have all their files."""
    published: Total | None
    """The published split with as many listed frames, if there is one."""
    expected: tuple[Total, ...]
    """The published splits of this layout, none for data of one's own."""

    def findings(self) -> list[Finding]:
        """A note, if frames were published and these are not as many."""
        if self.published or not self.expected:
            return []
        totals = ", ".join(f"{total.listed} ({total.name})" for total in self.expected)
        what = f"{self.listed} frames, published: {totals}"
        return [Finding("number of frames", f"split {self.split}", what, self.split)]


def counted(plan: Plan) -> list[Counted]:
    """Train (with what is held out of it) and test, as they are listed."""
    result = []
    for split in ("train", "test"):
        whole = sum(entry.split == split for entry in plan.entries)
        lists = plan.facts.get("lists", {})
        listed = int(lists.get(split, {}).get("frames", whole))
        expected = KNOWN.get(plan.layout, {}).get(split, ())
        published = recognised(plan.layout, split, listed)
        result.append(Counted(split, listed, whole, published, expected))
    return result
