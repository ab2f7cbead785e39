"""Writing checkpoints beside training: a moment's copy, a thread that writes, one rename.

At a checkpoint's step every rank copies what it has to write and trains on, while a thread
writes, hashes and syncs the files into a hidden folder. When the threads of all ranks are done,
which the ranks learn from the exchange that each step makes anyway, rank 0 seals the folder with
its manifest, gives it its name and drops the oldest. Until then the checkpoint before it is the
newest: a kill at any moment leaves that one or the new one.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symbio.errors import SymbioError
from symbio.files import write_json
from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.train.checkpoints import manifest
from symbio.train.checkpoints.checkpoint import POINTER, SHARDS, State, folder_of, steps_in
from symbio.train.checkpoints.snapshot import (
    Dump,
    NoMemory,
    Share,
    copied,
    gathered,
    own_files,
    torch_file,
)
from symbio.train.weights import saved_buffers

_SPARE_BYTES = 16 * 2**20
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a checkpoint; the same on all ranks."""

    step: int
    problem: str | None
    """Why it does not stand; None: it does."""
    stall_s: float
    """Seconds that training waited for it."""
    write_s: float
    """Seconds that the slowest rank wrote."""
    num_bytes: int


@dataclass
class _Pending:
    """A checkpoint on its way."""

    step: int
    share: Share
    thread: threading.Thread | None
    problem: str | None
    """Known to all ranks before anything was written."""
    stall_s: float

    @property
    def done(self) -> bool:
        return self.thread is None or not self.thread.is_alive()


class Writer:
    """Writes the checkpoints of a run, one at a time."""

    def __init__(self, run: Path, place: Place, device: torch.device, keep: int) -> None:
        """`keep` checkpoints stay, the newest."""
        self._run = run
        self._place = place
        self._device = device
        self._keep = keep
        self._pending: _Pending | None = None

    @property
    def written(self) -> bool:
        """Whether this rank has written its share of a checkpoint that has no name yet."""
        return self._pending is not None and self._pending.done

    def begin(
        self, state: State, engine: Any, averaged: Callable[[], dict[str, Tensor] | None]
    ) -> bool:
        """Copy what this rank has to write and start writing. Collective; none may be pending.

        A disk that will be full costs this checkpoint only. Without memory for the copy the
        files are written before this returns, which is said.

        Args:
            state: of the run.
            engine: DeepSpeed's.
            averaged: gives rank 0 the averaged weights, if there are such; collective.

        Returns:
            Whether it is being written; if not, `finish` has something to say at once.
        """
        assert self._pending is None, "one checkpoint at a time"
        start = time.perf_counter()
        aside = self._aside(state.step)
        share, thread = Share(aside), None
        problem = None
        if self._place.first:
            problem = _attempt(lambda: self._make_room(aside, engine))
        problem = group.from_first(problem)
        if problem is None:
            average = averaged()
            files = self._copy(aside, state, engine, average)
            if files is None:
                self._write_now(share, state, engine, average)
            else:
                thread = threading.Thread(
                    target=_write_all, args=(share, files), name="checkpoint", daemon=True
                )
                thread.start()
        stall_s = time.perf_counter() - start
        self._pending = _Pending(state.step, share, thread, problem, stall_s)
        return thread is not None

    def finish(self, beat: Callable[[str], None]) -> Outcome | None:
        """Wait for the pending checkpoint, if there is one, and give it its name. Collective.

        Args:
            beat: called while some rank's writing gets on.

        Returns:
            What became of it, the same on all ranks; None where none was pending.
        """
        pending = self._pending
        if pending is None:
            return None
        start = time.perf_counter()
        self._wait(pending, beat)
        share = pending.share
        every = group.gather((share.problem, share.entries, share.seconds))
        problem = pending.problem or next((said for said, _, _ in every if said), None)
        files = {name: entry for _, entries, _ in every for name, entry in entries.items()}
        if self._place.first:
            if problem is None:
                problem = _attempt(lambda: self._publish(pending.step, files))
            if problem is not None:
                shutil.rmtree(share.folder, ignore_errors=True)
                say(f"CHECKPOINT of step {pending.step} NOT written, training goes on: {problem}")
        problem = group.from_first(problem)
        self._pending = None
        return Outcome(
            pending.step,
            problem,
            stall_s=pending.stall_s + time.perf_counter() - start,
            write_s=max(seconds for _, _, seconds in every),
            num_bytes=sum(entry["bytes"] for entry in files.values()),
        )

    def _copy(
        self, aside: Path, state: State, engine: Any, average: dict[str, Tensor] | None
    ) -> dict[str, Dump] | None:
        """The files of this rank, from memory of their own; None if any rank has none for it."""
        files: dict[str, Dump] = {}
        problem: str | None = None

        def take(name: str, content: Any) -> None:
            nonlocal problem
            if problem is None:
                try:
                    files[name] = torch_file(copied(content))
                except NoMemory as error:
                    problem = str(error)

        gathered(engine, aside, SHARDS, take)
        if self._place.first and problem is None:
            try:
                files |= own_files(state, copied(saved_buffers(engine.module)), average)
            except NoMemory as error:
                problem = str(error)
        problems = [text for text in group.gather(problem) if text is not None]
        if problems and self._place.first:
            say(
                f"no memory to copy the checkpoint of step {state.step}: training waits while it "
                f"is written ({problems[0]})"
            )
        return None if problems else files

    def _write_now(
        self, share: Share, state: State, engine: Any, average: dict[str, Tensor] | None
    ) -> None:
        gathered(
            engine,
            share.folder,
            SHARDS,
            lambda name, content: share.write(name, torch_file(content)),
        )
        if self._place.first:
            _write_all(share, own_files(state, saved_buffers(engine.module), average))

    def _wait(self, pending: _Pending, beat: Callable[[str], None]) -> None:
        """Return when every rank has written; no rank is left alone in a long exchange."""
        before = -1.0
        while True:
            if pending.thread is not None:
                pending.thread.join(_LOOK_EVERY_S)
            mine = [float(pending.done), float(pending.share.num_bytes)]
            counts = torch.tensor(mine, dtype=torch.float64, device=self._device)
            done, num_bytes = group.total(counts).tolist()
            if done == self._place.world:
                return
            if num_bytes != before:
                beat("checkpoint")
            before = num_bytes

    def _aside(self, step: int) -> Path:
        return self._run / f".{folder_of(self._run, step).name}.part"

    def _make_room(self, aside: Path, engine: Any) -> None:
        for leftover in self._run.glob(".step-*.part"):
            shutil.rmtree(leftover)
        need, free = _bytes_needed(self._run, engine), shutil.disk_usage(self._run).free
        if free < need + _SPARE_BYTES:
            raise SymbioError(
                f"{self._run}: a checkpoint needs {need / 2**20:.0f} MiB, "
                f"{free / 2**20:.0f} MiB are free"
            )
        (aside / SHARDS).mkdir(parents=True)

    def _publish(self, step: int, files: dict[str, dict[str, Any]]) -> None:
        aside, final = self._aside(step), folder_of(self._run, step)
        manifest.seal(aside, files)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        manifest.sync(self._run)
        with contextlib.suppress(OSError, SymbioError):  # it stands, whatever becomes of the rest
            write_json(self._run / POINTER, {"step": step, "folder": final.name})
            for old in steps_in(self._run)[self._keep :]:
                # Its name goes first, so that a kill leaves no half-removed folder of that name.
                gone = folder_of(self._run, old).rename(self._aside(old))
                shutil.rmtree(gone, ignore_errors=True)


def _write_all(share: Share, files: dict[str, Dump]) -> None:
    while files:
        # Taken out one by one, so that the memory of each is free when it is written.
        name = next(iter(files))
        share.write(name, files.pop(name))


def _attempt(action: Callable[[], object]) -> str | None:
    """Run `action`; what went wrong with the disk in words, or None."""
    try:
        action()
    except (OSError, SymbioError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _bytes_needed(run: Path, engine: Any) -> int:
    """As much as the last checkpoint, or weights, master copy and two moments in float32."""
    for step in steps_in(run):
        files = manifest.read_manifest(folder_of(run, step))
        if files is not None:
            return int(sum(entry["bytes"] for entry in files.values()))
    numbers = sum(getattr(w, "ds_numel", w.numel()) for w in engine.module.parameters())
    return 16 * int(numbers)
