"""The stage `label`: data/prepared/{d} in, data/pseudo/{d} out."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symbio.data.classes import maps_sha256
from symbio.data.shards import Shards, ShardWriter
from symbio.errors import SymbioError
from symbio.files import whole_folder
from symbio.label.chunks import chunk_path, chunks_of, read_chunk
from symbio.label.label import Job, label_chunks
from symbio.label.measure import DEPTH_EDGES_M
from symbio.label.quality import Quality, write_quality
from symbio.label.teacher import find_folder, teacher_files
from symbio.params import Params, TeacherParams
from symbio.progress import say

_VERSION = 1
"""Raised when the same settings begin to give other labels or measures."""


def run(params: Params, dataset: str, root: Path = Path(".")) -> dict[str, Any]:
    """Write a pseudo-label for each frame of every split, and a report on their quality.

    Interrupted, it keeps the finished chunks beside the output and goes on from there, unless
    teacher, settings or frames have changed. The number of processes (SYMBIO_RANKS) changes
    nothing in the result.

    Args:
        params: the section `teacher`.
        dataset: "nyu" or "kitti".
        root: the project's folder.

    Returns:
        The content of quality.json.

    Raises:
        SymbioError: something is missing or broken, or another run labels the same data set.
    """
    params.dataset(dataset)
    prepared = Shards(root / "data" / "prepared" / dataset)
    out = root / "data" / "pseudo" / dataset
    files = teacher_files(find_folder(params.teacher.model, root))
    settings = params.teacher.model_dump(mode="json")
    # Frames of a batch are computed together, which may move a last bit: batch is part of it.
    made_from = {
        "version": _VERSION,
        "teacher": files,
        "settings": settings,
        "prepared": prepared.digest(),
        "maps": maps_sha256(),
    }
    name = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    with _work_folder(root / "data" / f".label-{dataset}", name) as work:
        chunks = chunks_of(list(prepared.keys()))
        label_chunks(Job(prepared.folder, work, params.teacher, root), chunks)
        header = {
            "dataset": dataset,
            "teacher": {"name": params.teacher.model, "files_sha256": files},
            "settings": settings,
            "prepared_sha256": prepared.digest(),
        }
        found = _assemble(out, work, chunks, prepared, params.teacher, header)
        shutil.rmtree(work.parent, ignore_errors=True)
    say(f"{out}: {found['num_frames']} frames, {found['kept_share']:.1%} of the pixels kept")
    return found


def _assemble(
    out: Path,
    work: Path,
    chunks: list[list[str]],
    prepared: Shards,
    teacher: TeacherParams,
    header: dict[str, Any],
) -> dict[str, Any]:
    """Shards in the order of the prepared splits, and the report, as one folder."""
    split_of = {key: split for split, keys in prepared.splits.items() for key in keys}
    edges_m = DEPTH_EDGES_M[prepared.header["dataset"]]
    quality = Quality(prepared.header["label_space"], edges_m, teacher.min_confidence)
    with whole_folder(out) as folder:
        writer = ShardWriter(folder)
        for number, keys in enumerate(chunks):
            path = chunk_path(work, number)
            frames = read_chunk(path, keys)
            if frames is None:
                raise SymbioError(f"{path}: was damaged after it was written; run again to redo it")
            for frame in frames:
                members = {"class.png": frame.label, "confidence.png": frame.confidence}
                info = {"height": frame.size[0], "width": frame.size[1]}
                writer.add(split_of[frame.key], frame.key, members, info)
                quality.add(split_of[frame.key], frame.key, frame.measures)
        writer.close(header)
        return write_quality(folder, quality, prepared, header)


@contextlib.contextmanager
def _work_folder(parent: Path, name: str) -> Iterator[Path]:
    """`parent`/`name`, held by this run alone; what other settings left there is removed."""
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SymbioError(
                f"{parent}: another `symbio label` is at work there; wait for it or stop it"
            ) from error
        for other in parent.iterdir():
            if other.is_dir() and other.name != name:
                shutil.rmtree(other, ignore_errors=True)
        work = parent / name
        work.mkdir(parents=True, exist_ok=True)
        yield work
