"""Which files the frames of a split of one's own consist of: by patterns, or by a list."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.prepare.dataset_file import FRAME, NAME, SCENE, SplitFiles, is_below
from symbio.prepare.entry import Missing
from symbio.prepare.findings import Findings
from symbio.prepare.lists import SplitList, read_list

_NOTHING = "None"
"""In a list: this frame has no labels."""


@dataclass(frozen=True, slots=True)
class FrameFiles:
    """The files of one frame, relative to the raw folder."""

    image: str
    depth: str
    labels: str | None
    scene: str
    at: str
    """Names the place that asks for them."""


def files_of(
    raw: Path, split: str, told: SplitFiles, findings: Findings
) -> tuple[list[FrameFiles], dict[str, Any]]:
    """Frames of a split that are all there, and what the header says of where they are from.

    Raises:
        SymbioError: the list cannot be read; if strict, also if there is no frame, a file is
            missing, or a list names one outside the folder.
    """
    if told.list is None:
        found, facts = list(_matching(raw, told)), {"image": told.image}
        if not found:
            findings.problem(
                f"{raw / NAME}: splits.{split}.image: no file is called {told.image!r} below {raw}"
            )
    else:
        listing = read_list(raw / told.list)
        found = list(_listed(listing, findings))
        facts = {**listing.facts(), "file": told.list}
    absent = [missing for one in found for missing in _absent(raw, split, one)]
    findings.absent(raw, absent, len(found))
    gone = {missing.at for missing in absent}
    whole = [one for one in found if one.at not in gone]
    return whole, {**facts, "frames": len(whole)}


def _listed(listing: SplitList, findings: Findings) -> Iterator[FrameFiles]:
    for line in listing.lines:
        image, depth, labels = (*line.columns, _NOTHING)[:3]
        outside = [path for path in (image, depth, labels) if not is_below(path)]
        if outside:
            findings.problem(
                f"{listing.at(line)}: {outside[0]!r} is not below the folder of {NAME}; write "
                "paths relative to it, without a leading / and without .."
            )
        else:
            shown = None if labels == _NOTHING else labels
            yield FrameFiles(image, depth, shown, _folder_of(image), listing.at(line))


def _matching(raw: Path, files: SplitFiles) -> Iterator[FrameFiles]:
    """Frames whose image has the pattern's form, in the order of their paths."""
    assert files.image is not None
    assert files.depth is not None
    form = _expression(files.image)
    for path in _below(raw, files.image.partition("{")[0].rpartition("/")[0]):
        match = form.fullmatch(path)
        if match is None:
            continue
        places = match.groupdict()

        def filled(pattern: str, places: dict[str, str] = places) -> str:
            text = pattern.replace(FRAME, places["frame"])
            return text.replace(SCENE, places.get("scene", ""))

        labels = None if files.labels is None else filled(files.labels)
        if labels is not None and not (raw / labels).is_file():
            labels = None
        scene = places.get("scene") or _folder_of(path)
        yield FrameFiles(path, filled(files.depth), labels, scene, f"{raw}, for {path}")


def _below(raw: Path, folder: str) -> Iterator[str]:
    """Every file below a folder of the raw folder, relative to the latter, in order."""
    paths = []
    for place, _, names in os.walk(raw / folder, followlinks=True):
        relative = Path(place).relative_to(raw).as_posix()
        paths += [name if relative == "." else f"{relative}/{name}" for name in names]
    return iter(sorted(paths))


def _expression(pattern: str) -> re.Pattern[str]:
    """What a path must be like; {scene} and {frame} are parts between slashes, the same each time.

    {frame} takes as much as it can, and {scene} as little.
    """
    text = ""
    for part in re.split(r"(\{scene\}|\{frame\})", pattern):
        name = part.strip("{}")
        if part not in (SCENE, FRAME):
            text += re.escape(part)
        elif f"(?P<{name}>" in text:
            text += f"(?P={name})"
        else:
            text += f"(?P<{name}>[^/]+{'?' if part == SCENE else ''})"
    return re.compile(text)


def _absent(raw: Path, split: str, files: FrameFiles) -> Iterator[Missing]:
    named = {"image": files.image, "depth": files.depth, "truth": files.labels}
    for kind, path in named.items():
        if path is not None and not (raw / path).is_file():
            yield Missing(split, kind, path, files.at)


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "."
