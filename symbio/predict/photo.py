"""Any user's pictures as 8-bit RGB: found, checked and decoded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from symbio.errors import SymbioError
from symbio.progress import say

ENDINGS = (".jpg", ".jpeg", ".png")

_FORMATS = ("JPEG", "PNG")
"""JPEG also opens the multi-picture files of cameras (MPO): their first picture."""
_PLAIN = ("RGB", "L", "1", "P")
_TRANSPARENT = ("RGBA", "LA", "PA")
_SIXTEEN_BIT = ("I;16", "I;16B", "I", "F")
_TURNED = (5, 6, 7, 8)
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture to predict. `name` is its place below the output folder, without ending."""

    path: Path
    name: str
    size: tuple[int, int]
    """Height and width in pixels, upright."""


def find_photos(inputs: Sequence[Path]) -> list[Photo]:
    """The pictures in `inputs`, files or folders (searched below); sizes from their headers.

    Two pictures that differ in their ending only keep it in their names. Depth maps (16-bit grey
    images) that lie among the pictures of a folder are passed over, which is said.

    Raises:
        SymbioError: nothing there, no picture in a folder, no picture at all, or two pictures
            would get the same name.
    """
    found: dict[Path, Path] = {}
    for given in inputs:
        found |= _below(given)
    stems = [place.with_suffix("") for place in found.values()]
    photos: dict[str, Photo] = {}
    for path, place in found.items():
        stem = place.with_suffix("")
        name = (place if stems.count(stem) > 1 else stem).as_posix()
        if name in photos:
            raise SymbioError(
                f"{path} and {photos[name].path} would both be written as {name!r}; "
                "predict them into different folders"
            )
        photos[name] = Photo(path, name, _upright_size(path))
    return list(photos.values())


def decode_photo(path: Path) -> NDArray[np.uint8]:
    """RGB (H, W, 3), upright as its EXIF orientation says.

    Grey becomes RGB; transparent pixels are laid on black; of 16 bits a colour the upper 8 stay.

    Raises:
        SymbioError: no picture, truncated, too large, CMYK, or a 16-bit grey image, which is
            a depth map rather than a photograph.
    """
    return _decoded(path, str(path))


def decode_upload(data: bytes, name: str, most_pixels: int) -> NDArray[np.uint8]:
    """As `decode_photo`, of a picture that is no file; `name` stands for it in messages.

    Raises:
        SymbioError: as `decode_photo`, or there are more than `most_pixels`, which is found
            before any of them is decoded.
    """
    return _decoded(io.BytesIO(data), name, most_pixels)


def _decoded(
    source: Path | io.BytesIO, name: str, most_pixels: int | None = None
) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(source, formats=_FORMATS) as image:
                mode = image.mode
                _check_mode(name, mode)
                if most_pixels is not None and image.width * image.height > most_pixels:
                    raise SymbioError(
                        f"{name}: has {image.width} x {image.height} pixels, more than "
                        f"{most_pixels / 1e6:g} million; make it smaller first"
                    )
                upright = ImageOps.exif_transpose(image)
                if mode in _TRANSPARENT or "transparency" in image.info:
                    upright = upright.convert("RGBA")
                    ground = Image.new("RGBA", upright.size, (0, 0, 0, 255))
                    upright = Image.alpha_composite(ground, upright)
                return np.array(upright.convert("RGB"), dtype=np.uint8)
        except SymbioError:
            raise
        except Exception as error:
            # Pillow raises many types (OSError, SyntaxError, struct.error, ...) on broken files.
            raise _no_picture(name, error) from error


def _check_mode(name: str, mode: str) -> None:
    if mode in _SIXTEEN_BIT:
        raise SymbioError(
            f"{name}: is a 16-bit grey image (mode {mode!r}), such as a depth map; "
            "give the photograph"
        )
    if mode not in (*_PLAIN, *_TRANSPARENT):
        raise SymbioError(
            f"{name}: has colour mode {mode!r}, whose colours need its profile; convert it to "
            "8-bit RGB first"
        )


def _below(given: Path) -> dict[Path, Path]:
    """Picture -> place in the output: the file's own name, or its path below a folder."""
    if given.is_file():
        return {given: Path(given.name)}
    if not given.is_dir():
        raise SymbioError(f"{given}: no such file or folder")
    paths = sorted(
        path
        for path in given.rglob("*")
        if path.suffix.lower() in ENDINGS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(given).parts)
    )
    depth_maps = [path for path in paths if _is_depth_map(path)]
    if len(depth_maps) == len(paths):
        but = f", only {len(paths)} depth maps (16-bit grey)" if paths else ""
        raise SymbioError(f"{given}: holds no picture ({', '.join(ENDINGS)}){but}")
    if depth_maps:
        number, first = len(depth_maps), depth_maps[0].relative_to(given)
        say(f"{given}: {number} depth maps (16-bit grey), first {first}, are passed over")
    passed_over = set(depth_maps)
    return {path: path.relative_to(given) for path in paths if path not in passed_over}


def _is_depth_map(path: Path) -> bool:
    """Whether it is a 16-bit grey image, as its header says; False for what is no image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_FORMATS) as image:
                return image.mode in _SIXTEEN_BIT
        except Exception:
            # Pillow raises many types on broken files; who reads its size names it.
            return False


def _upright_size(path: Path) -> tuple[int, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                turned = image.getexif().get(_ORIENTATION) in _TURNED
        except Exception as error:
            # Pillow raises many types (OSError, SyntaxError, struct.error, ...) on broken files.
            raise _no_picture(path, error) from error
    return (width, height) if turned else (height, width)


def _no_picture(name: object, error: Exception) -> SymbioError:
    # Pillow's own words for this name what it read from, which may be a buffer's address.
    why = "it is neither" if isinstance(error, UnidentifiedImageError) else error
    return SymbioError(f"{name}: cannot be read as a JPEG or PNG picture ({why})")
