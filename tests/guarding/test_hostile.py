"""An artifact server that lies cannot write outside the folder, nor fill the disk or the memory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from symbio.errors import SymbioError
from symbio.fetch.run import run as fetch
from tests.guarding.hostile import Hostile, serving

ADDRESS = "models:/symbio-nyu/1"


def file(path: str, size: int = 4) -> dict[str, Any]:
    return {"path": path, "is_dir": False, "file_size": size}


def folder(path: str) -> dict[str, Any]:
    return {"path": path, "is_dir": True}


def fetched(hostile: Hostile, tmp_path: Path, patch: pytest.MonkeyPatch) -> Path:
    """What `symbio fetch` makes of it, somewhere below `tmp_path`."""
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)
    with serving(hostile):
        patch.setenv("MLFLOW_TRACKING_URI", hostile.uri)
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        return fetch(ADDRESS, place / "out", tmp_path)


def names_below(path: Path) -> set[str]:
    return {one.relative_to(path).as_posix() for one in path.rglob("*")}


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "../../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil", "C:evil",
        "%2e%2e/evil", "%252e%252e%252fevil", "a%00b", "a\x1b[2Jb", "file:///etc/evil", "a#b",
        "", ".", "..", "x" * 600, "\u202elmth.py",
    ],
)  # fmt: skip
@pytest.mark.parametrize("entry", [file, folder])
def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, entry: Any
) -> None:
    hostile = Hostile(lambda below: [] if below else [file("MLmodel"), entry(name)])
    with pytest.raises(SymbioError, match="refused") as caught:
        fetched(hostile, tmp_path, monkeypatch)
    assert caught.value.exit_code == 2
    assert str(caught.value).isprintable()
    assert hostile.downloads == []
    assert names_below(tmp_path) == {"deep", "deep/er"}


def test_endless_folders_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = Hostile(lambda below: [folder("deeper")])
    with pytest.raises(SymbioError, match=r"longer than 512 characters; it is refused"):
        fetched(hostile, tmp_path, monkeypatch)
    assert hostile.listings < 100


def test_endless_files_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = Hostile(lambda below: [file(str(number)) for number in range(10_001)])
    with pytest.raises(SymbioError, match=r"lists more than 10000 files; it is refused"):
        fetched(hostile, tmp_path, monkeypatch)


@pytest.mark.parametrize("size", [2**40, 2**63 - 1])
def test_sizes_beyond_the_limit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    hostile = Hostile(lambda below: [file("weights.safetensors", size)])
    with pytest.raises(SymbioError, match=rf"has {size} bytes, a package has"):
        fetched(hostile, tmp_path, monkeypatch)
    assert hostile.downloads == []


def manifest_of(contents: dict[str, bytes]) -> tuple[bytes, str]:
    files = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in contents.items()
    }
    text = json.dumps({"files": files}).encode()
    return text, hashlib.sha256(text).hexdigest()


def test_other_bytes_than_were_listed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, sha256 = manifest_of({"MLmodel": b"good"})
    listing = [file("manifest.json", len(manifest)), file("MLmodel")]
    contents = {"manifest.json": manifest, "MLmodel": b"much more than was said"}
    hostile = Hostile(lambda below: [] if below else listing, sha256, contents)
    with pytest.raises(SymbioError, match=r"MLmodel: has 23 bytes, manifest\.json says 4"):
        fetched(hostile, tmp_path, monkeypatch)
    assert names_below(tmp_path) == {"deep", "deep/er"}


def test_a_manifest_of_its_own_does_not_help_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, _ = manifest_of({"MLmodel": b"evil"})
    listing = [file("manifest.json", len(manifest)), file("MLmodel")]
    contents = {"manifest.json": manifest}
    hostile = Hostile(lambda below: [] if below else listing, "1" * 64, contents)
    with pytest.raises(SymbioError, match=r"that of the registered version is 111111111111"):
        fetched(hostile, tmp_path, monkeypatch)
    assert hostile.downloads == ["manifest.json"]


def test_a_file_that_turns_into_a_folder_while_it_is_downloaded_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow lists each file once more when it is downloaded."""
    manifest, sha256 = manifest_of({"MLmodel": b"evil"})
    root = [file("manifest.json", len(manifest)), file("MLmodel")]
    inside = {"": root, "manifest.json": [], "MLmodel": [file("../../../../evil")]}
    hostile = Hostile(lambda below: inside.get(below, []), sha256, {"manifest.json": manifest})
    with pytest.raises(SymbioError):
        fetched(hostile, tmp_path, monkeypatch)
    assert names_below(tmp_path) == {"deep", "deep/er"}


def test_the_server_itself_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would pass for a wrong reason."""
    contents = {"MLmodel": b"flavors: {}", "code/é ü.py": b"one = 1"}
    manifest, sha256 = manifest_of(contents)
    contents["manifest.json"] = manifest
    listings = {
        "": [folder("code"), file("MLmodel", 11), file("manifest.json", len(manifest))],
        "code": [file("é ü.py", 7)],
    }
    hostile = Hostile(lambda below: listings.get(below, []), sha256, contents)
    out = fetched(hostile, tmp_path, monkeypatch)
    assert {name: (out / name).read_bytes() for name in contents} == contents
