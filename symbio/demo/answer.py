"""From the bytes of an upload to what the page shows and lets people download."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.images import encode_png
from symbio.data.resize import resize_rgb
from symbio.demo.shown import Shown
from symbio.model.inference import infer
from symbio.predict.cloud import ply_of
from symbio.predict.photo import decode_upload
from symbio.predict.predict import is_stretched, millimetres

MOST_PIXELS = 50_000_000
"""Of an upload; decoded, they take 150 MB."""

LONGEST_PX = 1280
"""Side of what is shown: the network sees fewer pixels, and a browser draws these at once."""

_ALIGNED = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What the network says of one picture, at the size shown."""

    image: NDArray[np.uint8]
    """(H, W, 3), RGB, upright."""
    depth_m: NDArray[np.float32]
    """(H, W), metres."""
    classes: NDArray[np.uint8] | None
    """(H, W), of the network's own; None where it says depth alone."""
    focal_px: float | None
    """None: the camera is not known, so there are no points."""
    notes: tuple[str, ...]
    """What to know before believing it."""
    seconds: float
    """From the bytes to the answer."""

    def packed(self) -> bytes:
        """For the page: a header's length (uint32), the header (JSON), and the arrays.

        Little-endian. The header is padded with spaces so that depth, float32, begins at a multiple
        of four; the classes follow (as many bytes as pixels, or none), then RGB.
        """
        height, width = self.depth_m.shape
        header: dict[str, Any] = {
            "height": height,
            "width": width,
            "focal_px": self.focal_px,
            "has_classes": self.classes is not None,
            "notes": self.notes,
            "seconds": self.seconds,
        }
        text = json.dumps(header).encode("ascii")
        text += b" " * (-len(text) % _ALIGNED)
        depth = self.depth_m.astype("<f4").tobytes()
        classes = b"" if self.classes is None else self.classes.tobytes()
        length = len(text).to_bytes(4, "little")
        return b"".join([length, text, depth, classes, self.image.tobytes()])

    def depth_png(self) -> bytes:
        """16 bits, millimetres, as `symbio predict` writes it."""
        return encode_png(millimetres(self.depth_m))

    def ply(self) -> bytes:
        """The points, as `symbio predict --ply` writes them.

        Raises:
            ValueError: `focal_px` is not known.
        """
        if self.focal_px is None:
            raise ValueError("no points without a focal length")
        return ply_of(self.image, self.depth_m, self.focal_px)[0]


def answer(shown: Shown, upload: bytes) -> Answer:
    """Decode a JPEG or PNG picture, bring it to the size shown, and predict it.

    Raises:
        SymbioError: it is no such picture, or has too many pixels.
    """
    start = time.perf_counter()
    image = decode_upload(upload, "the picture", MOST_PIXELS)
    notes = []
    height, width = image.shape[:2]
    if is_stretched(shown.network, (height, width)):
        rows, columns = shown.network.image_size
        notes.append(
            f"Its shape is far from the {columns}:{rows} that the model was trained on: expect "
            "worse results; crop it for better ones."
        )
    if max(height, width) > LONGEST_PX:
        shrink = LONGEST_PX / max(height, width)
        size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
        image = resize_rgb(image, size)
        notes.append(
            f"Brought from {width} x {height} to {size[1]} x {size[0]} pixels; `symbio predict` "
            "keeps a picture's own size."
        )
    found = infer(shown.network, image[None])
    ratio = shown.focal_of_width
    return Answer(
        image=image,
        depth_m=found.depth_m[0],
        classes=None if found.classes is None else found.classes[0],
        focal_px=None if ratio is None else ratio * image.shape[1],
        notes=tuple(notes),
        seconds=time.perf_counter() - start,
    )
