"""Which network is exported: the best on the val split, kept as training comes by it."""

from __future__ import annotations

import math
from dataclasses import replace

from symbio.errors import SymbioError
from symbio.evaluate.metrics import metric_named
from symbio.model.saved import save_network
from symbio.progress import say
from symbio.ranks.stop import StopReason
from symbio.train.best import FOLDER, read_best
from symbio.train.session import Session
from symbio.train.validate import resolved
from symbio.train.weights import copy_weights


def validate(session: Session) -> StopReason | None:
    """Score the val split if it is time, and keep the network if it is the best. Collective.

    Returns:
        Why it was given up, if a rank was asked to stop meanwhile: it is owed still.
    """
    if session.validation is None or not validation_owed(session):
        return None
    session.pulse.beat("validating")
    refresh_plain(session)
    scores = session.validation.score(
        session.plain, session.place, session.device, session.stop, session.pulse.beat
    )
    if isinstance(scores, str):
        return scores
    session.state = replace(session.state, validated=session.state.step)
    if session.journal is None:
        return None
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
    return None


def validation_owed(session: Session) -> bool:
    """Whether the val split is to be scored after this step and has not been."""
    step, train_params = session.state.step, session.params.train
    due = step > 0 and (step % train_params.validate_every == 0 or step == train_params.steps)
    return session.validation is not None and due and session.state.validated != step


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


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
