"""The training loop, read from top to bottom."""

from __future__ import annotations

from dataclasses import replace

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.stop import ABANDONED
from symbio.train.records import status
from symbio.train.saving import publish, save
from symbio.train.schedule import learning_rate
from symbio.train.selection import validate, validation_owed
from symbio.train.session import Session
from symbio.train.step import StepReport
from symbio.train.watch.clock import DATA, OPTIMIZER
from symbio.train.watch.meter import told
from symbio.train.watch.show import ProgressLine

_MOST_RECORDS = 2000
"""Metric records of a run; longer runs write every n-th step."""


def train(session: Session) -> status.State:
    """Train from `session.state` to the last step, or until asked to stop. Collective.

    Returns:
        "finished"; "preempted" or "interrupted" after a checkpoint; "abandoned" without one.

    Raises:
        SymbioError: too many steps in a row were not finite, or a frame is broken.
    """
    steps, every = session.params.train.steps, session.params.train.checkpoint_every
    with progress_line(session) as line:
        stop = validate(session)
        while stop is None and session.state.step < steps:
            report = take_step(session, line)
            stop = report.stop or validate(session)
            if stop == ABANDONED:
                break
            if stop or session.state.step % every == 0:
                save(session)
            line.pause()
        publish(session)
    if stop is not None and (session.state.step < steps or validation_owed(session)):
        return stop
    return "finished"


def take_step(session: Session, line: ProgressLine) -> StepReport:
    """Take one step: data, forward, backward, update, and the records of it. Collective.

    Raises:
        SymbioError: too many steps in a row were not finite, or a frame is broken.
    """
    step = session.state.step
    lr = learning_rate(step, session.params.train)
    session.pulse.beat(DATA, step)
    session.clock.start()
    batches = session.batches.micro_batches(step)
    asked, written = session.stop.now(), session.writer.written
    report = session.stepper.run(step, batches, lr, asked, written)
    session.clock.leave()
    session.state = replace(session.state, step=step + 1)
    if session.frames is not None:
        session.frames.add(step, report.frames)
    if report.written:
        publish(session)
    session.clock.enter(OPTIMIZER)
    _count(session, report)
    session.clock.stop()
    _record(session, report, lr, line)
    if session.trace is not None:
        session.trace.step()
    return report


def progress_line(session: Session) -> ProgressLine:
    """The line that shows the session's steps; silent but on rank 0."""
    params = session.params.train
    visible = session.place.first
    return ProgressLine(session.dataset, session.state.step, params.steps, params.batch, visible)


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
        publish(session)
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
    line.advance(step)
    cost = session.meter.metrics(line.frames_per_s)
    line.show(report.losses, lr, told(cost))
    every = max(1, session.params.train.steps // _MOST_RECORDS)
    if step % every and report.applied:
        return
    values = {f"train/{name}": value for name, value in report.losses.items()}
    values |= {"train/lr": lr, "train/frames_per_s": line.frames_per_s, **cost}
    values["train/skipped"] = float(session.state.skipped)
    if report.gradient_norm is not None:
        values["train/gradient_norm"] = report.gradient_norm
    session.journal.metrics(step, session.batches.epoch(step), values)
