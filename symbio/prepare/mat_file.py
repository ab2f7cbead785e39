"""nyu_depth_v2_labeled.mat: MATLAB v7.3, that is HDF5 with every axis reversed.

MATLAB's images 480x640x3xN are (N, 3, 640, 480) here, depths, rawDepths and labels (N, 640, 480).
Slices are read one frame at a time; cells of text are references to arrays of UTF-16 code units.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from symbio.errors import SymbioError

NAME = "nyu_depth_v2_labeled.mat"
_MILLIMETRES = (np.arange(65536) / 1000).astype(np.float32)
"""Every millimetre that uint16 holds, as float32 metres."""
_WHOLE_FILE = "fetch the file again (about 2.8 GB) from NYU's page of the data set"


class LabelledFile:
    """The labelled .mat, open for reading from any thread."""

    def __init__(self, path: Path) -> None:
        """Raises SymbioError if the file is missing, truncated, no HDF5, or lacks an array."""
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except FileNotFoundError as error:
            raise SymbioError(f"{path}: no such file") from error
        except OSError as error:
            raise SymbioError(
                f"{path}: is truncated or no HDF5 ({error}); {_WHOLE_FILE}"
            ) from error
        try:
            self._check_shapes()
            self.scenes = self._cell("scenes")
            self.scene_types = self._cell("sceneTypes")
        except Exception:
            self._file.close()
            raise

    def __len__(self) -> int:
        return int(self._file["images"].shape[0])

    @property
    def has_labels(self) -> bool:
        """Whether the file has the semantic labels."""
        return "labels" in self._file

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def at(self, array: str, index: int) -> str:
        """Names a slice in messages."""
        return f"{self.path}: {array}[{index}]"

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB of one frame, uint8 (H, W, 3)."""
        return np.ascontiguousarray(self._slice("images", index).transpose(2, 1, 0))

    def depth_mm(self, index: int, filled: bool) -> NDArray[np.uint16]:
        """Depth of one frame, uint16 (H, W) millimetres: the sensor's, or with holes filled in."""
        array = "depths" if filled else "rawDepths"
        metres = np.ascontiguousarray(self._slice(array, index).T)
        return to_millimetres(metres, self.at(array, index))

    def labels(self, index: int) -> NDArray[np.uint16]:
        """Class of each pixel, uint16 (H, W): 0 unlabelled, else 1..894."""
        return np.ascontiguousarray(self._slice("labels", index).T)

    def _slice(self, array: str, index: int) -> NDArray[Any]:
        try:
            values: NDArray[Any] = self._file[array][index]
        except OSError as error:
            raise SymbioError(
                f"{self.at(array, index)}: cannot be read ({error}); {_WHOLE_FILE}"
            ) from error
        return values

    def _check_shapes(self) -> None:
        needed = ("images", "depths", "rawDepths", "scenes", "sceneTypes")
        missing = [name for name in needed if name not in self._file]
        if missing:
            raise SymbioError(
                f"{self.path}: has no {', '.join(missing)}; found {', '.join(sorted(self._file))}. "
                f"Expected NYU's {NAME}"
            )
        images = self._file["images"]
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8:
            raise SymbioError(
                f"{self.path}: images are {images.dtype} {images.shape}, "
                "expected uint8 (N, 3, W, H)"
            )
        expected = (images.shape[0], *images.shape[2:])
        kinds = {"depths": np.float32, "rawDepths": np.float32, "labels": np.uint16}
        for name, kind in kinds.items():
            if name not in self._file:
                continue
            array = self._file[name]
            if array.shape != expected or array.dtype != kind:
                raise SymbioError(
                    f"{self.path}: {name} are {array.dtype} {array.shape}, expected "
                    f"{np.dtype(kind)} {expected}, as the images are {images.shape}"
                )

    def _cell(self, name: str) -> list[str]:
        try:
            references = np.asarray(self._file[name]).ravel()
            texts = [
                np.asarray(self._file[reference]).astype("<u2").tobytes().decode("utf-16-le")
                for reference in references
            ]
        except (OSError, ValueError, TypeError) as error:
            raise SymbioError(
                f"{self.path}: {name} cannot be read ({error}); {_WHOLE_FILE}"
            ) from error
        if len(texts) != len(self):
            raise SymbioError(f"{self.path}: {len(texts)} {name} for {len(self)} images")
        return texts


def to_millimetres(metres: NDArray[np.float32], source: str) -> NDArray[np.uint16]:
    """float32 metres (H, W) to uint16 millimetres; 0 = no measurement.

    A value that is the float32 nearest to a whole millimetre becomes that millimetre. Any other is
    cut towards 0, as BTS's extraction does (`depth * 1000` in float32, then uint16), so that scores
    on these frames are scores of the published protocol.

    Raises:
        SymbioError: a value is not finite, negative, or beyond 65.535 m.
    """
    low, high = float(metres.min()), float(metres.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0:
        raise SymbioError(f"{source}: depth {low} .. {high} m; expected finite, 0 or more")
    if high > _MILLIMETRES[-1]:
        raise SymbioError(
            f"{source}: depth reaches {high:.6g}, expected metres up to about 10; "
            "these look like millimetres: take the official file, or divide by 1000"
        )
    product = metres * np.float32(1000)
    nearest = np.rint(product).astype(np.uint16)
    return np.where(_MILLIMETRES[nearest] == metres, nearest, product.astype(np.uint16))
