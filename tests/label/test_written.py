"""Labels that were written elsewhere, and what is refused of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from symbio.data.images import decode_labels, encode_png
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.label.run import run

from ..data.prepared import tiny_params
from .conftest import write_prepared


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labels of 37 frames, half of them of 16 bits, every third with a confidence."""
    monkeypatch.setenv("SYMBIO_RANKS", "1")
    prepared = Shards(write_prepared(tmp_path, sizes=((48, 64), (40, 72))))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for number, key in enumerate(prepared.keys()):
        rng = np.random.default_rng(number)
        size = prepared.info(key)["height"], prepared.info(key)["width"]
        label = rng.choice(np.array([0, 3, 149, 255]), size)
        kind = np.uint16 if number % 2 else np.uint8
        (folder / f"{key}.png").write_bytes(encode_png(label.astype(kind)))
        if number % 3 == 0:
            sure = rng.integers(0, 256, size).astype(np.uint8)
            (folder / f"{key}.confidence.png").write_bytes(encode_png(sure))
    return folder


def test_they_are_taken_as_they_are(folder: Path, tmp_path: Path) -> None:
    params = tiny_params(**{"teacher.model": "folder:elsewhere", "teacher.min_confidence": 0.4})
    found = run(params, "nyu", tmp_path)
    assert found is not None
    pseudo = Shards(tmp_path / "data/pseudo/nyu")
    assert pseudo.splits == Shards(tmp_path / "data/prepared/nyu").splits
    kept = pixels = 0
    for key in pseudo.keys():  # noqa: SIM118
        given = decode_labels((folder / f"{key}.png").read_bytes(), key)
        sure = np.where(given == 255, 0, 255)
        if (folder / f"{key}.confidence.png").is_file():
            stored = decode_labels((folder / f"{key}.confidence.png").read_bytes(), key)
            sure = np.where(given == 255, 0, stored)
        members = pseudo.read(key)
        label = decode_labels(members["class.png"], key)
        np.testing.assert_array_equal(decode_labels(members["confidence.png"], key), sure)
        np.testing.assert_array_equal(label, np.where(sure >= 255 * 0.4, given, 255))
        kept, pixels = kept + int((label != 255).sum()), pixels + label.size
    assert found["kept_share"] == pytest.approx(kept / pixels)
    assert found["flip_agreement"] is None


def test_other_labels_have_another_name(folder: Path, tmp_path: Path) -> None:
    params = tiny_params(**{"teacher.model": "folder:elsewhere"})
    names = []
    for change in (False, True):
        if change:
            (folder / "f0001.confidence.png").write_bytes(encode_png(np.ones((40, 72), np.uint8)))
        run(params, "nyu", tmp_path)
        names.append(Shards(tmp_path / "data/pseudo/nyu").header["teacher"]["files_sha256"])
    assert names[0]["labels"] == names[1]["labels"]
    assert names[0]["confidences"] != names[1]["confidences"]


def test_every_fault_is_counted(folder: Path, tmp_path: Path) -> None:
    (folder / "f0000.png").unlink()
    (folder / "f0005.png").unlink()
    for key, value in (("f0002", 150), ("f0004", -1), ("f0006", 1000)):
        label = np.full((48, 64), value, np.int32).astype(np.uint16)
        (folder / f"{key}.png").write_bytes(encode_png(label))
    (folder / "f0007.png").write_bytes(encode_png(np.zeros((48, 64), np.uint8)))
    (folder / "f0008.png").write_bytes(encode_png(np.zeros((48, 64, 3), np.uint8)))
    (folder / "f0009.confidence.png").write_bytes(encode_png(np.zeros((40, 72), np.uint16)))
    with pytest.raises(SymbioError) as info:
        run(tiny_params(**{"teacher.model": "folder:elsewhere"}), "nyu", tmp_path)
    text = str(info.value)
    assert "cannot be the labels of 37 frames" in text
    assert "a missing file: 2 frames, first" in text
    assert "no ADE20K class (0..149, or 255 = ignore): 3 frames, first" in text
    assert "another size than the frame's: 1 frames" in text
    assert "f0007.png (48x64, the frame 40x72)" in text
    assert "no single-channel picture: 1 frames" in text
    assert "confidence of 16 bits, expected 8: 1 frames" in text
    assert not (tmp_path / "data/pseudo").exists()


@pytest.mark.usefixtures("folder")
def test_what_does_nothing_to_them_is_refused(tmp_path: Path) -> None:
    written = {"teacher.model": "folder:elsewhere"}
    with pytest.raises(SymbioError, match="flip_average and teacher.image_size do nothing"):
        run(tiny_params(**written, **{"teacher.flip_average": True}), "nyu", tmp_path)
    with pytest.raises(SymbioError, match="there is no folder"):
        run(tiny_params(**{"teacher.model": "folder:nowhere"}), "nyu", tmp_path)
