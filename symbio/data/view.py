"""The part of a stored frame that the network sees."""

from __future__ import annotations

KB_CROP = (352, 1216)
"""Height and width (pixels) of the KITTI benchmark crop."""

Box = tuple[int, int, int, int]
"""top, bottom, left, right; half-open, pixels."""


def kb_box(height: int, width: int) -> Box:
    """KITTI benchmark crop: bottom-aligned, centred, 352 x 1216 (protocols of BTS and its heirs).

    A frame smaller than the crop is taken whole.
    """
    if height < KB_CROP[0] or width < KB_CROP[1]:
        return 0, height, 0, width
    top, left = height - KB_CROP[0], (width - KB_CROP[1]) // 2
    return top, height, left, left + KB_CROP[1]


def view_box(dataset: str, height: int, width: int) -> Box:
    """What the network sees of a frame: KITTI's benchmark crop, or the whole of an NYU frame."""
    return kb_box(height, width) if dataset == "kitti" else (0, height, 0, width)
