"""Draw docs/figures/nearfarmix.jpg: `python docs/figures/nearfarmix.py`, some ten seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from symbio.data.draws import rng_for
from symbio.data.frame import Batch
from symbio.data.guide import guide_depth
from symbio.data.mixing.nearfarmix import cut_regions, draw_thresholds, mix_regions
from symbio.data.resize import resize_depth, resize_labels, resize_rgb
from symbio.data.view import kb_box
from symbio.files import whole_file
from symbio.params import MixParams
from symbio.pictures import Picture, colour_depth, grid, labelled
from symbio.sample.calibration import RIGS
from symbio.sample.holes import millimetres
from symbio.sample.lidar import annotated
from symbio.sample.rooms import render_room
from symbio.sample.streets import render_street

OUT = Path(__file__).with_suffix(".jpg")
PARAMS = MixParams.model_validate(
    {
        "mix": "nearfarmix",
        "probability": 1.0,
        "threshold": {"mode": "quantile", "low": 0.45, "high": 0.45},
        "overlap": "nearest",
        "blend_alpha": 0.5,
        "guide_reach_px": 16,
    }
)
REGIONS = np.array([[205, 205, 205], [230, 120, 60], [60, 120, 230], [150, 70, 160]], np.uint8)
"""Far, exclusive near of a, exclusive near of b, overlap."""


def room(number: int) -> Batch:
    """A rendered room with depth everywhere, 228x304."""
    frame = render_room(rng_for(1, "figure", number), scene="living_room")
    return _batch(frame.image, millimetres(frame.depth), 1000, frame.semantic, (228, 304))


def street(number: int) -> Batch:
    """A rendered street with LiDAR's depth, 88x304."""
    rig, rng = RIGS[0], rng_for(1, "figure", number)
    frame = render_street(rng, rig.height, rig.width, rig.intrinsics)
    top, bottom, left, right = kb_box(rig.height, rig.width)
    box = np.s_[top:bottom, left:right]
    depth, _ = annotated(frame, rng)
    return _batch(frame.image[box], depth[box], 256, frame.semantic[box], (88, 304))


def _batch(
    image: NDArray[np.uint8],
    depth: NDArray[np.uint16],
    scale: int,
    semantic: NDArray[np.uint8],
    size: tuple[int, int],
) -> Batch:
    small = resize_rgb(np.ascontiguousarray(image), size).transpose(2, 0, 1)
    metres = resize_depth(np.ascontiguousarray(depth), size).astype(np.float32) / scale
    classes = resize_labels(np.ascontiguousarray(semantic).astype(np.uint8), size)
    return Batch(
        torch.from_numpy(small.copy())[None],
        torch.from_numpy(metres)[None],
        torch.from_numpy(classes.copy())[None],
        torch.full((1, *size), 255, dtype=torch.uint8),
        ("",),
    )


def rows(a: Batch, b: Batch, depth_range: tuple[float, float]) -> list[list[Picture]]:
    """Two rows of four pictures: sources, regions and mix above, depths below."""
    guides = [guide_depth(x.depth, x.semantic, PARAMS.guide_reach_px) for x in (a, b)]
    tau = draw_thresholds(guides[0], guides[1], [rng_for(1, "figure")], PARAMS.threshold)
    near = [(guide < tau[:, None, None])[0].int().numpy() for guide in guides]
    mixed = {}
    for overlap in ("nearest", "blend"):
        params = PARAMS.model_copy(update={"overlap": overlap})
        regions = cut_regions(guides[0], guides[1], tau, params.overlap, params.blend_alpha)
        mixed[overlap] = mix_regions(a, b, regions, params)
    depths = [colour_depth(guide[0].numpy(), *depth_range) for guide in guides]
    target = colour_depth(mixed["nearest"].depth[0].numpy(), *depth_range)
    return [
        [
            labelled(_image(a), "a"),
            labelled(_image(b), "b"),
            labelled(REGIONS[near[0] + 2 * near[1]], f"regions, Near below {tau.item():.1f} m"),
            labelled(_image(mixed["nearest"]), "mixed, overlap: nearest"),
        ],
        [
            labelled(depths[0], "guide depth of a"),
            labelled(depths[1], "guide depth of b"),
            labelled(target, "mixed depth target"),
            labelled(_image(mixed["blend"]), "mixed, overlap: blend"),
        ],
    ]


def _image(batch: Batch) -> Picture:
    return batch.image[0].permute(1, 2, 0).numpy()


def main() -> None:
    """Render the four frames, mix them, write the figure."""
    rooms = rows(room(3), room(5), (0.5, 10.0))
    streets = rows(street(11), street(12), (1.0, 80.0))
    picture = grid([*rooms, *streets])
    _, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    with whole_file(OUT) as path:
        path.write_bytes(coded.tobytes())


if __name__ == "__main__":
    main()
