"""Outputs are there whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.files import read_json, sha256_of, whole_file, whole_folder, write_json


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folder_replaces_the_old_one_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    with whole_folder(target) as aside:
        (aside / "new").write_text("new")
        assert _names(target) == ["old"]
    assert _names(target) == ["new"]
    assert _names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_any_error_leaves_the_old_folder_and_no_litter(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(kind), whole_folder(target) as aside:  # noqa: PT012
        (aside / "new").write_text("new")
        raise kind
    assert _names(target) == ["old"]
    assert _names(tmp_path) == ["out"]


def test_killed_writer_leaves_the_old_folder_and_the_next_one_tidies(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    script = f"""
        import os, signal
        from pathlib import Path
        from symbio.files import whole_folder
        with whole_folder(Path({str(target)!r})) as aside:
            (aside / "half").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert _names(target) == ["old"]
    assert len(_names(tmp_path)) == 2
    with whole_folder(target) as aside:
        (aside / "new").write_text("new")
    assert _names(tmp_path) == ["out"]
    assert _names(target) == ["new"]


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "value.json"
    write_json(target, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(target, {"a": float("nan")})
    assert json.loads(target.read_text()) == {"a": 1}
    assert _names(tmp_path) == ["value.json"]


def test_json_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match=r"index\.json: no such file \(the index\)"):
        read_json(tmp_path / "index.json", "the index")
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(SymbioError, match="not readable JSON"):
        read_json(tmp_path / "index.json", "the index")


def test_digest_is_that_of_the_system_tool(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(os.urandom(3_000_001))
    told = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True)
    assert sha256_of(path) == told.stdout.split()[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        target = disk / "file"
        target.write_text("old")
        with pytest.raises(SymbioError, match="disk is full"), whole_file(target) as aside:
            aside.write_bytes(bytes(2_000_000))
        assert target.read_text() == "old"
        with pytest.raises(SymbioError, match="disk is full"), whole_folder(disk / "f") as aside:
            (aside / "x").write_bytes(bytes(2_000_000))
        assert _names(disk) == ["file"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
