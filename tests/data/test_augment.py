from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from symbio.data.augment import (
    Draw,
    augment,
    augment_rng,
    augment_windows,
    colour_table,
    draw,
    window_size,
)
from symbio.data.frame import Batch, stack
from symbio.data.rotation import Turn, rotate
from symbio.errors import SymbioError
from symbio.params import AugmentParams
from tests.data.mixing_cases import equal, frames

SIZE = (40, 48)
CUTDEPTH = {"probability": 0.5, "white_m": 3.0}


def params(**changes: Any) -> AugmentParams:
    fields = {"flip": 0.5, "colour": 0.5, "brightness": (0.75, 1.25), "crop": (32, 36)}
    return AugmentParams.model_validate(fields | changes)


def fresh(num: int, epoch: int = 0) -> list[np.random.Generator]:
    return [augment_rng(3, epoch, position) for position in range(num)]


def draws(num: int, p: AugmentParams) -> list[Draw]:
    return [draw(rng, SIZE, p.crop or SIZE, p) for rng in fresh(num)]


def cut(batch: Batch, row: int, drawn: Draw) -> Batch:
    """What the host reads of one frame."""
    top, bottom, left, right = drawn.window
    window = np.s_[row : row + 1, ..., top:bottom, left:right]
    return Batch(
        batch.image[window],
        batch.depth[window],
        batch.semantic[window],
        batch.confidence[window],
        batch.keys[row : row + 1],
    )


def slow_augment(batch: Batch, p: AugmentParams) -> Batch:
    """Frame by frame, in numpy and plain Python."""
    height, width = p.crop or SIZE
    images, depths, labels, confidences = [], [], [], []
    for row, drawn in enumerate(draws(len(batch), p)):
        window = np.s_[..., drawn.top : drawn.top + height, drawn.left : drawn.left + width]
        mirror = np.s_[..., ::-1] if drawn.flip else np.s_[...]
        image, depth = batch.image[row].numpy()[window].copy(), batch.depth[row].numpy()[window]
        if drawn.cut is not None:
            top, bottom, left, right = drawn.cut
            for y in range(top, bottom):
                for x in range(left, right):
                    image[:, y, x] = round(min(float(depth[y, x]) * 85.0, 255.0))
        image = image[mirror].astype(np.float64)
        if drawn.colour:
            image = (image / 255) ** drawn.gamma * drawn.brightness
            image = np.clip(image * drawn.channels[:, None, None], 0, 1) * 255
        images.append(np.rint(image).astype(np.uint8))
        depths.append(batch.depth[row].numpy()[window][mirror])
        labels.append(batch.semantic[row].numpy()[window][mirror])
        confidences.append(batch.confidence[row].numpy()[window][mirror])
    return Batch(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(np.stack(depths)),
        torch.from_numpy(np.stack(labels)),
        torch.from_numpy(np.stack(confidences)),
        batch.keys,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"crop": None},
        {"flip": 1.0, "colour": 0.0},
        {"flip": 0.0, "colour": 1.0},
        {"flip": 0.0, "colour": 0.0, "crop": None},
        {"crop": SIZE, "brightness": (0.9, 1.1)},
        {"cutdepth": CUTDEPTH},
        {"cutdepth": CUTDEPTH | {"probability": 1.0, "extent": 1.0}, "crop": None, "flip": 1.0},
    ],
)
def test_equals_the_slow_definition(changes: dict[str, Any]) -> None:
    batch, p = frames(0, SIZE, 10, 0.3), params(**changes)
    result = augment(batch, fresh(10), p)
    assert equal(result, slow_augment(batch, p))
    assert result.keys == batch.keys
    assert equal(batch, frames(0, SIZE, 10, 0.3))


def test_all_fields_move_together() -> None:
    """Every field holds its pixel's place in the frame, so that each tells where it came from."""
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(48), indexing="ij")
    num = 30
    place = torch.stack([rows, columns, rows]).to(torch.uint8).expand(num, 3, *SIZE)
    batch = Batch(
        place.contiguous(),
        (rows * 48.0 + columns).expand(num, *SIZE).contiguous(),
        rows.to(torch.uint8).expand(num, *SIZE).contiguous(),
        columns.to(torch.uint8).expand(num, *SIZE).contiguous(),
        tuple(map(str, range(num))),
    )
    moved = augment(batch, fresh(num), params(colour=0.0))
    assert torch.equal(moved.image[:, 0], moved.semantic)
    assert torch.equal(moved.image[:, 1], moved.confidence)
    assert torch.equal(moved.depth, moved.semantic * 48.0 + moved.confidence)
    steps = moved.confidence[:, 0].int().diff(dim=1)
    assert set(steps.flatten().tolist()) == {-1, 1}
    assert (steps == steps[:, :1]).all()


def test_colour_changes_nothing_but_the_image() -> None:
    batch = frames(1, SIZE, 4)
    plain = augment(batch, fresh(4), params(colour=0.0))
    coloured = augment(batch, fresh(4), params(colour=1.0))
    assert torch.equal(plain.depth, coloured.depth)
    assert torch.equal(plain.semantic, coloured.semantic)
    assert torch.equal(plain.confidence, coloured.confidence)
    assert not torch.equal(plain.image, coloured.image)


def test_switching_one_augmentation_off_leaves_the_others() -> None:
    full = draws(50, params())
    assert [d.flip for d in draws(50, params(colour=0.0, crop=None))] == [d.flip for d in full]
    assert [d.top for d in draws(50, params(flip=0.0))] == [d.top for d in full]
    assert [d.gamma for d in draws(50, params(flip=0.0, crop=None))] == [d.gamma for d in full]


def test_rotation_and_cutdepth_leave_the_other_draws() -> None:
    """The first nine numbers of a generator are what they were before the two were added."""
    drawn = draws(50, params(rotation=2.5, cutdepth=CUTDEPTH))
    for one, rng in zip(drawn, fresh(50), strict=True):
        chance = rng.random(9)
        assert one.flip == (chance[0] < 0.5)
        assert (one.top, one.left) == (int(chance[1] * 9), int(chance[2] * 13))
        assert one.colour == (chance[3] < 0.5)
        assert one.gamma == pytest.approx(0.9 + 0.2 * chance[4])
        assert one.channels == pytest.approx(0.9 + 0.2 * chance[6:9])
    assert [d.cut for d in draws(50, params(cutdepth=CUTDEPTH))] == [d.cut for d in drawn]
    assert [d.angle for d in draws(50, params(rotation=2.5))] == [d.angle for d in drawn]
    assert all(d.angle == 0.0 and d.cut is None for d in draws(50, params()))


def test_all_draws_of_a_run_read_windows_of_one_size() -> None:
    turned = params(rotation=2.5, crop=(32, 32))
    size = (60, 90)
    wanted = window_size(turned, size)
    assert wanted == (37, 37)  # 32 cos 2.5 + 32 sin 2.5 = 33.4 pixels, and one more each way
    for rng in fresh(200):
        top, bottom, left, right = draw(rng, size, (32, 32), turned).window
        assert (bottom - top, right - left) == wanted
        assert 0 <= top <= bottom <= 60
        assert 0 <= left <= right <= 90
    assert window_size(params(), SIZE) == (32, 36)
    assert window_size(params(crop=None, rotation=2.5), SIZE) == SIZE


@pytest.mark.parametrize("rotation", [0.0, 1.0, 20.0])
def test_windows_cut_by_the_host_give_what_whole_frames_give(rotation: float) -> None:
    batch, p = frames(4, (60, 90), 12, 0.5), params(rotation=rotation, cutdepth=CUTDEPTH)
    drawn = [draw(rng, (60, 90), (32, 36), p) for rng in fresh(12)]
    result = augment_windows(stack([cut(batch, row, d) for row, d in enumerate(drawn)]), drawn, p)
    assert equal(result, augment(batch, fresh(12), p))
    # A window as large as the frame leaves nothing out: turning needs no more than was read.
    for row, one in enumerate(drawn):
        turn = Turn(one.angle, (60, 90), (one.top, one.left), (0, 0))
        plain = rotate(batch[row : row + 1], [turn], (32, 36))
        mirrored = plain.depth.flip(-1) if one.flip else plain.depth
        assert torch.equal(result.depth[row], mirrored[0])


def test_draws_keep_to_their_ranges_and_use_them() -> None:
    drawn = draws(2000, params(rotation=2.5, cutdepth=CUTDEPTH))
    for values, low, high in (
        ([d.gamma for d in drawn], 0.9, 1.1),
        ([d.brightness for d in drawn], 0.75, 1.25),
        ([float(c) for d in drawn for c in d.channels], 0.9, 1.1),
        ([d.top / 8 for d in drawn], 0.0, 1.0),
        ([d.left / 12 for d in drawn], 0.0, 1.0),
        ([d.angle for d in drawn], -2.5, 2.5),
    ):
        assert low <= min(values) < low + 0.01 * (high - low)
        assert high >= max(values) > high - 0.01 * (high - low)
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    assert np.mean([d.flip for d in drawn]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([d.cut is not None for d in drawn]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([d.colour for d in drawn]) == pytest.approx(0.5, abs=0.05)
    assert set(np.bincount([d.top for d in drawn]) > 0) == {True}


def test_draws_of_a_frame_are_independent() -> None:
    drawn = draws(1500, params())
    table = [[d.flip, d.top, d.left, d.colour, d.gamma, d.brightness, *d.channels] for d in drawn]
    correlation = np.corrcoef(np.array(table, float).T)
    assert np.abs(correlation - np.eye(9)).max() < 4.5 / np.sqrt(1500)


def test_colour_table_by_hand() -> None:
    drawn = draws(1, params(colour=1.0))[0]
    table = colour_table(
        replace(drawn, gamma=1.0, brightness=1.25, channels=np.array([1.0, 0.9, 1.1]))
    )
    assert table[:, 0].tolist() == [0, 0, 0]
    assert table[:, 100].tolist() == [125, 112, 138]  # 125, 112.5 to even, 137.5 up
    assert table[:, 255].tolist() == [255, 255, 255]
    gamma = colour_table(replace(drawn, gamma=2.0, brightness=1.0, channels=np.ones(3)))
    assert gamma[0, 51] == round(255 * 0.04)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_batch_split_does_not_matter(rows: int) -> None:
    batch = frames(2, SIZE, 7, 0.3)
    p = params(rotation=2.5, cutdepth=CUTDEPTH)
    whole = augment(batch, fresh(7), p)
    for start in range(0, 7, rows):
        part = slice(start, start + rows)
        assert equal(augment(batch[part], fresh(7)[part], p), whole[part])


def test_epochs_differ() -> None:
    batch = frames(2, SIZE, 4)
    first, second = (augment(batch, fresh(4, epoch), params()) for epoch in (0, 1))
    assert not equal(first, second)


@pytest.mark.parametrize("crop", [(41, 48), (40, 49)])
def test_a_crop_larger_than_the_frame_is_refused(crop: tuple[int, int]) -> None:
    message = rf"train\.augment\.crop: {crop[0]}x{crop[1]} pixels do not fit .* 40x48"
    with pytest.raises(SymbioError, match=message):
        augment(frames(0, SIZE, 1), fresh(1), params(crop=crop))
