"""The stage `label`: data/prepared/{d} in, data/pseudo/{d} out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from symbio.data.classes import maps_sha256
from symbio.data.shards import Shards, ShardWriter
from symbio.errors import SymbioError
from symbio.files import whole_folder
from symbio.held_folder import held_folder
from symbio.label.chunks import chunk_path, chunks_of, read_chunk
from symbio.label.measure import depth_edges_m
from symbio.label.quality import Quality, write_quality
from symbio.label.rank import Task, label_rank, todo_of
from symbio.label.source import find_folder, teacher_files
from symbio.label.written import check_written, written_labels
from symbio.params import Params, TeacherParams
from symbio.progress import say
from symbio.ranks.ending import OutOfMemory
from symbio.ranks.launch import launch
from symbio.ranks.local import Work
from symbio.ranks.settings import (
    RANK_MEMORY_VARIABLE,
    STEP_TIMEOUT_VARIABLE,
    Settings,
    settings_from,
)
from symbio.tell import TELL_VARIABLE

_VERSION = 2
"""Raised when the same settings begin to give other labels or measures."""


def run(
    params: Params, dataset: str, root: Path = Path("."), settings: Settings | None = None
) -> dict[str, Any] | None:
    """Write a pseudo-label for each frame of every split, and a report on their quality.

    Interrupted, it keeps the finished chunks beside the output and goes on from there, unless
    teacher, settings or frames have changed. On how many ranks and hosts it runs changes nothing
    in the result.

    Args:
        params: the section `teacher`.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder, on a disk that all hosts share.
        settings: on which ranks and hosts; None: as the environment says.

    Returns:
        The content of quality.json; None on a host that only joined (`node_rank` above 0).

    Raises:
        SymbioError: something is missing or broken, or another run labels the same data set;
            its exit_code is 75 if the same command goes on.
    """
    params.dataset(dataset)
    settings = settings or settings_from(root=root)
    if settings.node_rank > 0:
        _launch(dataset, root, root, settings)
        return None
    prepared = Shards(root / "data" / "prepared" / dataset)
    out = root / "data" / "pseudo" / dataset
    made_from = {
        "version": _VERSION,
        "teacher": _teacher_sha256(params.teacher, root, prepared),
        # Frames of a batch are computed together, which may move a last bit: batch is among them.
        "settings": params.teacher.model_dump(mode="json"),
        "prepared": prepared.digest(),
        "maps": maps_sha256(),
    }
    name = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    with held_folder(root / "data" / f".label-{dataset}", name, "label") as work:
        chunks = chunks_of(list(prepared.keys()))
        _label(Task(root, dataset, work, params.teacher, made_from), chunks, settings)
        header = {
            "dataset": dataset,
            "teacher": {"name": params.teacher.model, "files_sha256": made_from["teacher"]},
            "settings": made_from["settings"],
            "prepared_sha256": prepared.digest(),
        }
        found = _assemble(out, work, chunks, prepared, params.teacher, header)
        shutil.rmtree(work.parent, ignore_errors=True)
    say(f"{out}: {found['num_frames']} frames, {found['kept_share']:.1%} of the pixels kept")
    return found


def _teacher_sha256(teacher: TeacherParams, root: Path, prepared: Shards) -> dict[str, str]:
    """What the labels come from, by content."""
    written = written_labels(teacher.model, root)
    if written is None:
        return teacher_files(find_folder(teacher.model, root))
    if teacher.flip_average or teacher.image_size is not None:
        raise SymbioError(
            "teacher.flip_average and teacher.image_size do nothing to labels that were written "
            f"elsewhere ({teacher.model}): take them out"
        )
    return check_written(written, prepared)


def _label(task: Task, chunks: list[list[str]], settings: Settings) -> None:
    """Have all chunks done, in this process or by ranks of their own."""
    todo = todo_of(task.work, chunks)
    if not todo and settings.nodes == 1:
        return  # with several, the others would wait for a roll-call that never comes
    if settings.nodes == 1 and settings.hostfile is None:
        settings = replace(settings, ranks=min(settings.ranks, len(todo)))
        if settings.ranks == 1:
            label_rank(task)
            return
    task.write()
    _launch(task.dataset, task.root, task.work, settings)


def _launch(dataset: str, root: Path, work: Path, settings: Settings) -> None:
    """Run `python -m symbio.label` on all ranks to its end; node 0 says in which work folder."""
    environment = {
        name: os.environ[name]
        for name in (STEP_TIMEOUT_VARIABLE, TELL_VARIABLE)
        if name in os.environ
    }
    if settings.rank_memory is not None:
        environment[RANK_MEMORY_VARIABLE] = str(settings.rank_memory)
    arguments = [dataset, "--root", str(root), "--work", str(work)]
    verdict = launch(
        Work(f"label {dataset}", "symbio.label", arguments, environment), settings, root
    )
    if verdict.out_of_memory:
        raise OutOfMemory(
            f"{verdict.message}; lower teacher.batch or teacher.image_size, or use fewer ranks a "
            "host",
            verdict.peak_bytes,
        )
    if verdict.message is not None or verdict.code != 0:
        message = verdict.message or "stopped; finished chunks are kept: the same command goes on"
        raise SymbioError(message, verdict.code)


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
    edges_m = depth_edges_m(prepared.header)
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
                sizes = len(frame.label), len(frame.confidence)
                quality.add(split_of[frame.key], frame.key, frame.measures, sizes)
        writer.close(header)
        return write_quality(folder, quality, prepared, header)
