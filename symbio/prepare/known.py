"""What is known of the official data: where files come from, and how many frames there are."""

from __future__ import annotations

from dataclasses import dataclass

ORIGIN = {
    "labelled": (
        'nyu_depth_v2_labeled.mat and splits.mat are on the "NYU Depth Dataset V2" page of New '
        "York University"
    ),
    "sync": (
        "The extracted frames (sync/) and the lists come with the code of BTS, which also has the "
        "script that extracts official_splits/ from nyu_depth_v2_labeled.mat"
    ),
    "annotated": (
        "Raw drives and calibration, annotated depth maps with the official selection, and "
        "semantics are on the KITTI Vision Benchmark Suite's pages for raw data, depth prediction "
        "and semantics; the Eigen lists come with the code of BTS, iDisc, GLPDepth and monodepth2"
    ),
}
"""Where the files of each layout come from."""


@dataclass(frozen=True, slots=True)
class Total:
    """The frames of a split that circulates."""

    listed: int
    """Lines of the list, or files of the folder."""
    used: int | None
    """Frames with ground truth; None where that is not known."""
    name: str


KNOWN: dict[str, dict[str, tuple[Total, ...]]] = {
    "labelled": {
        "train": (Total(795, 795, "official training split"),),
        "test": (Total(654, 654, "official test split"),),
    },
    "sync": {
        "train": (
            Total(24231, 24231, "list of BTS, AdaBins, ZoeDepth and iDisc"),
            Total(36253, 36253, "dense list of NeWCRFs and PixelFormer"),
            Total(795, 795, "official training split"),
        ),
        "test": (Total(654, 654, "official test split"),),
    },
    "annotated": {
        "train": (
            Total(23158, 23158, "Eigen training list of BTS"),
            Total(39810, None, "Eigen training list of Zhou, from monodepth2"),
            Total(45200, None, "full Eigen training list of monodepth2"),
        ),
        "test": (
            Total(697, 652, "Eigen test list; 45 of its frames have no ground truth"),
            Total(652, 652, "Eigen test list without the frames that have no ground truth"),
            Total(1000, 1000, "official validation selection of KITTI depth prediction"),
        ),
    },
}
"""Totals of each layout and split, the most usual first."""


def recognised(layout: str, split: str, listed: int) -> Total | None:
    """The split that has this number of listed frames, or None."""
    totals = KNOWN.get(layout, {}).get(split, ())
    return next((total for total in totals if total.listed == listed), None)
