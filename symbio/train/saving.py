"""Checkpoints and status of a session, as the loop comes to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.train.records import status
from symbio.train.session import Session


def save(session: Session) -> None:
    """Begin to write a checkpoint, after the one before it stands. Collective."""
    publish(session)
    session.pulse.beat("checkpoint")
    average = session.average
    updates = 0 if average is None else average.updates
    state = replace(session.state, average_updates=updates)

    def weights() -> dict[str, Tensor] | None:
        return None if average is None else average.state(session.place.first)

    if not session.writer.begin(state, session.engine, weights):
        publish(session)


def publish(session: Session) -> None:
    """Let the checkpoint being written, if any, stand, and say so. Collective."""
    outcome = session.writer.finish(session.pulse.beat)
    if outcome is None:
        return
    if outcome.problem is None:
        session.checkpointed, session.last_checkpoint = outcome.step, outcome
    if session.journal is not None:
        session.journal.event(
            "checkpoint" if outcome.problem is None else "checkpoint failed",
            outcome.step,
            stall_s=round(outcome.stall_s, 4),
            write_s=round(outcome.write_s, 4),
            bytes=outcome.num_bytes,
        )
        note(session, "running")


def note(session: Session, state: status.State, **facts: Any) -> None:
    """Write the run's status (rank 0); a full disk is said and survived."""
    try:
        status.write_status(
            session.run,
            state,
            step=session.state.step,
            steps=session.params.train.steps,
            checkpoint=session.checkpointed,
            skipped=session.state.skipped,
            ranks=session.place.world,
            fingerprint=session.state.fingerprint,
            **facts,
        )
    except (SymbioError, OSError) as error:
        say(f"the run's status cannot be written: {error}")
