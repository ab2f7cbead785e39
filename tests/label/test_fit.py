"""Fitting a small teacher: the parts against closed forms, and a whole tiny run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from symbio.data.draws import rng_for
from symbio.files import read_json
from symbio.label import fit_models
from symbio.label.fit import HELD_OUT, main
from symbio.label.fit_frames import Frames, augment, render, to_tensors, with_border
from symbio.label.fit_loss import class_map, map_loss, pixel_map, sample_target
from symbio.label.fit_queries import start_queries
from symbio.label.fit_train import learning_rate
from symbio.label.predict import predict
from symbio.label.teacher import load_teacher
from symbio.sample import kitti, nyu

from .conftest import picture


def test_class_map_equals_the_sum_over_queries() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.tensor([4, 0, 7])
    logits = torch.randn(2, 5, 11, generator=generator)
    masks = torch.randn(2, 5, 3, 4, generator=generator)
    found = class_map(logits, masks, classes)
    expected = torch.zeros(2, 3, 3, 4)
    for k, label in enumerate(classes):
        for query in range(5):
            share = logits[:, query].softmax(-1)[:, label]
            expected[:, k] += share[:, None, None] * masks[:, query].sigmoid()
    torch.testing.assert_close(
        found, expected / expected.sum(1, keepdim=True), rtol=1e-3, atol=1e-5
    )


def test_map_loss_is_weighted_and_ignores_255() -> None:
    probability = torch.tensor([0.7, 0.3]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    target = torch.tensor([[[0, 1, 255]]])
    weight = torch.tensor([1.0, 3.0])
    found = map_loss(probability, target, weight)
    expected = -(np.log(0.7) + 3 * np.log(0.3)) / 4
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_sampled_targets_come_from_their_own_cell() -> None:
    target = torch.arange(6 * 9).view(1, 6, 9)
    np.testing.assert_array_equal(
        sample_target(target, (3, 3), (0.0, 0.0))[0], [[0, 3, 6], [18, 21, 24], [36, 39, 42]]
    )
    np.testing.assert_array_equal(
        sample_target(target, (3, 3), (0.99, 0.99))[0], [[11, 14, 17], [29, 32, 35], [47, 50, 53]]
    )


def test_started_queries_repeat_the_classifier() -> None:
    torch.manual_seed(0)
    model = fit_models.build_oneformer(num_queries=20, backbone="test_resnet").eval()
    classes = [5, 0, 149, 12, 33, 2, 77, 20, 9, 4, 6, 100]
    classifier = torch.linalg.qr(torch.randn(fit_models.HIDDEN, len(classes)))[0].T.contiguous()
    tokens = fit_models.task_tokens()
    start_queries(model, classes, classifier, tokens)
    truth = torch.randint(0, len(classes), (1, 40, 56))
    features = 8 * classifier[truth] - 4 * classifier.sum(0) + 0.5 * torch.randn(1, 40, 56, 64)
    features = features.permute(0, 3, 1, 2).contiguous()
    core = model.model
    with torch.no_grad():
        level = core.pixel_level_module(torch.randn(1, 3, 80, 112))
        queries = core.transformer_module(
            multi_scale_features=level.decoder_features,
            mask_features=features,
            task_token=core.task_encoder(tokens),
        )
    wanted = torch.tensor(classes)
    found = class_map(queries.prediction_class, queries.prediction_masks, wanted)
    linear = pixel_map(features, classifier)
    assert (linear.argmax(1) == truth).float().mean() > 0.99
    assert (found.argmax(1) == linear.argmax(1)).float().mean() > 0.99
    own = queries.prediction_class[0, : len(classes)]
    assert own.argmax(-1).tolist() == classes


def test_task_tokens_are_the_processors(oneformer_folder: Path) -> None:
    from transformers import OneFormerProcessor

    processor = OneFormerProcessor.from_pretrained(oneformer_folder)
    tokens = processor([picture(0, 32, 32)], ["semantic"], return_tensors="pt")["task_inputs"]
    assert torch.equal(tokens.float(), fit_models.task_tokens())
    # Start, the, task, is, semantic, end; what is padded is 0, as is the start.
    assert tokens[0].tolist().count(0) == 11
    assert len(set(tokens[0].tolist())) == 6


def test_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate(p, 1.0) for p in np.linspace(0, 1, 200)]
    top = int(np.argmax(rates))
    assert 0 < top < 20
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[-1] == pytest.approx(1e-3)


def test_augmentation_flips_label_and_image_together() -> None:
    label = np.zeros((8, 16, 24), np.uint8)
    label[:, :, :10] = 3
    image = np.repeat(np.where(label == 3, 200, 40)[..., None], 3, axis=3).astype(np.uint8)
    frames = to_tensors(Frames(image, label), np.arange(8))
    changed, moved = augment(*frames, rng_for(0, "test"), border=False)
    assert (moved[:, :, 0] == 3).any()
    assert (moved[:, :, 0] == 0).any()
    bright, dark = changed.mean(1)[moved == 3], changed.mean(1)[moved == 0]
    assert bright.mean() > dark.mean() + 0.2
    again, _ = augment(*frames, rng_for(0, "test"), border=False)
    assert torch.equal(changed, again)


def test_border_is_that_of_the_prepared_frames() -> None:
    from symbio.sample.holes import framed

    image = np.random.default_rng(0).integers(1, 255, (1, 480, 640, 3), dtype=np.uint8)
    pixels, _ = to_tensors(Frames(image, image[..., 0]), np.arange(1))
    white = with_border(pixels, torch.ones(1, 1, 1, 1))
    expected, _ = to_tensors(Frames(framed(image[0])[None], image[..., 0]), np.arange(1))
    torch.testing.assert_close(white, expected)
    small = with_border(torch.ones(1, 3, 120, 160), torch.zeros(1, 1, 1, 1))
    # 7 of 480 rows are 1.75 of 120.
    assert small[0, 0, :3, 80].tolist() == pytest.approx([0.0, 0.25, 1.0], abs=1e-4)


def test_teacher_frames_are_in_neither_sample() -> None:
    from symbio.label import fit_frames

    streams = {f"{fit_frames.STREAM}-{world}" for world in fit_frames.WORLDS}
    assert not streams & {nyu.STREAM, kitti.STREAM}


@pytest.mark.parametrize("world", ["rooms", "streets"])
def test_rendered_frames_show_one_scene_at_any_size(world: str) -> None:
    image, label = render(world, 1, 0, divisor=8)
    larger, labels = render(world, 1, 0, divisor=4)
    assert image.dtype == label.dtype == np.uint8
    assert image.shape[:2] == label.shape
    small = labels[1::2, 1::2][: label.shape[0], : label.shape[1]]
    assert (small == label).mean() > 0.8
    assert larger.shape[0] == 2 * image.shape[0]


@pytest.mark.parametrize("architecture", ["oneformer", "segformer"])
def test_a_tiny_run_writes_a_teacher_that_labels(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symbio.label import fit_train

    monkeypatch.setattr(fit_train, "BATCH", 2)
    cache = tmp_path / "cache"
    cache.mkdir()
    rng = np.random.default_rng(0)
    count = HELD_OUT + 4
    for world in ("rooms", "streets"):
        for chunk in range(2):
            label = rng.choice(np.array([0, 3, 20], np.uint8), (50, 4, 6))
            label = label.repeat(8, axis=1).repeat(8, axis=2)
            image = np.stack([label * 12 + shift for shift in (0, 5, 9)], axis=-1)
            np.savez(
                cache / f"{world}-0-{chunk:04d}.npz", image=image.astype(np.uint8), label=label
            )
    out = tmp_path / "teacher"
    options = ["--out", out, "--cache", cache, "--minutes", 0.02, "--frames", count]
    main([str(option) for option in [*options, "--architecture", architecture]])
    facts = read_json(out / "fit.json", "facts")
    assert facts["architecture"] == architecture
    assert 0 < facts["held_out"]["rooms_pixel_accuracy"] <= 1
    assert f"{facts['held_out']['rooms_pixel_accuracy']:.3f}" in (out / "README.md").read_text()
    teacher = load_teacher(str(out))
    label, confidence = predict(teacher, torch.randint(0, 255, (1, 3, 48, 64), dtype=torch.uint8))
    assert label.shape == (1, 48, 64)
    assert torch.isfinite(confidence.float()).all()
    main(
        [str(option) for option in [*options, "--architecture", architecture, "--start-from", out]]
    )
    assert read_json(out / "fit.json", "facts")["earlier"] == facts
    assert (out / "README.md").read_text().count("python -m symbio.label.fit") == 2


@pytest.mark.slow
@pytest.mark.parametrize(("world", "size"), [("rooms", (480, 640)), ("streets", (376, 1240))])
def test_shipped_teacher_labels_unseen_frames(world: str, size: tuple[int, int]) -> None:
    teacher = load_teacher("builtin:sample")
    right, sure = [], []
    inside = np.zeros((480, 640, 1), np.uint8)
    inside[7:474, 7:632] = 1
    for index in range(6):
        image, truth = render(world, 4242, index)
        assert truth.shape == size
        image = image * inside if world == "rooms" else image
        label, confidence = predict(teacher, torch.tensor(image).permute(2, 0, 1)[None])
        hit = label[0].numpy() == truth
        right.append(hit.mean())
        sure.append(hit[confidence[0].numpy() > 0.9 * 255].mean())
    assert np.mean(right) > 0.93
    assert np.mean(sure) > np.mean(right)


def test_shipped_teacher_is_small_and_whole() -> None:
    folder = Path(fit_models.__file__).with_name("builtin")
    facts = read_json(folder / "fit.json", "facts")
    from symbio.files import sha256_of

    assert sha256_of(folder / "model.safetensors") == facts["weights_sha256"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8 * 2**20
    assert min(v for k, v in facts["held_out"].items() if k.endswith("accuracy")) > 0.85


def test_interpolated_held_out_score_is_that_of_the_labels() -> None:
    """`scores` and `predict` upsample the same way: bilinear, cell centres aligned."""
    from symbio.label.predict import upsample

    maps = torch.rand(1, 6, 10, 12, generator=torch.Generator().manual_seed(3)).softmax(1)
    full = F.interpolate(maps, size=(20, 24), mode="bilinear")
    assert (upsample(maps, (20, 24))[0] == full.argmax(1)).float().mean() > 0.99
