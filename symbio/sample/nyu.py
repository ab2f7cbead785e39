"""The rooms as NYU-Depth-V2 ships: `nyu_depth_v2_labeled.mat` (MATLAB v7.3) and `splits.mat`.

A v7.3 file is HDF5 behind a 512-byte MATLAB header, with each variable's class as an attribute and
all axes reversed; cells are references to objects in `#refs#`. Frames come ready compressed, so
that worker processes share that cost and the writer only appends.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import nyu894_names
from symbio.data.draws import rng_for
from symbio.sample import ade
from symbio.sample.furnishing import SCENES
from symbio.sample.holes import framed, metres, millimetres, raw_depth
from symbio.sample.rooms import HEIGHT, WIDTH, render_room

LABELLED, SPLITS = "nyu_depth_v2_labeled.mat", "splits.mat"
STREAM = "sample-nyu"
"""The random stream of these frames."""

_FRAMES_A_SCENE = 4
_FIRST_TEST_SCENE = 5001
_HEADER = (
    b"MATLAB 7.3 MAT-file, Platform: GLNXA64, "
    b"Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."
)
_SPLITS_HEADER = b"MATLAB 5.0 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024"
_SLICES: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "images": ("u1", "uint8", (3, WIDTH, HEIGHT)),
    "depths": ("<f4", "single", (WIDTH, HEIGHT)),
    "rawDepths": ("<f4", "single", (WIDTH, HEIGHT)),
    "labels": ("<u2", "uint16", (WIDTH, HEIGHT)),
    "instances": ("u1", "uint8", (WIDTH, HEIGHT)),
}
"""Per variable: stored type, MATLAB class, shape of a frame as HDF5 sees it."""
_CODES = np.zeros(256, np.uint16)
_CODES[list(ade.NYU894)] = list(ade.NYU894.values())


@dataclass(frozen=True, slots=True)
class NyuFrame:
    """One frame, ready to append: zlib streams by variable, and its texts."""

    slices: dict[str, bytes]
    scene_type: str
    scene: str
    clock: str


def scene_of(index: int, num_train: int) -> tuple[str, str]:
    """Scene type and name of a frame: four in a row share one, training and test frames none."""
    first, place = (1, index) if index < num_train else (_FIRST_TEST_SCENE, index - num_train)
    scene = place // _FRAMES_A_SCENE
    kind = SCENES[scene % len(SCENES)]
    return kind, f"{kind}_{first + scene // len(SCENES):04d}"


def nyu_frame(seed: int, index: int, num_train: int) -> NyuFrame:
    """Render frame `index` of the sample with this seed, training frames first.

    Every frame is a room of its own: frames of a scene share the kind of room, not the place.
    """
    rng = rng_for(seed, STREAM, index)
    kind, scene = scene_of(index, num_train)
    frame = render_room(rng, scene=kind)
    arrays: dict[str, NDArray[Any]] = {
        "images": framed(frame.image),
        "depths": metres(millimetres(frame.depth)),
        "rawDepths": raw_depth(frame, rng),
        "labels": _CODES[frame.semantic],
        "instances": instances(frame.semantic),
    }
    slices = {
        name: zlib.compress(np.ascontiguousarray(array.T.astype(_SLICES[name][0])).tobytes(), 1)
        for name, array in arrays.items()
    }
    return NyuFrame(
        slices, kind, scene, f"{1294886360.2 + index / 3:.6f}-{2996770081 + 20000000 * index}"
    )


def instances(semantic: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Number, from 1 in each class, of the connected patch that each pixel (H, W) belongs to."""
    out = np.zeros(semantic.shape, np.uint8)
    for label in np.unique(semantic):
        mask = semantic == label
        _, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        out[mask] = np.minimum(numbers[mask], 255)
    return out


def write_nyu(folder: Path, frames: Iterable[NyuFrame], num_train: int, num_test: int) -> None:
    """Write both files into an existing folder.

    Args:
        folder: where they go; the caller makes it appear whole.
        frames: `num_train + num_test` frames, in order.
        num_train: the first frames are the training split.
        num_test: the others are the test split.
    """
    total = num_train + num_test
    path = folder / LABELLED
    texts: dict[str, list[str]] = {
        "scenes": [],
        "sceneTypes": [],
        "rawDepthFilenames": [],
        "rawRgbFilenames": [],
    }
    with h5py.File(path, "w", userblock_size=512, libver=("earliest", "v108")) as file:
        for name, (kind, matlab, shape) in _SLICES.items():
            data = file.create_dataset(
                name,
                (total, *shape),
                kind,
                chunks=(1, *shape),
                compression="gzip",
                compression_opts=1,
            )
            _set_class(data, matlab)
        count = 0
        for count, frame in enumerate(frames, 1):
            for name, stream in frame.slices.items():
                place = (count - 1, *(0 for _ in _SLICES[name][2]))
                file[name].id.write_direct_chunk(place, stream)
            texts["scenes"].append(frame.scene)
            texts["sceneTypes"].append(frame.scene_type)
            texts["rawDepthFilenames"].append(f"{frame.scene}/d-{frame.clock}.pgm")
            texts["rawRgbFilenames"].append(f"{frame.scene}/r-{frame.clock}.ppm")
        assert count == total
        acceleration = np.tile(np.array([[0.0], [-0.98], [-0.17], [0.0]], np.float32), (1, total))
        _set_class(file.create_dataset("accelData", data=acceleration), "single")
        for name, values in (*texts.items(), ("names", list(nyu894_names()))):
            _write_cell(file, name, values)
    _write_header(path)
    _write_splits(folder / SPLITS, num_train, total)


def _set_class(data: h5py.Dataset, matlab: str) -> None:
    data.attrs["MATLAB_class"] = np.bytes_(matlab)


def _write_cell(file: h5py.File, name: str, values: list[str]) -> None:
    """A MATLAB cell of texts (N x 1): references (1, N) to UTF-16 code units (length, 1)."""
    pool = file.require_group("#refs#")
    references = np.empty((1, len(values)), dtype=h5py.ref_dtype)
    for i, text in enumerate(values):
        units = np.frombuffer(text.encode("utf-16-le"), "<u2")[:, None]
        stored = pool.create_dataset(f"{name}{i}", data=units)
        _set_class(stored, "char")
        stored.attrs["MATLAB_int_decode"] = np.int32(2)
        references[0, i] = stored.ref
    cell = file.create_dataset(name, data=references, dtype=h5py.ref_dtype)
    _set_class(cell, "cell")


def _write_header(path: Path) -> None:
    """MATLAB's header: 116 characters, 8 zero bytes, version 2.0 and the byte order mark."""
    header = _HEADER.ljust(116) + bytes(8) + (0x0200).to_bytes(2, "little") + b"IM"
    with path.open("r+b") as file:
        file.write(header)


def _write_splits(path: Path, num_train: int, total: int) -> None:
    import scipy.io

    numbers = np.arange(1, total + 1, dtype=np.uint16)[:, None]
    scipy.io.savemat(path, {"trainNdxs": numbers[:num_train], "testNdxs": numbers[num_train:]})
    # scipy writes the clock into the header's text; the same sample is the same bytes.
    with path.open("r+b") as file:
        file.write(_SPLITS_HEADER.ljust(116))
