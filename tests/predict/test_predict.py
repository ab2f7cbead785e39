"""Prediction end to end with a tiny network; files read back with Pillow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from symbio.data.classes import palette
from symbio.errors import SymbioError
from symbio.model.inference import infer
from symbio.model.saved import load_network
from symbio.predict import predict as core
from symbio.predict.run import run
from tests.predict.test_cloud import read_ply
from tests.tiny_model import IMAGE_SIZE, put_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_model(tmp_path_factory.mktemp("models") / "nyu")


def picture(path: Path, height: int, width: int, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def test_inference_is_the_network_at_its_own_size(model: Path, tmp_path: Path) -> None:
    network, _ = load_network(model)
    image = np.asarray(Image.open(picture(tmp_path / "a.png", *IMAGE_SIZE)))
    found = infer(network, image[None])
    with torch.inference_mode():
        tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
        expected = network(network.normalise(tensor))
    assert torch.allclose(torch.from_numpy(found.depth_m), expected.depth, rtol=1e-5)
    assert np.array_equal(found.classes, expected.logits.argmax(dim=1).numpy())


def test_classes_at_another_size_are_the_plain_argmax(model: Path, tmp_path: Path) -> None:
    network, _ = load_network(model)
    image = np.asarray(Image.open(picture(tmp_path / "a.png", *IMAGE_SIZE)))
    # Twice the size, each pixel repeated: area-averaged back it is the same picture.
    large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    found = infer(network, large[None])
    with torch.inference_mode():
        tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
        expected = network(network.normalise(tensor))
        logits = F.interpolate(expected.logits, large.shape[:2], mode="bilinear")
        depth = F.interpolate(expected.depth[:, None], large.shape[:2], mode="bilinear")[:, 0]
    # The largest logit, or one equal to it but for rounding: threads change the order of sums.
    chosen = logits.gather(1, torch.from_numpy(found.classes).long()[:, None])[:, 0]
    assert torch.allclose(chosen, logits.amax(dim=1), rtol=0, atol=1e-6)
    assert np.allclose(found.depth_m, depth.numpy(), rtol=1e-5)


def test_a_batch_is_its_pictures_one_by_one(model: Path) -> None:
    network, _ = load_network(model)
    images = np.random.default_rng(2).integers(0, 256, (3, 30, 50, 3), np.uint8)
    together = infer(network, images)
    for index in range(3):
        alone = infer(network, images[index : index + 1])
        assert np.allclose(together.depth_m[index], alone.depth_m[0], rtol=1e-4)


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 3, 4, 4), np.uint8), np.zeros((1, 4, 4, 3)), np.zeros((0, 4, 4, 3), np.uint8)],
)
def test_what_is_no_batch_of_pictures_is_refused(model: Path, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        infer(load_network(model)[0], images)


def test_every_file_is_written_and_says_the_same(model: Path, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "one.png", 40, 60)
    picture(tmp_path / "in" / "deep" / "two.jpg", 96, 128, seed=1)
    picture(tmp_path / "in" / "three.png", 40, 60, seed=2)
    out = tmp_path / "out"
    index = run(str(model), [tmp_path / "in"], out, ply=True)
    assert json.loads((out / "predictions.json").read_text()) == index
    assert [entry["name"] for entry in index["pictures"]] == ["deep/two", "one", "three"]

    network, _ = load_network(model)
    for entry in index["pictures"]:
        stem, image = out / entry["name"], np.asarray(Image.open(entry["source"]))
        found = infer(network, image[None])
        depth = Image.open(f"{stem}_depth.png")
        assert depth.mode == "I;16"
        error_mm = np.abs(np.asarray(depth).astype(np.int64) - found.depth_m[0] * 1000.0)
        # Half a millimetre of rounding, and the last bits of float32 that depend on the batch.
        assert error_mm.max() <= 0.51
        classes = np.asarray(Image.open(f"{stem}_semantic.png"))
        assert (classes == found.classes[0]).mean() > 0.999
        assert np.asarray(Image.open(f"{stem}_depth_colour.png")).shape == image.shape
        overlay = np.asarray(Image.open(f"{stem}_overlay.png"))
        assert overlay.shape[0] > image.shape[0], "a legend stands below the picture"
        mixed = 0.45 * image + 0.55 * palette()[classes]
        assert np.abs(overlay[: image.shape[0]] - mixed).max() <= 1.0
        points = read_ply(Path(f"{stem}.ply"))
        assert len(points) == image.shape[0] * image.shape[1] == entry["num_points"]
        assert sum(entry["classes"].values()) <= 1.001


def test_a_depth_only_network_writes_no_classes(tmp_path: Path) -> None:
    model = put_model(tmp_path / "model", semantics=False)
    run(str(model), [picture(tmp_path / "a.png", 40, 60)], tmp_path / "out")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"a_depth.png", "a_depth_colour.png", "predictions.json"}


def test_depth_beyond_65_m_is_clamped_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = put_model(tmp_path / "model", dataset="kitti")
    index = run(str(model), [picture(tmp_path / "a.png", 64, 96)], tmp_path / "out")
    entry = index["pictures"][0]
    depth = np.asarray(Image.open(tmp_path / "out" / "a_depth.png"))
    assert entry["depth_m"]["max"] > 65.535
    assert entry["num_pixels_clamped"] == (depth == 65535).sum() > 0
    assert "65.535 m" in capsys.readouterr().err


def test_a_broken_picture_leaves_the_earlier_predictions(model: Path, tmp_path: Path) -> None:
    good = picture(tmp_path / "in" / "a.png", 40, 60)
    out = tmp_path / "out"
    run(str(model), [good], out)
    before = sorted(path.name for path in out.iterdir())
    broken = picture(tmp_path / "in" / "b.png", 40, 60)
    broken.write_bytes(broken.read_bytes()[:-200])
    with pytest.raises(SymbioError, match=r"b\.png"):
        run(str(model), [good, broken], out)
    assert sorted(path.name for path in out.iterdir()) == before
    assert list(tmp_path.glob(".out*")) == []


def test_a_folder_of_something_else_is_never_replaced(model: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "in" / "a.png", 40, 60)
    thesis = tmp_path / "thesis" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    with pytest.raises(SymbioError, match="not empty"):
        run(str(model), [image], thesis.parent)
    with pytest.raises(SymbioError, match="pictures themselves"):
        run(str(model), [image], tmp_path / "in")
    assert thesis.read_text() == "years of work"
    assert image.is_file()


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match=r"nothing.*model\.json"):
        run(str(tmp_path / "nothing"), [tmp_path], tmp_path / "out")


def test_a_changed_weight_is_refused(tmp_path: Path) -> None:
    model = put_model(tmp_path / "model")
    weights = model / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    with pytest.raises(SymbioError, match="SHA-256"):
        run(str(model), [picture(tmp_path / "a.png", 40, 60)], tmp_path / "out")


def test_an_odd_shape_is_pointed_out(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(str(model), [picture(tmp_path / "tall.png", 90, 30)], tmp_path / "out")
    assert "tall.png" in capsys.readouterr().err


def test_pictures_go_through_in_batches_of_one_size(tmp_path: Path) -> None:
    sizes = [(40, 60)] * 9 + [(2000, 3000)] * 2
    photos = [core.Photo(Path(str(i)), str(i), size) for i, size in enumerate(sizes)]
    batches = list(core._batches(photos))
    assert [len(batch) for batch in batches] == [4, 4, 1, 1, 1]
    assert all(len({photo.size for photo in batch}) == 1 for batch in batches)


def test_a_models_folder_needs_no_mlflow(model: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", 40, 60)
    script = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from pathlib import Path; from symbio.predict.run import run\n"
        f"run({str(model)!r}, [Path({str(image)!r})], Path({str(tmp_path / 'out')!r}))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "out" / "a_depth.png").is_file()
