"""What one rank has to write of a checkpoint: taken in a moment, written while training goes on.

DeepSpeed's `save_checkpoint` gathers the state, with barriers and, under ZeRO-3, exchanges among
the ranks; all of that stays in the main thread. Only its call to write a file is intercepted:
either the content is copied to host memory, so that no later step can change it, and written by
a thread; or, where the memory for a copy is not there, written on the spot.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

import safetensors.torch
import torch
from torch import Tensor

from symbio.train.checkpoints.checkpoint import AVERAGE, BUFFERS, STATE, State
from symbio.train.checkpoints.manifest import HashedFile

Dump = Callable[[IO[bytes]], object]
"""Writes the content of one file."""


class Share:
    """The files of a checkpoint that this rank writes; what fails is kept and not raised."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, dict[str, Any]] = {}
        """Manifest entries of the files written, by name relative to the folder."""
        self.problem: str | None = None
        """The first thing that went wrong, in words."""
        self.num_bytes = 0
        """Written so far; a thread's progress."""
        self.seconds = 0.0

    def write(self, name: str, dump: Dump) -> None:
        """Write, hash and sync one file, unless something failed before."""
        if self.problem is not None:
            return
        start = time.perf_counter()
        try:
            self.entries[name] = self._written(name, dump)
        except Exception as error:
            # Also what torch makes of a full disk: RuntimeError("unexpected pos ...").
            self.problem = f"{self.folder / name}: {_cause(error)}"
        self.seconds += time.perf_counter() - start

    def _written(self, name: str, dump: Dump) -> dict[str, Any]:
        file = HashedFile(self.folder / name, self._count)
        try:
            dump(cast(IO[bytes], file))
            return file.close()
        finally:
            file.abandon()

    def _count(self, num_bytes: int) -> None:
        self.num_bytes += num_bytes


class NoMemory(Exception):
    """There is no memory for a copy of what is to be written."""


def gathered(engine: Any, folder: Path, tag: str, take: Callable[[str, Any], None]) -> None:
    """Let DeepSpeed gather its state and hand each file's name and content to `take`. Collective.

    Args:
        engine: DeepSpeed's.
        folder: where DeepSpeed is told to save; `folder`/`tag` exists.
        tag: DeepSpeed's name of the checkpoint.
        take: gets a file's name relative to `folder` and its content; must not raise, for the
            other ranks are waiting in DeepSpeed's barriers.
    """
    files = engine.checkpoint_engine

    def save(state_dict: Any, path: str) -> None:
        take(str(Path(path).relative_to(folder)), state_dict)

    files.save = save
    engine._copy_recovery_script = _no_script
    try:
        engine.save_checkpoint(str(folder), tag=tag, save_latest=False)
    finally:
        del files.save, engine._copy_recovery_script


def copied(content: Any) -> Any:
    """A copy in host memory that shares nothing with `content`.

    Containers are rebuilt and each view gets memory of its own size, not that of the flat buffer
    it looks into; what is one tensor in `content` stays one.

    Raises:
        NoMemory: there is no memory for it.
    """
    try:
        return _copied(content, {})
    except (MemoryError, RuntimeError) as error:
        raise NoMemory(str(error)) from error


def _copied(value: Any, seen: dict[Any, Tensor]) -> Any:
    if isinstance(value, Tensor):
        # `content` keeps every tensor alive meanwhile, so an address names one of them.
        place = (value.data_ptr(), value.dtype, value.shape, value.stride(), value.device)
        if value.numel() == 0 or place not in seen:
            seen[place] = value.detach().to("cpu", copy=True)
        return seen[place]
    if isinstance(value, dict):
        rebuilt = copy.copy(value)  # of its own class: state dicts carry versions beside the keys
        for key, inner in value.items():
            rebuilt[key] = _copied(inner, seen)
        return rebuilt
    if type(value) in (list, tuple):
        return type(value)(_copied(inner, seen) for inner in value)
    return copy.deepcopy(value)


def torch_file(content: Any) -> Dump:
    """A file in torch's format."""
    return lambda file: torch.save(content, file)


def own_files(
    state: State, buffers: dict[str, Tensor], average: dict[str, Tensor] | None
) -> dict[str, Dump]:
    """What rank 0 writes beside DeepSpeed's shards."""
    files = {STATE: _json_file(asdict(state)), BUFFERS: _safetensors_file(buffers)}
    if average is not None:
        files[AVERAGE] = _safetensors_file(average)
    return files


def _json_file(value: dict[str, Any]) -> Dump:
    return lambda file: file.write(json.dumps(value, indent=1, sort_keys=True).encode())


def _safetensors_file(tensors: dict[str, Tensor]) -> Dump:
    return lambda file: file.write(safetensors.torch.save(tensors))


def _no_script(save_path: str) -> None:
    """DeepSpeed copies a script beside its shards; a full disk there would strand the ranks."""


def _cause(error: BaseException) -> str:
    """The error in words; that of the disk, where torch wrapped another around it."""
    while error.__context__ is not None and not isinstance(error, OSError):
        error = error.__context__
    return f"{type(error).__name__}: {error}"
