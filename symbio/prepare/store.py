"""Frames on their way into shards, and a work folder from which an interrupted run goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from symbio.data.shard_writer import FinishedShard, ShardWriter
from symbio.prepare.contact import ContactSheet
from symbio.prepare.encode import Encoded
from symbio.prepare.part import Part, read_part, write_part
from symbio.prepare.tally import Tally


class Store:
    """Checks, stores and counts frames; every finished shard is kept with what was counted."""

    def __init__(self, work: Path, shard_bytes: int, tally: Tally, sheet: ContactSheet) -> None:
        """Go on in `work` after the shards that are finished there.

        Raises:
            SymbioError: frames of theirs do not pass the checks.
        """
        self.made = work / "made"
        """What becomes the data set's folder."""
        self.made.mkdir(exist_ok=True)
        self.entries = 0
        """Number of entries whose frames are finished, stored or left out."""
        self._work = work
        self._tally = tally
        self._sheet = sheet
        self._part = Part()
        self._parts = 0
        self._writer = ShardWriter(self.made, shard_bytes, self._keep)
        self._go_on()

    def add(self, frame: Encoded) -> None:
        """Check one frame and store it, or leave it out. Raises SymbioError."""
        seen = self._tally.check(frame)
        if not seen.left_out:
            # May finish the shard before; its part must not yet hold this frame.
            self._writer.add(frame.entry.split, frame.entry.key, frame.members, frame.info)
            self._part.statistics.add(frame)
            self._sheet.add(frame)
            if frame.entry.key in self._sheet.rows:
                self._part.rows[frame.entry.key] = self._sheet.rows[frame.entry.key]
        self._part.seen.append(seen)

    def finish(self) -> None:
        """Finish the last shard, so that everything is counted."""
        self._writer.finish()
        # Frames left out that no shard came after.
        self._tally.count(self._part)

    def close(self, header: dict[str, Any]) -> None:
        """Write the index."""
        self._writer.close(header)

    def place(self, folder: Path) -> None:
        """Put everything made into `folder`; the work folder can then be removed."""
        for path in sorted(self.made.iterdir()):
            if path.name.startswith("."):
                continue
            try:
                # Linked, not moved: killed here, the next run still finds every shard.
                os.link(path, folder / path.name)
            except OSError:
                # A file system without hard links.
                os.replace(path, folder / path.name)

    def _go_on(self) -> None:
        while (kept := read_part(self._path())) is not None:
            shard, part = kept
            file = self.made / shard.row["file"]
            if not file.is_file() or file.stat().st_size != shard.row["bytes"]:
                return
            for seen in part.seen:
                self._tally.check_again(seen)
            self._tally.count(part)
            self._sheet.rows.update(part.rows)
            self._writer.adopt(shard)
            self.entries += len(part.seen)
            self._parts += 1

    def _keep(self, shard: FinishedShard) -> None:
        # The shard is on the disk before the part that says so.
        with (self.made / shard.row["file"]).open("rb") as file:
            os.fsync(file.fileno())
        write_part(self._path(), shard, self._part)
        self._tally.count(self._part)
        self._part = Part()
        self._parts += 1

    def _path(self) -> Path:
        return self._work / f"part-{self._parts:05d}.json"
