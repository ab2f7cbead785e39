"""Continuing on another number of ranks: DeepSpeed's universal checkpoints.

ZeRO's shards belong to the number of ranks that wrote them. Converting cuts them into one folder
of files a parameter, which any number of ranks can load. At stage 0 nothing is cut.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from argparse import Namespace
from pathlib import Path

from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.train.checkpoint import SHARDS, State
from symbio.train.engine import import_deepspeed

_FOLDER = ".universal.part"


def needed(state: State, place: Place) -> bool:
    """Whether a checkpoint must be converted before `place.world` ranks can load it."""
    return state.zero_stage > 0 and state.world != place.world


def converted(run: Path, checkpoint: Path, state: State, place: Place) -> Path:
    """Convert a verified checkpoint on rank 0; every rank gets the folder to load from."""
    folder = run / _FOLDER
    if place.first:
        say(f"converting the checkpoint of {state.world} ranks for {place.world}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        import_deepspeed()
        from deepspeed.checkpoint import ds_to_universal

        arguments = Namespace(
            input_folder=str(checkpoint / SHARDS),
            output_folder=str(folder / SHARDS),
            num_extract_workers=1,
            num_merge_workers=1,
            keep_temp_folder=False,
            strict=True,
            inject_missing_state=True,
        )
        chatter = io.StringIO()
        with contextlib.redirect_stdout(chatter), contextlib.redirect_stderr(chatter):
            ds_to_universal.main(arguments)
    group.wait_for_all()
    return folder


def forget(run: Path, place: Place) -> None:
    """Remove what `converted` made, once every rank has loaded it."""
    group.wait_for_all()
    if place.first:
        shutil.rmtree(run / _FOLDER, ignore_errors=True)
