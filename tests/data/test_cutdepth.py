from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from symbio.data.cutdepth import cut_box, paste_depth
from symbio.params import CutDepthParams


def test_the_rectangle_by_hand() -> None:
    # a = .5 across, b = .25 down; half of what is left to the right, all of what is left below.
    assert cut_box((80, 200), (0.5, 0.25, 0.5, 1.0), 1.0) == (20, 80, 100, 150)
    assert cut_box((80, 200), (0.5, 0.25, 0.5, 1.0), 0.75) == (20, 65, 100, 137)
    assert cut_box((80, 200), (0.0, 0.0, 0.0, 0.0), 0.75) == (0, 1, 0, 1)
    almost = 1.0 - 1e-12
    assert cut_box((80, 200), (almost,) * 4, 1.0) == (79, 80, 199, 200)


def test_rectangles_lie_in_the_frame_and_reach_all_of_it() -> None:
    """Of a wide frame too: rows and columns are not exchanged."""
    rng, size = np.random.default_rng(0), (30, 90)
    hits = np.zeros(size, int)
    for _ in range(20000):
        top, bottom, left, right = cut_box(size, rng.random(4).tolist(), 0.75)
        assert 0 <= top < bottom <= 30
        assert 0 <= left < right <= 90
        hits[top:bottom, left:right] += 1
    assert (hits > 0).all()
    # Sides have (1 - a) c p of the frame's: p / 4 on average, so p² / 16 of its area.
    assert hits.sum() / hits.size / 20000 == pytest.approx(0.75**2 / 16, rel=0.15)


def test_depth_in_grey_by_hand() -> None:
    image = torch.full((3, 2, 4), 7, dtype=torch.uint8)
    depth = torch.tensor([[0.0, 2.0, 5.0, 9.0], [10.0, 25.0, 0.03, 1.0]])
    paste_depth(image, depth, (0, 2, 0, 3), 10.0)
    for channel in image:
        assert channel.tolist() == [[0, 51, 128, 7], [255, 255, 1, 7]]


@pytest.mark.parametrize(
    ("changes", "field"), [({"extent": 0.0}, "extent"), ({"white_m": 0.0}, "white_m")]
)
def test_senseless_parameters_are_refused(changes: dict[str, float], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        CutDepthParams.model_validate({"probability": 0.25, "white_m": 10.0} | changes)
