"""DVC moves the shards that changed, and tens of files, not one for each frame."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.prepare import official_files as official
from tests.prepare.preparing import Preparer
from tests.reach.small_project import dvc

FRAMES = 60
SIZE = (24, 32)
SHARD_BYTES = 30_000
BESIDE = {"index.json", "report.json", "report.html", "contact.png"}
OUT = "data/prepared"


@pytest.mark.slow
def test_a_changed_frame_moves_a_shard_or_two(preparer: Preparer) -> None:
    project, store = preparer.raw.parent, preparer.raw.parent / "store"
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text(
        "[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n"
        "    site_cache_dir = .dvc/tmp/site\n    remote = store\n"
        f"['remote \"store\"']\n    url = {store}\n"
    )
    _write(preparer.raw)
    shards = _prepare(preparer)
    files = shards | BESIDE
    assert 8 <= len(shards) <= 20
    moved = _push(project, store)
    # The list of the folder's files is an object, too.
    assert len(moved) == len(files) + 1 < FRAMES / 2

    # The picture of one frame changes, and one frame goes.
    middle = preparer.raw / "sync/room_0004/rgb_00003.jpg"
    official.save(middle, official.image(999, *SIZE), quality=90)
    lines = (preparer.raw / official.NYU_TRAIN).read_text().splitlines(keepends=True)
    (preparer.raw / official.NYU_TRAIN).write_text("".join(lines[:10] + lines[11:]))
    _prepare(preparer)
    moved = _push(project, store)
    tars = [path for path in moved if _is_tar(path)]
    assert 1 <= len(tars) <= 4
    assert len(moved) <= len(tars) + len(BESIDE) + 1

    expected = {path.name: path.read_bytes() for path in preparer.out.iterdir()}
    shutil.rmtree(preparer.out)
    shutil.rmtree(project / ".dvc/cache")
    dvc(project, "pull")
    assert {path.name: path.read_bytes() for path in preparer.out.iterdir()} == expected


def _write(raw: Path) -> None:
    lines = []
    for i in range(FRAMES):
        name = f"room_{i // 6:04d}/rgb_{i % 6:05d}.jpg"
        depth = name.replace("rgb", "sync_depth").replace("jpg", "png")
        official.save(raw / "sync" / name, official.image(i, *SIZE), quality=90)
        official.save(raw / "sync" / depth, official.depth(i, SIZE, 900, 9000))
        lines.append(f"{name} {depth} 518.8579\n")
    (raw / official.NYU_TRAIN).write_text("".join(lines))
    official.save(raw / "official_splits/test/den/rgb_00001.jpg", official.image(500, *SIZE))
    official.save(
        raw / "official_splits/test/den/sync_depth_00001.png",
        official.depth(500, SIZE, 900, 9000),
    )
    (raw / official.NYU_TEST).write_text("den/rgb_00001.jpg den/sync_depth_00001.png 518.8579\n")


def _prepare(preparer: Preparer) -> set[str]:
    """Prepare all frames; the names of the shards."""
    preparer.run("nyu", shard_bytes=SHARD_BYTES, val_share=0.0)
    return {path.name for path in preparer.out.glob("*.tar")}


def _push(project: Path, store: Path) -> set[Path]:
    """Add and push the prepared folder; the objects that were moved."""
    before = set(store.rglob("*"))
    dvc(project, "add", OUT)
    dvc(project, "push")
    return {path for path in set(store.rglob("*")) - before if path.is_file()}


def _is_tar(path: Path) -> bool:
    return path.read_bytes()[257:262] == b"ustar"
