"""Published results, and by which protocol each was measured.

The protocol is that of the code which the numbers come from, where that code was read
(docs/protocols.md); where it was not, the row's protocol is `NOT_VERIFIED` and the row stands in no
table of comparable numbers. A value that was not read in the source named is marked as recalled.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

NOT_VERIFIED = "not verified"
METRICS = ("abs_rel", "rmse", "log10", "d1", "truth_miou")
"""What the file has columns for, by the names of a metrics file."""

TEST_FRAMES = {
    "nyu-eigen": 654,
    "nyu-multitask": 654,
    "kitti-eigen-garg-kb": 652,
    "kitti-eigen-garg-full": 652,
}
"""Frames with depth that published numbers of a protocol are means over."""

_FILE = Path(__file__).parent / "published.csv"


@dataclass(frozen=True, slots=True)
class Published:
    """One method's published numbers."""

    method: str
    dataset: str
    protocol: str
    values: dict[str, str]
    """By the names of METRICS, with the digits that were published; shares of 1. Those that were
    not seen are missing."""
    recalled: frozenset[str]
    """Names of values that were not read in any source."""
    flip: str
    """Whether answers to mirrored views were averaged in: yes, no, blended, not seen."""
    trained_on: str
    source: str


def published(dataset: str) -> list[Published]:
    """The published results of a data set, in the order of the file; none of one's own data set."""
    with _FILE.open(newline="", encoding="utf-8") as file:
        return [
            Published(
                method=row["method"],
                dataset=row["dataset"],
                protocol=row["protocol"],
                values={name: row[name] for name in METRICS if row[name]},
                recalled=frozenset(row["recalled"].split()),
                flip=row["flip"],
                trained_on=row["trained_on"],
                source=row["source"],
            )
            for row in csv.DictReader(file)
            if row["dataset"] == dataset
        ]
