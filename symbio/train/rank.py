"""One rank of a training run, from its environment to its exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.entry import be_a_rank
from symbio.ranks.place import Place
from symbio.ranks.stop import StopRequest
from symbio.train import checkpoint
from symbio.train.batching import accumulation
from symbio.train.best import FOLDER, export
from symbio.train.choices import chosen_network
from symbio.train.claim import claim, finished_before, recipe_of, step_of
from symbio.train.fingerprint import fingerprint
from symbio.train.lock import run_lock
from symbio.train.loop import Session, keep_best, note, refresh_plain, train
from symbio.train.opening import open_session
from symbio.train.paths import Paths
from symbio.train.status import EXIT_CODES, State, read_status, write_status
from symbio.train.validate import resolved


def train_rank(
    params: Params, dataset: str, root: Path, resume: str, place: Place, stop: StopRequest
) -> State:
    """Take part in a training run as one of its ranks.

    Args:
        params: of the run; the same on all ranks.
        dataset: "nyu" or "kitti".
        root: the project's folder.
        resume: "auto" (newest checkpoint of this very run, else from the start) or a step.
        place: which rank this is.
        stop: where the signal handlers leave their wish.

    Returns:
        "finished", "preempted" or "interrupted".

    Raises:
        SymbioError: anything that a user can cause; the message says what to do.
    """
    paths = Paths(root, dataset)
    wanted = step_of(resume)
    accumulation(params.train, place.world)
    network = chosen_network(params, dataset)
    device = group.device_of(place)
    group.join(place, device)
    with contextlib.ExitStack() as held:

        def claim_folder() -> tuple[str, bool]:
            recipe = recipe_of(params, paths)
            held.enter_context(run_lock(paths.run))
            done = wanted is None and finished_before(paths.run, recipe)
            claim(paths.run, recipe, wanted)
            if done:
                say(f"{paths.run}: this run is finished; exporting its network again")
                export(paths.run, paths.model, fingerprint(recipe))
            return fingerprint(recipe), done

        identity, done = _rank_0_does(place, claim_folder)
        if done:
            return "finished"
        if place.first:
            held.enter_context(_failure_noted(paths.run))
        folder = checkpoint.choose(paths.run, place, wanted)
        session = open_session(params, paths, network, place, device, stop, folder, identity)
        held.callback(session.batches.close)
        if place.first:
            note(session, "running")
        outcome = train(session)
        _end(session, paths, outcome)
        group.wait_for_all()
    return outcome


def main(params: Params, dataset: str, root: Path, resume: str) -> int:
    """Be the rank that the environment says; returns the exit code. Never raises."""

    def work(place: Place, stop: StopRequest) -> int:
        return EXIT_CODES[train_rank(params, dataset, root, resume, place, stop)]

    return be_a_rank(work)


def _rank_0_does(place: Place, action: Callable[[], Any]) -> Any:
    """Let rank 0 act; every rank gets the result, or the SymbioError."""
    result: Any = None
    problem: str | None = None
    if place.first:
        try:
            result = action()
        except SymbioError as error:
            problem = str(error)
    result, problem = group.from_first((result, problem))
    if problem is not None:
        raise SymbioError(problem)
    return result


@contextlib.contextmanager
def _failure_noted(run: Path) -> Iterator[None]:
    """Put a failure into the status of the run, whose lock is held."""
    try:
        yield
    except Exception as error:
        with contextlib.suppress(SymbioError, OSError):
            known = read_status(run) or {}
            write_status(run, **{**known, "state": "failed", "message": str(error)})
        raise


def _end(session: Session, paths: Paths, outcome: State) -> None:
    """Export a finished run's network, and leave the run's status."""
    if outcome == "finished":
        if session.validation is None:
            refresh_plain(session)
        if session.place.first:
            if session.validation is None:
                say("no val split: exporting the network of the last step")
                keep_best(session, None)
            _export(session, paths)
    if session.place.first:
        note(session, outcome)
        if session.journal is not None:
            session.journal.event(outcome, session.state.step)


def _export(session: Session, paths: Paths) -> None:
    if not (paths.run / FOLDER).is_dir():
        raise SymbioError(
            f"no step had a finite {resolved(session.params.train.select.metric)} on the val "
            "split, so no network is exported; lower train.lr, or look at the data"
        )
    card = export(paths.run, paths.model, session.state.fingerprint)
    say(f"{paths.model}: the network of step {card['train']['step']}")
