from __future__ import annotations

import torch
import torch.nn.functional as F

from symbio.evaluate.predictors import (
    class_map,
    constant_predictor,
    network_predictor,
    possible_classes,
    resize_map,
)
from symbio.model.network import build_network
from symbio.params import ModelParams, SymbiosisParams


def model(semantics: bool = True) -> ModelParams:
    return ModelParams(
        encoder="test_maxvit",
        pretrained=False,
        channels=8,
        symbiosis=SymbiosisParams(heads=2),
        depth_output="log",
        semantics=semantics,
    )


def test_class_map_is_the_argmax_of_all_logits_at_full_size() -> None:
    logits = torch.randn(2, 150, 9, 11, generator=torch.Generator().manual_seed(0))
    size = (31, 37)

    def lift(part: torch.Tensor) -> torch.Tensor:
        return F.interpolate(part, size, mode="bilinear", align_corners=False)

    classes = class_map(logits, lift)
    assert classes.dtype == torch.uint8
    assert classes.equal(lift(logits).argmax(dim=1).byte())


def test_classes_that_never_win_are_left_out_and_change_no_pixel() -> None:
    generator = torch.Generator().manual_seed(1)
    for size, seen in (((60, 80), (60, 80)), ((31, 37), (60, 80)), ((97, 150), (33, 41))):
        logits = torch.randn(1, 150, 15, 20, generator=generator)
        logits[:, torch.randperm(150, generator=generator)[:130]] -= 9.0
        kept = possible_classes(logits)
        assert kept.tolist() == sorted(kept.tolist())
        assert 20 <= len(kept) < 40

        def lift(
            part: torch.Tensor, seen: tuple[int, int] = seen, size: tuple[int, int] = size
        ) -> torch.Tensor:
            fine = F.interpolate(part, seen, mode="bilinear", align_corners=False)
            return F.interpolate(fine, size, mode="bilinear", align_corners=False)

        assert class_map(logits, lift).equal(lift(logits).argmax(dim=1).byte())


def test_beside_a_nan_every_class_is_possible() -> None:
    logits = torch.zeros(1, 3, 9, 9)
    logits[:, 1] = 5.0
    assert possible_classes(logits).tolist() == [1]
    logits[0, 2, 4, 4] = torch.nan
    assert possible_classes(logits).tolist() == [0, 1, 2]


def test_the_lowest_of_equal_classes_wins() -> None:
    assert class_map(torch.zeros(1, 150, 2, 2), lambda part: part).eq(0).all()


def test_resizing_keeps_a_constant_and_a_ramp() -> None:
    torch.testing.assert_close(
        resize_map(torch.full((1, 5, 6), 3.5), (17, 12)), torch.full((1, 17, 12), 3.5)
    )
    ramp = torch.arange(8.0).repeat(1, 4, 1)
    double = resize_map(ramp, (8, 16))
    # Corners not aligned: pixel centres at (i + .5) / 2 - .5.
    assert torch.allclose(double[0, 3, 1:-1], (torch.arange(16.0)[1:-1] + 0.5) / 2 - 0.5)


def test_network_is_asked_at_its_size_and_answers_at_the_views() -> None:
    network = build_network(model(), (64, 96), 10.0, 0.1)
    views = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    network.train()
    guess = network_predictor(network)(views, (100, 140))
    assert not network.training
    assert guess.depth_m.shape == (2, 100, 140)
    assert guess.classes is not None
    assert guess.classes.shape == (2, 100, 140)
    with torch.inference_mode():
        depth, logits = network(network.normalise(views))
    expected = F.interpolate(logits, (100, 140), mode="bilinear", align_corners=False)
    assert (guess.classes == expected.argmax(dim=1)).float().mean() > 0.9999
    torch.testing.assert_close(guess.depth_m, resize_map(depth, (100, 140)))


def test_depth_only_network_has_no_classes() -> None:
    network = build_network(model(semantics=False), (64, 64), 10.0, 0.1)
    views = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    assert network_predictor(network)(views, (64, 64)).classes is None


def test_constant() -> None:
    guess = constant_predictor(2.5)(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), (5, 7))
    assert guess.depth_m.shape == (3, 5, 7)
    assert guess.depth_m.eq(2.5).all()
    assert guess.classes is None
