"""Loading a teacher: every architecture by one interface, offline, safetensors only."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
import torch

from symbio.errors import SymbioError
from symbio.label.predict import class_maps, predict
from symbio.label.source import find_folder, teacher_files
from symbio.label.teacher import load_teacher

from .conftest import picture


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def frames(count: int, height: int, width: int) -> torch.Tensor:
    pictures = [torch.from_numpy(picture(i, height, width)) for i in range(count)]
    return torch.stack(pictures).permute(0, 3, 1, 2)


@pytest.mark.usefixtures("no_network")
def test_oneformer_equals_the_processor_of_transformers(oneformer_folder: Path) -> None:
    from transformers import OneFormerForUniversalSegmentation, OneFormerProcessor

    images = frames(2, 120, 160)
    teacher = load_teacher(str(oneformer_folder))
    maps = class_maps(teacher, images)

    processor = OneFormerProcessor.from_pretrained(oneformer_folder)
    model = OneFormerForUniversalSegmentation.from_pretrained(oneformer_folder).eval()
    inputs = processor(list(images), ["semantic"] * 2, return_tensors="pt")
    with torch.inference_mode():
        outputs = model(
            pixel_values=inputs["pixel_values"], task_inputs=inputs["task_inputs"].float()
        )
    found = processor.post_process_semantic_segmentation(outputs)
    for row, expected in zip(maps, found, strict=True):
        assert len(expected.unique()) > 1
        assert (row.argmax(0) == expected).float().mean() > 0.999
    torch.testing.assert_close(maps.sum(1), torch.ones_like(maps[:, 0]))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("kind", ["oneformer", "mask2former", "segformer"])
def test_every_architecture_labels_at_full_size(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(f"{kind}_folder")
    teacher = load_teacher(str(folder))
    label, confidence = predict(teacher, frames(2, 90, 130))
    assert label.shape == confidence.shape == (2, 90, 130)
    assert label.dtype == confidence.dtype == torch.uint8
    assert int(label.max()) < 150
    assert int(confidence.min()) > 0


@pytest.mark.usefixtures("no_network")
def test_published_processor_that_names_a_hub_repository_stays_offline(
    oneformer_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    shutil.copytree(oneformer_folder, folder)
    (folder / "processor_config.json").unlink()
    published = {
        "image_processor_type": "OneFormerImageProcessor",
        "class_info_file": "ade20k_panoptic.json",
        "repo_path": "shi-labs/oneformer_demo",
        "size": {"shortest_edge": 64, "longest_edge": 256},
        "num_labels": 150,
        "num_text": 134,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(published))
    images = frames(1, 96, 128)
    without = class_maps(load_teacher(str(folder)), images)
    classes = {str(i): {"isthing": 0, "name": f"c{i}"} for i in range(150)}
    (folder / "ade20k_panoptic.json").write_text(json.dumps(classes))
    beside = class_maps(load_teacher(str(folder)), images)
    torch.testing.assert_close(without, beside, rtol=0, atol=0)


def test_folder_without_weights_names_the_missing_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(SymbioError, match=r"lacks model\.safetensors, preprocessor_config") as info:
        load_teacher(str(tmp_path))
    assert "pytorch_model.bin can run code" in str(info.value)


def test_missing_folder_and_unreachable_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SymbioError, match=r"teacher\.model: './nowhere' is no folder"):
        find_folder("./nowhere", tmp_path)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SymbioError, match=r"hf download some/teacher .*teacher\.model"):
        find_folder("some/teacher", tmp_path)
    with pytest.raises(SymbioError, match="oneformer_ade20k_swin_large --revision refs/pr/1 "):
        find_folder("oneformer-swin-large", tmp_path)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "cached", "revision"),
    [
        ("oneformer-swin-large", "shi-labs--oneformer_ade20k_swin_large", "refs/pr/1"),
        (
            "shi-labs/oneformer_ade20k_swin_large",
            "shi-labs--oneformer_ade20k_swin_large",
            "refs/pr/1",
        ),
        ("mask2former-swin-large", "facebook--mask2former-swin-large-ade-semantic", "main"),
        ("segformer-b5", "nvidia--segformer-b5-finetuned-ade-640-640", "refs/pr/3"),
    ],
)
def test_short_names_lead_to_the_revision_that_has_safetensors(
    name: str, cached: str, revision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / f"models--{cached}"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    reference = repository / "refs" / revision
    reference.parent.mkdir(parents=True)
    reference.write_text(commit)
    assert find_folder(name, tmp_path) == snapshot


def test_truncated_weights(oneformer_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(oneformer_folder, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:10_000])
    with pytest.raises(SymbioError, match="cannot be loaded"):
        load_teacher(str(folder))


def test_weights_of_another_model_are_refused(
    oneformer_folder: Path, segformer_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(oneformer_folder, folder)
    shutil.copy(segformer_folder / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(SymbioError, match="do not fill OneFormerForUniversalSegmentation"):
        load_teacher(str(folder))


def test_other_number_of_classes_and_other_task(segformer_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cityscapes"
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    SegformerForSemanticSegmentation(
        SegformerConfig(hidden_sizes=[8, 8, 8, 8], decoder_hidden_size=8, num_labels=19)
    ).save_pretrained(folder)
    shutil.copy(segformer_folder / "preprocessor_config.json", folder)
    with pytest.raises(SymbioError, match="knows 19 classes"):
        load_teacher(str(folder))
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["SegformerForImageClassification"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SymbioError, match="SegformerForImageClassification"):
        load_teacher(str(folder))


def test_files_change_when_the_weights_do(oneformer_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(oneformer_folder, folder)
    before = teacher_files(folder)
    assert before == teacher_files(oneformer_folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))
    changed = {name for name, value in teacher_files(folder).items() if value != before[name]}
    assert changed == {"model.safetensors"}
