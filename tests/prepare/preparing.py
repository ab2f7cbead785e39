"""Runs prepare in a temporary folder and reads the result with other readers."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from symbio.data.images import decode_depth, decode_labels, decode_rgb
from symbio.data.members import member
from symbio.data.shard_writer import SHARD_BYTES
from symbio.params import DatasetParams, SampleParams
from symbio.prepare.prepare import prepare

RANGES = {"nyu": (0.001, 10.0), "kitti": (0.001, 80.0), "mine": (0.3, 12.0)}


def section(dataset: str, **changes: Any) -> DatasetParams:
    """A data set's params."""
    values: dict[str, Any] = {
        "raw": "raw",
        "image_size": (64, 64),
        "depth_range": RANGES[dataset],
        "protocol": "none",
        "val_share": 0.3,
        "sample": SampleParams(train=1, test=1),
    }
    return DatasetParams(**{**values, **changes})


@dataclass(frozen=True)
class Prepared:
    """A prepared folder, read with tarfile, json and Pillow, not with symbio."""

    folder: Path
    report: dict[str, Any]

    @property
    def index(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "index.json").read_text())
        return loaded

    @property
    def splits(self) -> dict[str, list[str]]:
        splits: dict[str, list[str]] = self.index["splits"]
        return splits

    def info(self, key: str) -> dict[str, Any]:
        info: dict[str, Any] = self.index["frames"][key]["info"]
        return info

    def members(self, key: str) -> dict[str, bytes]:
        """Members of one frame: ending -> bytes."""
        found = {}
        for path in sorted(self.folder.glob("*.tar")):
            with tarfile.open(path) as tar:
                for entry in tar.getmembers():
                    if entry.name.startswith(key + "."):
                        file = tar.extractfile(entry)
                        assert file is not None
                        found[entry.name.removeprefix(key + ".")] = file.read()
        return found

    def frames(self) -> dict[str, dict[str, dict[str, bytes]]]:
        """Members of every frame of each split, as they are now."""
        return {
            split: {key: self.members(key) for key in keys} for split, keys in self.splits.items()
        }

    def pixels(self, key: str, kind: str) -> NDArray[Any]:
        """The image, depth or truth of a frame, decoded."""
        decode = {"image": decode_rgb, "depth": decode_depth, "truth": decode_labels}[kind]
        data = member(self.members(key), kind)
        assert data is not None, f"{key} has no {kind}"
        return decode(data, kind)

    def bytes(self) -> dict[str, bytes]:
        """Every file of the folder."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}


class Preparer:
    """Runs prepare in a temporary folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.raw = tmp_path / "raw"
        self.out = tmp_path / "data" / "prepared"
        self.work = tmp_path / "work"
        self.raw.mkdir()

    def run(
        self, dataset: str, workers: int = 2, shard_bytes: int = SHARD_BYTES, **changes: Any
    ) -> Prepared:
        params = section(dataset, **changes)
        report = prepare(params, dataset, self.raw, self.out, self.work, workers, shard_bytes)
        return Prepared(self.out, report)

    def nothing_written(self) -> bool:
        """Neither the folder nor a leftover of it exists."""
        return not self.out.parent.exists() or not list(self.out.parent.iterdir())
