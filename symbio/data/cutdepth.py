"""CutDepth: a rectangle of the image shows its own depth in place of its colours.

Ishii and Yamashita, "CutDepth: Edge-aware Data Augmentation in Depth Estimation", 2021
(arXiv:2107.07684). Depth, class and confidence stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last: pixels."""


def cut_box(size: tuple[int, int], chances: Sequence[float], extent: float) -> Box:
    """The paper's rectangle in frames of `size` (H, W).

    Its corner is even over the frame; from there each side is an even share, up to `extent`, of
    the way to the far edge, and at least a pixel.

    Args:
        size: pixels.
        chances: four numbers in [0, 1): a, b, c and d of the paper.
        extent: its p.
    """
    height, width = size
    across, down, wide, high = chances
    left, top = int(across * width), int(down * height)
    columns = max(int((width - across * width) * wide * extent), 1)
    rows = max(int((height - down * height) * high * extent), 1)
    return top, top + rows, left, left + columns


def paste_depth(image: Tensor, depth: Tensor, box: Box, white_m: float) -> None:
    """Draw depth into one image, in place: 0 m or not measured is black, `white_m` on is white.

    Args:
        image: uint8 (3, H, W).
        depth: float32 (H, W), metres; 0 = no measurement.
        box: within the image.
        white_m: metres.
    """
    rows, columns = slice(*box[:2]), slice(*box[2:])
    # One product and no quotient, of which devices make what they like.
    grey = (depth[rows, columns] * (255.0 / white_m)).clamp(0.0, 255.0)
    image[:, rows, columns] = grey.round().to(torch.uint8)
