"""What somebody has changed in a package's store is named, and nothing of it runs or stays."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from symbio.errors import SymbioError
from symbio.fetch.run import run as fetch
from symbio.files import sha256_of
from symbio.model.manifest import MANIFEST, check_manifest
from symbio.predict.source import fetch_network, open_model
from symbio.tracking import fetch_model, open_store
from symbio.tracking.fetched import MANIFEST_TAG
from tests.guarding.conftest import ADDRESS, NAME, Registered
from tests.tiny_model import put_model


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return os.mkdir, (str(self.path),)


def as_pickle(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(Canary(canary)))


def as_torch_save(path: Path, canary: Path) -> None:
    torch.save({"weights": Canary(canary)}, path)


def as_old_torch_save(path: Path, canary: Path) -> None:
    torch.save({"weights": Canary(canary)}, path, _use_new_zipfile_serialization=False)


def as_zip_that_escapes(path: Path, canary: Path) -> None:
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("../../escaped", "x")
        archive.writestr(str(canary / "escaped"), "x")
        archive.writestr("archive/data.pkl", pickle.dumps(Canary(canary)))
    path.write_bytes(inside.getvalue())


def with_a_huge_header(path: Path, canary: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**62) + b"{" + path.read_bytes())


@pytest.mark.parametrize(
    ("poison", "says"),
    [
        (as_pickle, r"is a pickle, not safetensors"),
        (as_torch_save, r"is a zip archive, as torch\.save writes it"),
        (as_old_torch_save, r"is a pickle, not safetensors"),
        (as_zip_that_escapes, r"is a zip archive"),
        (with_a_huge_header, r"its header would have 4611686018427387904 bytes"),
    ],
)
def test_a_file_that_runs_code_is_never_opened(
    registered: Registered,
    tmp_path: Path,
    poison: Callable[[Path, Path], None],
    says: str,
) -> None:
    canary = tmp_path / "canary"
    poison(registered.weights, canary)
    with pytest.raises(SymbioError, match=r"network/weights\.safetensors has \d+ bytes in the sto"):
        open_model(ADDRESS, registered.root, "cpu")
    card = registered.weights.with_name("model.json")
    card.write_text(
        json.dumps(
            {**json.loads(card.read_text()), "weights_sha256": sha256_of(registered.weights)}
        )
    )
    registered.vouch()
    with pytest.raises(SymbioError, match=rf"weights\.safetensors: .*{says}"):
        open_model(ADDRESS, registered.root, "cpu")
    assert not canary.exists()
    assert not list(tmp_path.rglob("escaped"))


def flip_a_bit(registered: Registered) -> None:
    data = bytearray(registered.weights.read_bytes())
    data[-1] ^= 1
    registered.weights.write_bytes(data)


def add_a_file(registered: Registered) -> None:
    (registered.package / "code" / "sitecustomize.py").write_text("raise SystemExit(3)\n")


def remove_a_file(registered: Registered) -> None:
    (registered.package / "MLmodel").unlink()


def lengthen_a_file(registered: Registered) -> None:
    with registered.weights.open("ab") as file:
        file.truncate(2**40)  # sparse: a terabyte that takes no room here


def edit_the_manifest(registered: Registered) -> None:
    path = registered.package / MANIFEST
    path.write_text(path.read_text().replace("code/symbio", "code/timm"))


def remove_the_manifest(registered: Registered) -> None:
    (registered.package / MANIFEST).unlink()


def grow_the_manifest(registered: Registered) -> None:
    (registered.package / MANIFEST).write_bytes(b" " * (2**24 + 1))


def link_out_of_it(registered: Registered) -> None:
    other = registered.root / "other.safetensors"
    other.write_bytes(registered.weights.read_bytes()[:-1] + b"x")
    registered.weights.unlink()
    registered.weights.symlink_to(other)


def link_a_folder(registered: Registered) -> None:
    (registered.package / "all").symlink_to("/etc")


def link_to_nothing(registered: Registered) -> None:
    (registered.package / "gone").symlink_to(registered.root / "gone")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (flip_a_bit, r"weights\.safetensors: its SHA-256 is .* was changed"),
        (add_a_file, r"code/sitecustomize\.py lies in its package and not in its manifest"),
        (remove_a_file, r"MLmodel is missing from its package"),
        (lengthen_a_file, r"has 1099511\d+ bytes.*refused"),
        (edit_the_manifest, r"manifest\.json: its SHA-256 is .* was changed, or is another"),
        (remove_the_manifest, r"manifest\.json is missing from the store"),
        (grow_the_manifest, r"manifest\.json has 16777217 bytes"),
        (link_out_of_it, r"weights\.safetensors .* resolved path is outside"),
        (link_a_folder, r"lists a file in .all. whose name leaves"),
        (link_to_nothing, r"No such file or directory: .*/gone"),
    ],
)
def test_a_changed_package_is_refused(
    registered: Registered,
    tmp_path: Path,
    change: Callable[[Registered], None],
    says: str,
) -> None:
    change(registered)
    out = tmp_path / "out"
    with pytest.raises(SymbioError, match=says) as caught:
        fetch(ADDRESS, out, registered.root)
    assert caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["pristine"]


def test_a_fetched_package_is_the_registered_one(registered: Registered, tmp_path: Path) -> None:
    out = fetch(ADDRESS, tmp_path / "out", registered.root)
    sha256 = open_store(registered.root).get_model_version(NAME, "1").tags[MANIFEST_TAG]
    check_manifest(out, sha256)
    assert registered.weights.read_bytes() == (
        (out / "artifacts/network/weights.safetensors").read_bytes()
    )
    assert fetch(ADDRESS, out, registered.root) == out, "an earlier package is replaced"

    other = tmp_path / "holiday"
    other.mkdir()
    (other / "picture.jpg").write_bytes(b"x")
    with pytest.raises(SymbioError, match=r"holiday: holds something else.*--out"):
        fetch(ADDRESS, other, registered.root)
    assert [path.name for path in other.iterdir()] == ["picture.jpg"]


def test_what_loading_in_place_adds_is_neither_fetched_nor_refused(
    registered: Registered, tmp_path: Path
) -> None:
    cache = registered.package / "code" / "symbio" / "__pycache__"
    cache.mkdir()
    (cache / "__init__.cpython-311.pyc").write_bytes(b"not what it was compiled to")
    (registered.package / "registered_model_meta").write_text("model_name: symbio-nyu\n")
    out = fetch(ADDRESS, tmp_path / "out", registered.root)
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        MANIFEST,
        "MLmodel",
        "artifacts/network/model.json",
        "artifacts/network/weights.safetensors",
        "code/symbio/__init__.py",
    }


def test_only_safetensors_and_json_are_downloaded_for_a_prediction(
    registered: Registered, tmp_path: Path
) -> None:
    network = fetch_network(ADDRESS, registered.root, tmp_path / "into")
    assert {path.name for path in network.iterdir()} == {"model.json", "weights.safetensors"}
    files = {path.name for path in (tmp_path / "into").rglob("*") if path.is_file()}
    assert files == {"model.json", "weights.safetensors", MANIFEST}


@pytest.mark.parametrize("address", ["run", "logged model", "alias"])
def test_whatever_the_address_the_version_vouches(registered: Registered, address: str) -> None:
    client = open_store(registered.root)
    version = client.get_model_version(NAME, "1")
    client.set_registered_model_alias(NAME, "champion", "1")
    uri = {
        "run": f"runs:/{version.run_id}/model",
        "logged model": version.source,
        "alias": f"models:/{NAME}@champion",
    }[address]
    open_model(uri, registered.root, "cpu")
    edit_the_manifest(registered)
    with pytest.raises(SymbioError, match=r"manifest\.json: its SHA-256"):
        open_model(uri, registered.root, "cpu")


def test_versions_from_before_manifests_are_still_had(
    registered: Registered, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (registered.package / MANIFEST).unlink()
    open_store(registered.root).delete_model_version_tag(NAME, "1", MANIFEST_TAG)
    network, _ = open_model(ADDRESS, registered.root, "cpu")
    expected, _ = open_model(str(put_model(tmp_path / "expected")), registered.root, "cpu")
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)
    assert capsys.readouterr().err.count("registered without a manifest.json") == 1
    flip_a_bit(registered)
    with pytest.raises(SymbioError, match=r"weights\.safetensors: its SHA-256"):
        open_model(ADDRESS, registered.root, "cpu")


def test_a_full_disk_is_told_before_the_download(
    registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("", (), {"free": 5})())
    with pytest.raises(SymbioError, match=r"needs \d+ MiB, 0 MiB are free"):
        fetch_model(ADDRESS, registered.root, tmp_path / "into")


def test_what_is_no_address_is_said(registered: Registered, tmp_path: Path) -> None:
    for address in ("models:/nobody/1", "models:/../1", "runs:/abc"):
        with pytest.raises(SymbioError, match="models:/|runs:/"):
            fetch(address, tmp_path / "out", registered.root)
    run_id = open_store(registered.root).get_model_version(NAME, "1").run_id
    with pytest.raises(SymbioError, match=r"has logged no model 'other'"):
        fetch(f"runs:/{run_id}/other", tmp_path / "out", registered.root)
