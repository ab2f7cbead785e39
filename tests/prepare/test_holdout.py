"""The val split: whole scenes, about the share, the same every time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbio.prepare.entry import Entry, RawFrame, key_of
from symbio.prepare.holdout import hold_out
from symbio.prepare.nyu_scenes import physical_scene


def _never(split: str) -> RawFrame:
    raise AssertionError("a split is decided without reading frames")


def _entries(scenes: dict[str, int], split: str = "train") -> list[Entry]:
    return [
        Entry(f"{scene}-{i}", split, scene, "", _never)
        for scene, count in scenes.items()
        for i in range(count)
    ]


@given(
    scenes=st.dictionaries(st.text("abc", min_size=1), st.integers(1, 9), min_size=2, max_size=30),
    share=st.floats(0.01, 0.9),
)
def test_scenes_are_never_cut(scenes: dict[str, int], share: float) -> None:
    test_frames = _entries({"t": 3}, "test")
    entries, facts = hold_out(_entries(scenes) + test_frames, share)
    held = {e.scene for e in entries if e.split == "val"}
    kept = {e.scene for e in entries if e.split == "train"}
    assert held
    assert kept
    assert not held & kept
    assert facts["scenes"] == sorted(held)
    assert [e.key for e in entries if e.split == "test"] == [e.key for e in test_frames]
    total, smallest = sum(scenes.values()), min(scenes.values())
    # The bound itself is rounded: 1.25 * (1 / 3) * 36 is a little less than 15.
    assert sum(scenes[s] for s in held) <= max(1.25 * share * total, smallest) + 1e-9


def test_share_is_met_where_scenes_are_small() -> None:
    entries, _ = hold_out(_entries({f"s{i}": 1 + i % 5 for i in range(300)}), 0.1)
    held = sum(e.split == "val" for e in entries)
    assert held / len(entries) == pytest.approx(0.1, abs=0.005)


def test_choice_depends_on_names_alone() -> None:
    scenes = {f"scene_{i}": 4 for i in range(40)}
    one, _ = hold_out(_entries(scenes), 0.2)
    other, _ = hold_out(_entries(dict(reversed(scenes.items()))), 0.2)
    assert {e.key for e in one if e.split == "val"} == {e.key for e in other if e.split == "val"}


def test_one_scene_falls_back_to_frames_and_says_so() -> None:
    entries, facts = hold_out(_entries({"only": 20}), 0.1)
    assert sum(e.split == "val" for e in entries) == 2
    assert facts["by"].startswith("frame: the training list has one scene only")


def test_share_zero_holds_nothing_out() -> None:
    entries, facts = hold_out(_entries({"a": 3, "b": 3}), 0.0)
    assert all(e.split == "train" for e in entries)
    assert facts["by"] == "nothing"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("living_room_0046a", "living_room_0046"),
        ("living_room_0046b", "living_room_0046"),
        ("bedroom_0051_out", "bedroom_0051"),
        ("bathroom_0001", "bathroom_0001"),
        ("bathroom", "bathroom"),
    ],
)
def test_recordings_of_one_place(name: str, place: str) -> None:
    assert physical_scene(name) == place


def test_keys_are_plain_and_distinct() -> None:
    assert key_of("/kitchen_0028b/00045") == "kitchen_0028b-00045"
    odd = ["a b/1", "a_b/1", "dôme/1", "d\nme/1", "x" * 200 + "/1", "x" * 200 + "/2"]
    keys = [key_of(name) for name in odd]
    assert len(set(keys)) == len(odd)
    assert all(key.isascii() and len(key) <= 80 and " " not in key for key in keys)
