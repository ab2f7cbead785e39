"""Depth and semantics of any pictures, as files for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.images import encode_png
from symbio.errors import SymbioError
from symbio.files import read_json, whole_folder, write_json
from symbio.model.inference import infer
from symbio.model.network import SymbioticNetwork
from symbio.model.saved import spoken
from symbio.pictures import colour_depth, legend, overlay
from symbio.predict.cloud import focal_length, write_ply
from symbio.predict.photo import Photo, decode_photo, find_photos
from symbio.progress import say, track

INDEX = "predictions.json"
MAX_MILLIMETRES = int(np.iinfo(np.uint16).max)

_BATCH = 4
_BATCH_PIXELS = 4_000_000
_STRETCH = 1.5
_WIDEST_NAMED = 5


def predict(
    network: SymbioticNetwork,
    card: dict[str, Any],
    inputs: Sequence[Path],
    out: Path,
    *,
    ply: bool = False,
    focal_px: float | None = None,
) -> dict[str, Any]:
    """Predict pictures and write the folder `out`, whole or not at all.

    For each picture: `_depth.png` (16-bit, millimetres; what lies beyond 65.535 m says 65535),
    `_depth_colour.png`, and of networks with semantics `_semantic.png` (8-bit, the classes that
    the network was trained on) and `_overlay.png` (classes over the picture, with a legend); with
    `ply` also a point cloud, `.ply`. All have the picture's size. `predictions.json` lists them.

    Args:
        network: in evaluation mode.
        card: what the model says about itself.
        inputs: pictures, or folders of pictures; pictures below a folder keep their place.
        out: must not exist, be empty, or hold earlier predictions, which are replaced.
        ply: write point clouds.
        focal_px: focal length of the pictures' camera; None: that of the model's data set.

    Returns:
        The content of predictions.json.

    Raises:
        SymbioError: a picture cannot be read, or `out` holds something else.
    """
    photos = find_photos(inputs)
    _check_out(out, photos)
    if ply or focal_px is not None:
        focal_length(card, photos[0].size[1], focal_px)
    _warn_of_shapes(network, photos)
    entries = []
    with whole_folder(out) as folder:
        for photo, image, depth_m, classes in track(
            _predictions(network, photos), "predict", total=len(photos)
        ):
            focal = focal_length(card, image.shape[1], focal_px) if ply else None
            entry = _write(folder, photo, image, depth_m, classes, card, focal)
            entries.append(entry)
        space = spoken(card)
        index = {
            "model": {
                **{key: card.get(key) for key in ("dataset", "weights_sha256", "depth_range")},
                "class_space": None if space is None else space.name,
            },
            "pictures": sorted(entries, key=lambda entry: str(entry["name"])),
        }
        write_json(folder / INDEX, index)
    clamped = sum(entry["num_pixels_clamped"] for entry in entries)
    if clamped:
        say(
            f"{clamped} pixels lie beyond {MAX_MILLIMETRES / 1000} m, the largest depth that "
            "16 bits of millimetres hold: they say 65535"
        )
    return index


def millimetres(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depth as 16 bits hold it; what lies beyond 65.535 m says 65535."""
    return _rounded(depth_m).clip(0, MAX_MILLIMETRES).astype(np.uint16)


def is_stretched(network: SymbioticNetwork, size: tuple[int, int]) -> bool:
    """Whether a picture of `size` (height, width) has a shape far from that trained on."""
    height, width = network.image_size
    return not 1 / _STRETCH < size[1] / size[0] / (width / height) < _STRETCH


def _predictions(
    network: SymbioticNetwork, photos: list[Photo]
) -> Iterator[tuple[Photo, NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8] | None]]:
    """Each picture with its depth and classes; pictures of one size go through together."""
    for batch in _batches(photos):
        images = [decode_photo(photo.path) for photo in batch]
        found = infer(network, np.stack(images))
        for index, (photo, image) in enumerate(zip(batch, images, strict=True)):
            classes = None if found.classes is None else found.classes[index]
            yield photo, image, found.depth_m[index], classes


def _batches(photos: list[Photo]) -> Iterator[list[Photo]]:
    by_size: dict[tuple[int, int], list[Photo]] = {}
    for photo in photos:
        by_size.setdefault(photo.size, []).append(photo)
    for (height, width), same in by_size.items():
        most = max(1, min(_BATCH, _BATCH_PIXELS // (height * width)))
        for start in range(0, len(same), most):
            yield same[start : start + most]


def _write(
    folder: Path,
    photo: Photo,
    image: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    classes: NDArray[np.uint8] | None,
    card: dict[str, Any],
    focal_px: float | None,
) -> dict[str, Any]:
    """Write one picture's files; its entry in predictions.json."""
    low, high = (float(limit) for limit in card["depth_range"])
    files: dict[str, NDArray[np.uint8] | NDArray[np.uint16]] = {
        "depth.png": millimetres(depth_m),
        "depth_colour.png": colour_depth(depth_m, low, high),
    }
    entry: dict[str, Any] = {
        "name": photo.name,
        "source": str(photo.path),
        "size": list(depth_m.shape),
        "depth_m": {"min": float(depth_m.min()), "max": float(depth_m.max())},
        "num_pixels_clamped": int((_rounded(depth_m) > MAX_MILLIMETRES).sum()),
    }
    space = spoken(card)
    if classes is not None and space is not None:
        names = space.names
        strip = legend(classes, names, image.shape[1])
        files["semantic.png"] = classes
        files["overlay.png"] = np.vstack([overlay(image, classes), strip])
        entry["classes"] = _shares(classes, names)
    stem = folder / photo.name
    stem.parent.mkdir(parents=True, exist_ok=True)
    for ending, array in files.items():
        stem.with_name(f"{stem.name}_{ending}").write_bytes(encode_png(array))
    if focal_px is not None:
        entry["focal_px"] = focal_px
        entry["num_points"] = write_ply(
            stem.with_name(f"{stem.name}.ply"), image, depth_m, focal_px
        )
    return entry


def _rounded(depth_m: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.round(depth_m.astype(np.float64) * 1000)


def _shares(classes: NDArray[np.uint8], names: Sequence[str]) -> dict[str, float]:
    """The most frequent classes and their share of the pixels."""
    counts = np.bincount(classes.ravel(), minlength=len(names))
    widest = np.argsort(-counts, kind="stable")[:_WIDEST_NAMED]
    return {names[c]: round(float(counts[c] / classes.size), 4) for c in widest if counts[c]}


def _check_out(out: Path, photos: list[Photo]) -> None:
    """Never replace a folder that holds anything but earlier predictions, or the pictures."""
    here = out.resolve()
    if out.exists() and not out.is_dir():
        raise SymbioError(f"{out}: is a file; give a folder for the predictions")
    if any(photo.path.resolve().is_relative_to(here) for photo in photos):
        raise SymbioError(f"{out}: holds the pictures themselves; give another folder with --out")
    if out.is_dir() and any(out.iterdir()):
        index = out / INDEX
        if not index.is_file() or "pictures" not in read_json(index, "earlier predictions"):
            raise SymbioError(
                f"{out}: is not empty and holds no earlier predictions; give a new folder "
                "with --out"
            )


def _warn_of_shapes(network: SymbioticNetwork, photos: list[Photo]) -> None:
    odd = [photo for photo in photos if is_stretched(network, photo.size)]
    if odd:
        height, width = network.image_size
        say(
            f"{len(odd)} pictures, first {odd[0].path}, have a shape far from the "
            f"{width}:{height} that the model was trained on: expect worse results; "
            "crop them for better ones"
        )
