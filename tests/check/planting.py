"""A small set of NYU's extracted frames, and every kind of damage that a frame can have."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.prepare import official_files as official

SIZE = (48, 64)


@dataclass(frozen=True)
class Frame:
    """The files of one frame."""

    image: Path
    depth: Path


def nyu(raw: Path, train: int, test: int = 3, size: tuple[int, int] = SIZE) -> list[Frame]:
    """Write the set; the training frames, two in each scene."""
    kitchen = raw / "official_splits/test/kitchen"
    frames = [_frame(raw / "sync" / f"scene_{n // 2:04d}", n, size) for n in range(train)]
    tested = [_frame(kitchen, n, size) for n in range(train, train + test)]
    for name, of, top in (
        (official.NYU_TRAIN, frames, raw / "sync"),
        (official.NYU_TEST, tested, raw / "official_splits/test"),
    ):
        lines = [f"/{f.image.relative_to(top)} /{f.depth.relative_to(top)} 518.86" for f in of]
        (raw / name).write_text("\n".join(lines) + "\n")
    return frames


def _frame(folder: Path, number: int, size: tuple[int, int]) -> Frame:
    frame = Frame(folder / f"rgb_{number:05d}.jpg", folder / f"sync_depth_{number:05d}.png")
    official.save(frame.image, official.image(number, *size), quality=90)
    official.save(frame.depth, official.depth(number, size, 900, 9000))
    return frame


def _cut(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def _empty(frame: Frame) -> Path:
    frame.image.write_bytes(b"")
    return frame.image


def _gone(path: Path) -> Path:
    path.unlink()
    return path


def _depth(frame: Frame, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    official.save(frame.depth, change(np.asarray(Image.open(frame.depth))))
    return frame.depth


def _judged(frame: Frame, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """As `_depth`, of damage that is told of the frame, by its image."""
    _depth(frame, change)
    return frame.image


def _sixteen_bits(frame: Frame) -> Path:
    _, data = cv2.imencode(".png", np.full((*SIZE, 3), 40000, np.uint16))
    frame.image.write_bytes(data.tobytes())
    return frame.image


def _turned(frame: Frame) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    official.save(frame.image, official.image(999, *SIZE), exif=exif)
    return frame.image


def _printed(frame: Frame) -> Path:
    Image.new("CMYK", (64, 48)).save(frame.image)
    return frame.image


def _as_jpeg(frame: Frame) -> Path:
    shutil.copy(frame.image, frame.depth)
    return frame.depth


def _of_size(frame: Frame, height: int, width: int) -> Path:
    official.save(frame.image, official.image(555, height, width), quality=90)
    official.save(frame.depth, official.depth(555, (height, width), 900, 9000))
    return frame.image


def _with_bytes(data: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return write


DAMAGE: dict[str, tuple[str, Callable[[Frame], Path]]] = {
    "image missing": ("missing file", lambda f: _gone(f.image)),
    "depth missing": ("missing file", lambda f: _gone(f.depth)),
    "image cut": ("broken file", lambda f: _cut(f.image)),
    "depth cut": ("broken file", lambda f: _cut(f.depth)),
    "image empty": ("broken file", _empty),
    "depth a web page": ("broken file", lambda f: _with_bytes(b"<html>404</html>")(f.depth)),
    "depth of 8 bits": ("wrong format", lambda f: _depth(f, lambda d: (d // 40).astype(np.uint8))),
    "depth as JPEG": ("wrong format", _as_jpeg),
    "image of 16 bits": ("wrong format", _sixteen_bits),
    "image turned by EXIF": ("wrong format", _turned),
    "image for print": ("wrong format", _printed),
    "half the size": ("sizes differ", lambda f: _judged(f, lambda d: d[::2, ::2].copy())),
    "metres": ("depth unit", lambda f: _judged(f, lambda d: d // 1000)),
    "8 bits, widened": ("8-bit depth", lambda f: _judged(f, lambda d: d // 257 * 257)),
    "8 bits, shifted": ("8-bit depth", lambda f: _judged(f, lambda d: d // 256 * 256)),
    "no depth": ("no measurement", lambda f: _judged(f, lambda d: d * 0)),
    "five times as far": ("depth beyond the range", lambda f: _judged(f, lambda d: d * 3)),
    "another shape": ("another size", lambda f: _of_size(f, 48, 80)),
    "all of it half the size": ("another size", lambda f: _of_size(f, 24, 32)),
}
"""Name -> the kind of finding, and how a frame gets it: returns the file to be named."""
