"""What is no picture is refused, and the message says what was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symbio.errors import SymbioError
from symbio.model.request import MAX_PIXELS, pictures_in

PICTURES = np.random.default_rng(5).integers(0, 256, (2, 3, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        PICTURES,
        PICTURES.astype(np.int64),
        PICTURES.astype(np.uint16),
        PICTURES.tolist(),
        tuple(PICTURES),
    ],
)
def test_integers_of_any_type_are_taken_as_they_are(given: Any) -> None:
    found = pictures_in(given)
    assert found.dtype == np.uint8
    assert np.array_equal(found, PICTURES)


def changed(value: Any) -> Any:
    inputs = PICTURES.tolist()
    inputs[1][2][3][1] = value
    return inputs


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (PICTURES[0], "found shape (3, 4, 3)"),
        (PICTURES[None], "found shape (1, 2, 3, 4, 3)"),
        (PICTURES[..., :1], "found shape (2, 3, 4, 1)"),
        (np.zeros((1, 8, 8, 4), int), "found shape (1, 8, 8, 4)"),
        (PICTURES.transpose(0, 3, 1, 2), "found shape (2, 3, 3, 4)"),
        (PICTURES[:0], "there is no pixel"),
        ([], "found shape (0,)"),
        ([[]], "found shape (1, 0)"),
        ([PICTURES[0].tolist(), PICTURES[1, :2].tolist()], "inhomogeneous shape"),
        (changed(256), "found values 0 to 256"),
        (changed(-1), "found values -1 to "),
        (changed(2**63), "type"),
        (changed(10**30), "type object"),
        (changed(0.5), "type float64"),
        (changed(1.0), "type float64"),
        (changed(float("inf")), "type float64"),
        (changed("7"), "type <U"),
        (changed(None), "type object"),
        (changed({}), "type object"),
        (PICTURES / 255, "scale by 255"),
        (PICTURES > 9, "type bool"),
        (np.full((1, 1, 1, 3), "x"), "type <U1"),
        ("a picture", "found a str"),
        (None, "found a NoneType"),
        ({"image": PICTURES}, "found a dict"),
        (np.zeros((1, 4001, MAX_PIXELS // 4000, 3), np.uint8), "found 4001000 pixels, at most"),
    ],
)
def test_anything_else_is_refused(given: Any, message: str) -> None:
    with pytest.raises(SymbioError) as caught:
        pictures_in(given)
    assert message in str(caught.value)
    assert str(caught.value).startswith("pictures must be integers 0..255 of shape (B, H, W, 3)")


def test_as_many_pixels_as_stated_are_taken() -> None:
    assert pictures_in(np.zeros((1, 4000, MAX_PIXELS // 4000, 3), np.uint8)).size == 3 * MAX_PIXELS
