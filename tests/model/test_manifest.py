"""The manifest against hashlib and a plain walk; every way a folder may differ from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.model.manifest import (
    MANIFEST,
    added_by_loading,
    check_manifest,
    require_inside,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a package"
    (folder / "code" / "deep").mkdir(parents=True)
    (folder / "MLmodel").write_text("x")
    (folder / "code" / "deep" / "é.py").write_text("one = 1\n")
    (folder / "empty").write_bytes(b"")
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_but_itself_is_listed(folder: Path) -> None:
    digest = write_manifest(folder)
    assert digest == sha256(folder / MANIFEST)
    listed = json.loads((folder / MANIFEST).read_text())["files"]
    assert listed == {
        name: {"sha256": sha256(folder / name), "size": (folder / name).stat().st_size}
        for name in ("MLmodel", "code/deep/é.py", "empty")
    }
    check_manifest(folder, digest)
    check_manifest(folder, None)
    assert write_manifest(folder) == digest, "the same files give the same manifest"


def test_neither_the_order_nor_the_place_of_the_files_matters(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in ("empty", "code/deep/é.py", "MLmodel"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes((folder / name).read_bytes())
    assert write_manifest(other) == write_manifest(folder)


def test_loading_it_in_place_leaves_it_whole(folder: Path) -> None:
    digest = write_manifest(folder)
    (folder / "code" / "__pycache__").mkdir()
    (folder / "code" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"x")
    (folder / "registered_model_meta").write_text("model_name: a\n")
    check_manifest(folder, digest)
    assert not added_by_loading("code/a.pyc")
    assert not added_by_loading("code/__pycache__/a.so")
    assert not added_by_loading("code/registered_model_meta")


def change(folder: Path) -> None:
    (folder / "MLmodel").write_text("y")


def shorten(folder: Path) -> None:
    (folder / "MLmodel").write_text("")


def remove(folder: Path) -> None:
    (folder / "MLmodel").unlink()


def add(folder: Path) -> None:
    (folder / "code" / "deep" / "new.so").write_text("")


def link(folder: Path) -> None:
    (folder / "MLmodel").rename(folder.parent / "MLmodel")
    (folder / "MLmodel").symlink_to(folder.parent / "MLmodel")


def link_a_folder(folder: Path) -> None:
    (folder / "more").symlink_to("/etc")


def link_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).rename(folder.parent / MANIFEST)
    (folder / MANIFEST).symlink_to(folder.parent / MANIFEST)


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "code" / "pipe")


def edit(folder: Path) -> None:
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text() + " ")


def lose(folder: Path) -> None:
    (folder / MANIFEST).unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (change, r"MLmodel: its SHA-256 is"),
        (shorten, r"MLmodel: has 0 bytes, manifest\.json says 1"),
        (remove, r"MLmodel: no such file"),
        (add, r"code/deep/new\.so: is not in manifest\.json"),
        (link, r"MLmodel: is a link"),
        (link_a_folder, r"more: is a link"),
        (link_the_manifest, r"manifest\.json: is a symbolic link"),
        (pipe, r"code/pipe: is a link or no plain file"),
        (edit, r"manifest\.json: its SHA-256 is .* that of the registered version"),
        (lose, r"manifest\.json: no such file"),
    ],
)
def test_what_differs_is_named(folder: Path, damage: Callable[[Path], None], says: str) -> None:
    digest = write_manifest(folder)
    damage(folder)
    with pytest.raises(SymbioError, match=says):
        check_manifest(folder, digest)


def test_no_manifest_is_written_over_a_link(folder: Path) -> None:
    (folder / "more").symlink_to(folder / "MLmodel")
    with pytest.raises(SymbioError, match="more: is a link"):
        write_manifest(folder)
    assert not (folder / MANIFEST).exists()


GOOD = {"sha256": "0" * 64, "size": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no manifest"),
        ("[" * 100_000, "is no manifest"),
        ("[]", "is no manifest"),
        ('{"files": ["a"]}', "is no manifest"),
        (json.dumps({"files": {"a": {"sha256": "0", "size": 1}}}), "'0' is no SHA-256"),
        (json.dumps({"files": {"a": {**GOOD, "size": -1}}}), "-1 is no size"),
        (json.dumps({"files": {"a": {**GOOD, "size": True}}}), "True is no size"),
        (json.dumps({"files": {"../a": GOOD}}), r"'\.\./a', which leaves"),
        (b"\xff\xfe", "is no manifest"),
    ],
)
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str | bytes, says: str) -> None:
    (folder / MANIFEST).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SymbioError, match=rf"manifest\.json: .*{says}"):
        check_manifest(folder, None)


@pytest.mark.parametrize("name", ["a", "code/é b/c-1_2+3.py", ".hidden", "a..b/...c", "MLmodel"])
def test_plain_names_are_taken(name: str) -> None:
    assert require_inside(name, "here") == name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../a", "a/../../b", "a/..", "/etc/passwd", "a//b", "./a", "a/", "~\0",
        "..\\a", "C:\\a", "C:a", "file:a", "a\nb", "a\x1b[2Jb", "a\u202egpj.py", "\ud800",
        "a" * 513, None, 7, ["a"],
    ],
)  # fmt: skip
def test_names_that_leave_or_deceive_are_refused(name: object, tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match=r"here: lists a file .* it is refused") as caught:
        require_inside(name, "here")
    assert str(caught.value).isprintable(), "the message cannot play tricks on a terminal either"
