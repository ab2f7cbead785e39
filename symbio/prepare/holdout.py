"""The val split: whole scenes or drives held out of the training list, to choose the model."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from symbio.prepare.entry import Entry

_OVERSHOOT = 1.25
"""The held-out part may exceed its share by this factor, for the sake of whole scenes."""


def hold_out(entries: list[Entry], share: float) -> tuple[list[Entry], dict[str, Any]]:
    """Move about `share` of the training frames into split "val"; order is kept.

    Scenes are taken in the order of the SHA-256 of their names, so the same data is held out in
    every run, whatever the seed. A scene that would overshoot the share is passed over; at least
    one is taken and at least one stays. Where there is only one scene, frames are held out
    singly, by the hash of their keys; neighbouring frames then leak, and the facts say so.

    Args:
        entries: frames of all splits.
        share: 0..1; 0 holds nothing out.

    Returns:
        The entries with their splits, and the facts for the header.
    """
    train = [entry for entry in entries if entry.split == "train"]
    scenes: dict[str, int] = {}
    for entry in train:
        scenes[entry.scene] = scenes.get(entry.scene, 0) + 1
    target = share * len(train)
    if share == 0 or len(train) < 2:
        return entries, {"by": "nothing", "share": share, "scenes": []}
    if len(scenes) == 1:
        keys = sorted((entry.key for entry in train), key=_hash)
        count = min(max(1, round(target)), len(train) - 1)
        return _moved(entries, "key", set(keys[:count])), {
            "by": "frame: the training list has one scene only, so val frames resemble it",
            "share": share,
            "scenes": [],
        }
    chosen = _choose(scenes, target)
    facts = {"by": "scene", "share": share, "scenes": sorted(chosen)}
    return _moved(entries, "scene", chosen), facts


def _choose(scenes: dict[str, int], target: float) -> set[str]:
    chosen: set[str] = set()
    taken = 0
    for scene in sorted(scenes, key=_hash):
        if taken >= target or len(chosen) == len(scenes) - 1:
            break
        if taken + scenes[scene] <= target * _OVERSHOOT:
            chosen.add(scene)
            taken += scenes[scene]
    # Every scene is larger than the share: the smallest one it is.
    return chosen or {min(scenes, key=lambda scene: (scenes[scene], _hash(scene)))}


def _moved(entries: list[Entry], attribute: str, chosen: set[str]) -> list[Entry]:
    return [
        dataclasses.replace(entry, split="val")
        if entry.split == "train" and getattr(entry, attribute) in chosen
        else entry
        for entry in entries
    ]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
