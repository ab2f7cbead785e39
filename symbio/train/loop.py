"""The training loop, read from top to bottom."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from symbio.data.loader import GlobalBatches
from symbio.errors import SymbioError
from symbio.evaluate.metrics import metric_named
from symbio.model.network import SymbioticNetwork
from symbio.model.saved import save_network
from symbio.params import Params
from symbio.progress import say
from symbio.ranks.place import Place
from symbio.ranks.stop import StopRequest
from symbio.train import checkpoint, status
from symbio.train.best import FOLDER, read_best
from symbio.train.checkpoint import State
from symbio.train.journal import Journal
from symbio.train.schedule import learning_rate
from symbio.train.show import ProgressLine
from symbio.train.step import Stepper, StepReport
from symbio.train.validate import Validation, resolved
from symbio.train.weights import Average, copy_weights

_MOST_RECORDS = 2000
"""Metric records of a run; longer runs write every n-th step."""


@dataclass
class Session:
    """One rank's share of a run."""

    params: Params
    dataset: str
    run: Path
    place: Place
    device: torch.device
    batches: GlobalBatches
    validation: Validation | None
    engine: Any
    stepper: Stepper
    plain: SymbioticNetwork
    """A network outside the engine, to be scored and exported."""
    average: Average | None
    stop: StopRequest
    state: State
    journal: Journal | None
    """On rank 0."""
    card: dict[str, Any]
    """What the exported network's card says besides the training itself."""
    checkpointed: int = -1
    """Step of the newest checkpoint that stands."""


def train(session: Session) -> status.State:
    """Train from `session.state` to the last step, or until asked to stop. Collective.

    Returns:
        "finished", "preempted" or "interrupted"; in the last two cases a checkpoint was made.

    Raises:
        SymbioError: too many steps in a row were not finite, or a frame is broken.
    """
    steps, every = session.params.train.steps, session.params.train.checkpoint_every
    with _line(session) as line:
        if _validation_owed(session):
            validate(session)
        while session.state.step < steps:
            step = session.state.step
            lr = learning_rate(step, session.params.train)
            batches = session.batches.micro_batches(step)
            report = session.stepper.run(step, batches, lr, session.stop.reason)
            session.state = replace(session.state, step=step + 1)
            _count(session, report)
            _record(session, report, lr, line)
            if report.stop is None and _validation_owed(session):
                validate(session)
            if report.stop or session.state.step % every == 0:
                save(session)
            if report.stop and session.state.step < steps:
                return report.stop
            line.pause()
        if _validation_owed(session):
            validate(session)
    return "finished"


def validate(session: Session) -> None:
    """Score the val split, and keep the network if it is the best so far. Collective."""
    assert session.validation is not None
    refresh_plain(session)
    scores = session.validation.score(session.plain, session.place, session.device)
    session.state = replace(session.state, validated=session.state.step)
    if session.journal is None:
        return
    step, name = session.state.step, resolved(session.params.train.select.metric)
    session.journal.metrics(
        step, session.batches.epoch(step), {f"val/{key}": value for key, value in scores.items()}
    )
    if name not in scores:
        raise SymbioError(f"train.select.metric: {name} is not scored; there are {sorted(scores)}")
    best = read_best(session.run, session.state.fingerprint)
    known = None if best is None else best["train"]["scores"][name]
    better = metric_named(name).better(scores[name], known)
    say(f"validation after step {step}: {name} {scores[name]:.4f}{', the best' if better else ''}")
    if better:
        keep_best(session, scores)


def keep_best(session: Session, scores: dict[str, float] | None) -> None:
    """Save the plain network as the one to be exported; a full disk is said and survived."""
    training = {
        "step": session.state.step,
        "steps": session.params.train.steps,
        "scores": None if scores is None else {k: _json_number(v) for k, v in scores.items()},
        "selected_by": resolved(session.params.train.select.metric) if scores else "last step",
        "averaged": session.average is not None,
        "fingerprint": session.state.fingerprint,
    }
    try:
        save_network(session.run / FOLDER, session.plain, {**session.card, "train": training})
    except SymbioError as error:
        say(f"BEST NETWORK of step {session.state.step} NOT kept, training goes on: {error}")


def refresh_plain(session: Session) -> None:
    """Copy the averaged weights, or the live ones, into the plain network. Collective."""
    average = session.average
    if average is not None:
        average.swap()
    try:
        copy_weights(session.engine.module.network, session.plain)
    finally:
        if average is not None:
            average.swap()


def save(session: Session) -> None:
    """Write a checkpoint and say so in status and journal. Collective."""
    average = session.average
    updates = 0 if average is None else average.updates
    state = replace(session.state, average_updates=updates)
    weights = None if average is None else average.state()
    keep = session.params.train.keep_checkpoints
    stands = checkpoint.save(session.run, session.place, state, session.engine, weights, keep)
    if stands:
        session.checkpointed = state.step
    if session.journal is not None:
        session.journal.event("checkpoint" if stands else "checkpoint failed", state.step)
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


def _count(session: Session, report: StepReport) -> None:
    """Follow an applied step with the average; count a skipped one, and stop after too many."""
    state = session.state
    if report.applied:
        session.state = replace(state, bad_in_a_row=0)
        if session.average is not None:
            session.average.update()
        return
    state = replace(state, skipped=state.skipped + 1, bad_in_a_row=state.bad_in_a_row + 1)
    session.state = state
    what = "the gradients were not finite"
    if report.bad_keys:
        what = f"the loss was not finite on frames {', '.join(report.bad_keys)}"
    if session.journal is not None:
        session.journal.event("skipped", state.step, keys=report.bad_keys)
        say(f"step {state.step} skipped: {what}")
    if state.bad_in_a_row >= session.params.train.max_bad_steps:
        raise SymbioError(
            f"{state.bad_in_a_row} steps in a row were skipped (train.max_bad_steps), in the last "
            f"{what}. Look at the frames, or lower train.lr; {_newest(session)}"
        )


def _newest(session: Session) -> str:
    step = session.checkpointed
    return f"the newest checkpoint is that of step {step}" if step >= 0 else "no checkpoint yet"


def _record(session: Session, report: StepReport, lr: float, line: ProgressLine) -> None:
    if session.journal is None:
        return
    step = session.state.step
    line.advance(step, report.losses, lr)
    every = max(1, session.params.train.steps // _MOST_RECORDS)
    if step % every and report.applied:
        return
    values = {f"train/{name}": value for name, value in report.losses.items()}
    values |= {"train/lr": lr, "train/frames_per_s": line.frames_per_s}
    values["train/skipped"] = float(session.state.skipped)
    if report.gradient_norm is not None:
        values["train/gradient_norm"] = report.gradient_norm
    session.journal.metrics(step, session.batches.epoch(step), values)


def _validation_owed(session: Session) -> bool:
    step, train_params = session.state.step, session.params.train
    due = step > 0 and (step % train_params.validate_every == 0 or step == train_params.steps)
    return session.validation is not None and due and session.state.validated != step


def _line(session: Session) -> ProgressLine:
    params = session.params.train
    visible = session.place.first
    return ProgressLine(session.dataset, session.state.step, params.steps, params.batch, visible)


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
