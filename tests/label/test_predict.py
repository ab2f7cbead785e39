"""Upsampling in blocks, and what flipping and the image size do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from symbio.label import predict as module
from symbio.label.predict import class_maps, predict, upsample
from symbio.label.teacher import load_teacher

from .test_teacher import frames


@pytest.mark.parametrize("block_values", [3000, 10**8])
@pytest.mark.parametrize("size", [(37, 53), (12, 16), (7, 9), (120, 160)])
@pytest.mark.parametrize("smooth", [False, True])
def test_blocks_equal_interpolating_everything(
    size: tuple[int, int], smooth: bool, block_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK_VALUES", block_values)
    generator = torch.Generator().manual_seed(1)
    logits = 5 * torch.randn(2, 150, 12, 16, generator=generator)
    if smooth:
        # Regions of one class, as teachers give, beside the noise that they do not.
        logits = F.interpolate(F.avg_pool2d(logits, 4), size=(12, 16))
    maps = logits.softmax(1)
    label, confidence = upsample(maps, size)
    full = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    best, expected = full.max(1)
    # Two classes may tie to the last bit.
    assert (label == expected).float().mean() > 0.999
    assert (confidence.float() - best * 255).abs().max() <= 0.5 + 1e-3


def test_a_class_that_wins_nowhere_is_not_computed_but_one_barely_winning_is() -> None:
    maps = torch.full((1, 4, 2, 2), 0.25)
    maps[0, 3] += 0.001
    maps[0, 0] -= 0.001
    label, confidence = upsample(maps, (4, 4))
    assert (label == 3).all()
    assert (confidence == round(0.251 * 255)).all()


def test_flip_average_of_a_frame_and_its_mirror_image_agree(oneformer_folder: Path) -> None:
    teacher = load_teacher(str(oneformer_folder))
    image = frames(1, 96, 128)
    label, confidence = predict(teacher, image, flip_average=True)
    mirrored, same = predict(teacher, image.flip(-1), flip_average=True)
    assert (label == mirrored.flip(-1)).float().mean() > 0.99
    assert (confidence.float() - same.flip(-1).float()).abs().max() <= 2
    plain, _ = predict(teacher, image)
    assert (plain != predict(teacher, image.flip(-1))[0].flip(-1)).any()


def test_image_size_is_what_the_model_sees(segformer_folder: Path) -> None:
    teacher = load_teacher(str(segformer_folder))
    image = frames(1, 96, 128)
    assert class_maps(teacher, image, (64, 64)).shape == (1, 150, 32, 32)
    assert class_maps(teacher, image, (128, 96)).shape == (1, 150, 64, 48)
    assert predict(teacher, image, image_size=(64, 64))[0].shape == (1, 96, 128)


def test_a_frame_alone_is_labelled_as_in_a_batch(oneformer_folder: Path) -> None:
    teacher = load_teacher(str(oneformer_folder))
    images = frames(3, 96, 128)
    together = class_maps(teacher, images)
    alone = torch.cat([class_maps(teacher, image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-5)


class _Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, torch.Tensor):
                self.values = max(self.values, one.untyped_storage().nbytes() // one.element_size())
        return made


def test_class_maps_are_never_held_at_full_size() -> None:
    # The worst case: 150 classes, and neighbouring cells that never agree.
    maps = torch.rand(1, 150, 60, 80).pow(8)
    maps /= maps.sum(1, keepdim=True)
    with _Largest() as largest:
        upsample(maps, (240, 320))
    assert largest.values <= 2 * module._BLOCK_VALUES < 150 * 240 * 320 / 5


@pytest.mark.parametrize("kind", ["oneformer", "mask2former", "segformer"])
def test_half_precision_moves_probabilities_a_little(
    kind: str, request: pytest.FixtureRequest
) -> None:
    folder = str(request.getfixturevalue(f"{kind}_folder"))
    images = frames(2, 96, 128)
    full = class_maps(load_teacher(folder), images)
    half = class_maps(load_teacher(folder, precision="bf16"), images)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.sum(1), torch.ones_like(half[:, 0]))
    assert 0 < (half - full).abs().mean() < 0.05 * full.max()
