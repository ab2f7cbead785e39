"""From lines of KITTI's lists to frames: where the files are, and what is done without a map."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.prepare.entry import Entry, Picture, RawFrame, Skipped, key_of
from symbio.prepare.files import read_bytes
from symbio.prepare.findings import Findings
from symbio.prepare.kitti_extras import Calibrations, Semantics
from symbio.prepare.kitti_frames import Listed, Place, read_frames
from symbio.prepare.kitti_scans import Scans
from symbio.prepare.lists import Finder, SplitList, focal_of, looked_in

IMAGE_FOLDERS = ("", "raw", "raw_data", "kitti_raw")
DEPTH_FOLDERS = ("data_depth_annotated", "", "gts")
_NO_MAP = "the list gives no depth"
_NO_MAP_THERE = "the drive has annotated depth maps, but none of this frame"


@dataclass(frozen=True, slots=True)
class _Found:
    """A listed frame whose image is there."""

    split: str
    frame: Listed
    image: Path
    depth: Path | None
    """The annotated map, if there is one."""


class Reader:
    """Takes the lists one by one; frames are made once all of them are known."""

    def __init__(self, raw: Path, use_scans: bool, findings: Findings) -> None:
        """Raises SymbioError if findings are strict and the semantics set is not whole."""
        self._raw = raw
        self._use_scans = use_scans
        self._findings = findings
        self._semantics = Semantics(raw, findings)
        self._calibrations = Calibrations(raw, IMAGE_FOLDERS)
        self._scans = Scans(raw, IMAGE_FOLDERS)
        self._listings: dict[str, tuple[SplitList, Finder]] = {}
        self._found: list[_Found] = []
        self._mapped: dict[Path, bool] = {}
        self.skipped: list[Skipped] = []
        self.scanned = {"train": 0, "test": 0}
        """Frames of each list whose depth comes from a scan."""

    def take(self, split: str, listing: SplitList) -> set[str]:
        """Look for the images and maps of a list; returns the drives that it names."""
        finder = Finder(self._raw, listing, split)
        self._listings[split] = listing, finder
        frames = read_frames(listing, self._findings)
        for frame in frames:
            first = finder.repeats(frame.line, frame.place.image)
            if first is not None:
                self._skip(split, frame, f"repeats line {first}")
            elif not frame.depths and not self._use_scans:
                self._skip(split, frame, _NO_MAP)
            else:
                image = finder.find(frame.line, "image", frame.images, IMAGE_FOLDERS)
                depth = finder.look(frame.depths, _depth_folders(frame.place.date))
                if image is not None:
                    self._found.append(_Found(split, frame, image, depth))
                elif depth is None and frame.depths and frame.names_depth:
                    finder.note(frame.line, "depth", frame.depths[0])
        return {frame.place.drive for frame in frames}

    def entries(self) -> list[Entry]:
        """The frames of all lists taken.

        Raises:
            SymbioError: calibration that is needed is missing or garbled; or, if findings are
                strict, listed files are missing.
        """
        no_maps = not any(found.depth for found in self._found)
        result = []
        for found in self._found:
            read = self._read_of(found, no_maps)
            if read is None:
                self._without_depth(found)
            else:
                result.append(self._entry(found, read))
        for listing, finder in self._listings.values():
            hint = looked_in([*IMAGE_FOLDERS, *_depth_folders("<date>")])
            self._findings.absent(self._raw, finder.missing, len(listing.lines), hint)
        return result

    def semantic_frames(self) -> dict[str, int]:
        """How many frames of the semantics set show raw frames, and how many are listed."""
        return {"mapped": len(self._semantics), "in_the_lists": self._semantics.used}

    def _read_of(self, found: _Found, no_maps: bool) -> Callable[[str], RawFrame] | None:
        """What reads the frame; None if it has neither a map nor a scan that may stand in."""
        place = found.frame.place
        if found.depth is not None:
            truth, info = self._beside(found)
            return functools.partial(_read, found.image, found.depth, truth, info)
        scan = self._scans.file_of(place) if self._may_be_scanned(found, no_maps) else None
        if scan is None:
            return None
        self.scanned[found.split] += 1
        truth, info = self._beside(found)
        return self._scans.reader(place, (found.image, scan, truth), info, scored=no_maps)

    def _may_be_scanned(self, found: _Found, no_maps: bool) -> bool:
        """Whether a scan may stand in for the annotated map.

        For test frames only if no listed frame has a map and their list, in monodepth2's form,
        does not name maps: people who have the raw drives alone.
        """
        of_training = found.split == "train"
        return self._use_scans and (of_training or (no_maps and not found.frame.names_depth))

    def _without_depth(self, found: _Found) -> None:
        """Leave out a frame that has no depth map by rights; note one whose map is missing."""
        frame = found.frame
        if not frame.depths:
            self._skip(found.split, frame, _NO_MAP)
        elif not frame.names_depth and self._has_maps(frame.place):
            self._skip(found.split, frame, _NO_MAP_THERE)
        else:
            self._listings[found.split][1].note(frame.line, "depth", frame.depths[0])

    def _has_maps(self, place: Place) -> bool:
        """Whether any frame of a drive has an annotated map."""
        folder = Path(place.depth).parent
        if folder not in self._mapped:
            places = (self._raw / f / folder for f in _depth_folders(place.date))
            self._mapped[folder] = any(any(p.glob("*.png")) for p in places)
        return self._mapped[folder]

    def _skip(self, split: str, frame: Listed, reason: str) -> None:
        self.skipped.append(Skipped(split, frame.images[0], reason))

    def _beside(self, found: _Found) -> tuple[Path | None, dict[str, Any]]:
        """A frame's labels, if it has some, and its info."""
        place = found.frame.place
        truth = None
        if place.camera == "02":
            truth = self._semantics.file_of(place.date, place.drive, place.frame)
        focal = focal_of(found.frame.line)
        return truth, self._calibrations.info(place.date, place.camera, focal)

    def _entry(self, found: _Found, read: Callable[[str], RawFrame]) -> Entry:
        place = found.frame.place
        return Entry(
            key=key_of(f"{place.drive}-{place.camera}-{place.frame}"),
            split=found.split,
            scene=place.drive,
            source=found.image.relative_to(self._raw).as_posix(),
            read=read,
        )


def _depth_folders(date: str) -> list[str]:
    return [
        "/".join(part for part in (folder, below) if part)
        for folder in DEPTH_FOLDERS
        for below in ("train", "val", "", date)
    ]


def _read(
    image: Path, depth: Path, truth: Path | None, info: dict[str, Any], split: str
) -> RawFrame:
    return RawFrame(
        image=Picture(read_bytes(image), str(image)),
        depth=Picture(read_bytes(depth), str(depth)),
        truth=None if truth is None else Picture(read_bytes(truth), str(truth)),
        info=info,
    )
