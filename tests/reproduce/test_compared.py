"""What counts as a difference: weights, losses, scores, files; diffs that leave the checkout."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from symbio.errors import SymbioError
from symbio.reproduce.objects import Difference, compare, md5_of, put, survey
from symbio.reproduce.pipeline import run_stage
from symbio.reproduce.result import Result, first_parted, verdict_of
from symbio.reproduce.retrained import parted, weights_difference
from symbio.reproduce.scores import DIFFERENT, IDENTICAL, WITHIN, scores_of
from symbio.worktree import apply_diff
from tests.project import run


def test_tensors_are_told_by_their_largest_difference(tmp_path: Path) -> None:
    before = {
        "equal": np.array([1.0, np.nan], np.float32),
        "apart": np.array([[2.0, -8.0], [0.0, 1.0]], np.float32),
        "near": np.array([1.0], np.float32),
        "gone": np.zeros(2, np.float32),
        "steps": np.array([7], np.int64),
    }
    after = {
        "equal": before["equal"],
        "apart": before["apart"] + np.array([[0.0, 0.5], [0.25, 0.0]], np.float32),
        "near": np.nextafter(before["near"], np.float32(2)),
        "gone": np.zeros(3, np.float32),
        "steps": np.array([9], np.int64),
    }
    save_file(before, tmp_path / "a")
    save_file(after, tmp_path / "b")
    found = {
        one.name: (one.largest, one.scale)
        for one in weights_difference(tmp_path / "a", tmp_path / "b")
    }
    assert found == {
        "gone": (math.inf, 0.0),
        "steps": (2.0, 7.0),
        "apart": (0.5, 8.0),
        "near": (2.0**-23, 1.0),
    }
    assert list(found) == ["gone", "steps", "apart", "near"]
    assert weights_difference(tmp_path / "a", tmp_path / "a") == []


def test_runs_part_where_the_first_digit_differs() -> None:
    recorded = {10: 0.5, 20: 0.25, 30: math.nan, 40: 0.5311}
    assert parted(recorded, {**recorded, 50: 1.0}) is None
    found = parted(recorded, {**recorded, 40: 0.5312, 45: 9.0})
    assert str(found) == "at step 40: 0.5312 instead of 0.5311"
    assert str(parted(recorded, {**recorded, 30: 0.1})) == "at step 30: 0.1 instead of nan"
    assert parted({}, recorded) is None


@pytest.mark.parametrize(
    ("recorded", "now", "verdict"),
    [
        (0.5, 0.5, IDENTICAL),
        (None, None, IDENTICAL),
        (0.5, 0.505, WITHIN),
        (0.5, 0.4951, WITHIN),
        (0.5, 0.51, DIFFERENT),
        (0.0, 1e-9, DIFFERENT),
        (0.5, None, DIFFERENT),
        (64, 65, DIFFERENT),
        ("nyu-eigen", "nyu-none", DIFFERENT),
    ],
)
def test_a_metric_may_differ_by_a_share_and_a_count_may_not(
    recorded: object, now: object, verdict: str
) -> None:
    (score,) = scores_of({"trained": {"one": recorded}}, {"trained": {"one": now}})
    assert score.verdict(0.011) == verdict


def test_a_metric_that_only_one_side_has_is_different() -> None:
    found = scores_of(
        {"trained": {"a": 1.0}, "n": 1}, {"trained": {"a": 1.0, "b": 2.0}}, "trained."
    )
    assert [(one.name, one.verdict(0.1)) for one in found] == [
        ("trained.a", IDENTICAL),
        ("trained.b", DIFFERENT),
    ]


def test_pages_and_pictures_may_differ_and_data_may_not() -> None:
    page = Result(
        "prepare", "data/prepared/nyu", 1.0, Difference(3, ("report.html", "a.png")), True
    )
    data = Result("label", "data/pseudo/nyu", 1.0, Difference(3, (), ("train-00000.tar",)), True)
    unknown = Result("sample", "data/sample/nyu", 1.0, None, recorded=False)
    assert verdict_of([unknown, page], 0.0) == IDENTICAL
    assert verdict_of([unknown, page, data], 1.0) == DIFFERENT
    assert first_parted([unknown, page, data], 1.0) == "label (data/pseudo/nyu/train-00000.tar)"
    assert Result.from_dict(data.as_dict()) == data


def test_files_are_put_and_compared_by_their_hashes(tmp_path: Path) -> None:
    cache, root = tmp_path / "cache", tmp_path / "root"
    texts = {"a": "one", "part/b": "two"}
    files = {}
    for name, text in texts.items():
        aside = tmp_path / "aside"
        aside.write_text(text)
        files[name] = keep(cache, aside)
    out = survey(cache, "data", folder_object(cache, files))
    assert out.whole
    put(cache, out, root)
    assert {name: (root / "data" / name).read_text() for name in texts} == texts
    assert compare(out, root) == Difference(2)
    (root / "data" / "part/b").unlink()
    (root / "data" / "c").write_text("new")
    (root / "data" / "a").unlink()
    (root / "data" / "a").write_text("eno")
    assert compare(out, root) == Difference(0, ("a",), ("part/b",), ("c",))
    os.remove(cache / "files/md5" / files["a"][:2] / files["a"][2:])
    assert survey(cache, "data", out.md5).missing == ("data/a",)


@pytest.mark.parametrize("name", ["../out", "/etc/out", "part/../../out"])
def test_a_list_of_files_that_leaves_the_output_is_refused(tmp_path: Path, name: str) -> None:
    md5 = folder_object(tmp_path, {name: "0" * 32})
    with pytest.raises(SymbioError, match="outside of it"):
        survey(tmp_path, "data/prepared/nyu", md5)


@pytest.mark.parametrize("name", ["../out.txt", "part/../../out.txt", ".git/config"])
def test_a_diff_that_leaves_the_checkout_changes_nothing(tmp_path: Path, name: str) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    run(checkout, "git", "init", "-q")
    config = (checkout / ".git/config").read_bytes()
    diff = (
        f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
        "@@ -0,0 +1 @@\n+out\n"
    )
    with pytest.raises(SymbioError):
        apply_diff(checkout, diff)
    assert not (tmp_path / "out.txt").exists()
    assert (checkout / ".git/config").read_bytes() == config
    apply_diff(checkout, diff.replace(name, "new.txt"))
    assert (checkout / "new.txt").read_text() == "out\n"


def test_a_stage_hears_the_signal_that_ends_its_command(tmp_path: Path) -> None:
    """As `symbio train` does: it writes a checkpoint and ends with 75."""
    (tmp_path / "symbio").mkdir()
    (tmp_path / "symbio/__init__.py").touch()
    (tmp_path / "symbio/cli.py").write_text(
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "pathlib.Path('ready').touch()\n"
        "time.sleep(60)\n"
    )

    def end() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(SymbioError, match="train@nyu: was stopped") as stopped:
        run_stage("train", "nyu", tmp_path, Path(sys.executable), 2, 1)
    thread.join()
    assert stopped.value.exit_code == 75


def keep(cache: Path, file: Path) -> str:
    """Put a file into a cache as DVC does; its hash."""
    md5 = md5_of(file)
    place = cache / "files/md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    file.rename(place)
    return md5


def folder_object(cache: Path, files: dict[str, str]) -> str:
    import hashlib
    import json

    text = json.dumps([{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())])
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    place = cache / "files/md5" / md5[:2] / f"{md5[2:]}.dir"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return f"{md5}.dir"
