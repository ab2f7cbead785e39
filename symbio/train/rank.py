"""One rank of a training run, from its environment to its exit code."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.entry import be_a_rank
from symbio.ranks.place import Place
from symbio.ranks.pulse import Pulse
from symbio.ranks.settings import step_timeout_s
from symbio.ranks.stop import StopRequest
from symbio.train.abandon import abandoned, forget_others
from symbio.train.batching import accumulation
from symbio.train.best import FOLDER, export
from symbio.train.checkpoints import checkpoint
from symbio.train.choices import chosen_network
from symbio.train.claim import claim, finished_before, recipe_of, step_of
from symbio.train.engine import import_deepspeed
from symbio.train.fingerprint import fingerprint, shape_of
from symbio.train.launch import RUN_ID_VARIABLE
from symbio.train.lock import run_lock
from symbio.train.loop import train
from symbio.train.opening import open_session
from symbio.train.paths import Paths
from symbio.train.preflight.compare import preflight
from symbio.train.preflight.facts import facts_of
from symbio.train.records.measured import FEWEST_STEPS, Measurement, append_measurement
from symbio.train.records.status import EXIT_CODES, State, read_status, write_status
from symbio.train.saving import note
from symbio.train.selection import keep_best, refresh_plain
from symbio.train.session import Session
from symbio.train.validate import resolved
from symbio.train.watch.device import bytes_now, bytes_peak, device_name


def train_rank(
    params: Params, dataset: str, root: Path, resume: str, place: Place, stop: StopRequest
) -> State:
    """Take part in a training run as one of its ranks.

    Args:
        params: of the run; the same on all ranks.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        resume: "auto" (newest checkpoint of this very run, else from the start) or a step.
        place: which rank this is.
        stop: where the signal handlers leave their wish; rank 0 looks for a note there too.

    Returns:
        "finished", "preempted", "interrupted" or "abandoned".

    Raises:
        SymbioError: anything that a user can cause; the message says what to do.
    """
    paths = Paths(root, dataset)
    wanted = step_of(resume)
    accumulation(params.train, place.world)
    limit_s = step_timeout_s()
    device = group.device_of(place)
    import_deepspeed()  # would otherwise count as memory of the engine
    start_bytes = bytes_now(device)
    network = chosen_network(params, dataset)
    group.join(place, device)
    ranks = preflight(facts_of(params, paths, resume, network, place, device), paths, place)
    with contextlib.ExitStack() as held:

        def claim_folder() -> tuple[str, bool]:
            recipe = recipe_of(params, paths)
            held.enter_context(run_lock(paths.run))
            done = wanted is None and finished_before(paths.run, recipe)
            claim(paths.run, recipe, wanted)
            _listen_for_the_note(stop, paths.run)
            if done:
                say(f"{paths.run}: this run is finished; exporting its network again")
                export(paths.run, paths.model, fingerprint(recipe))
            return fingerprint(recipe), done

        identity, done = _rank_0_does(place, claim_folder)
        if done:
            return "finished"
        # Not before the folder is this run's: another's heartbeats may be there.
        pulse = Pulse(paths.ranks, place, limit_s)
        pulse.start()
        held.callback(pulse.close)
        if place.first:
            held.enter_context(_failure_noted(paths.run))
        folder = checkpoint.choose(paths.run, place, wanted)
        pulse.beat("opening")
        session = open_session(params, paths, network, place, device, stop, folder, identity, pulse)
        held.callback(session.batches.close)
        if session.journal is not None:
            session.journal.machines(
                session.state.step, [one.host for one in ranks], [one.device for one in ranks]
            )
        if session.trace is not None:
            held.callback(session.trace.close)
        if place.first:
            note(session, "running")
        outcome = train(session)
        _measure(session, paths, start_bytes)
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
        with contextlib.suppress(SymbioError, OSError, MemoryError):
            known = read_status(run) or {}
            write_status(run, **{**known, "state": "failed", "message": str(error)})
        raise


def _listen_for_the_note(stop: StopRequest, run: Path) -> None:
    """Heed a note (`symbio.train.abandon`) to this start of the run; one to another is removed."""
    start = os.environ.get(RUN_ID_VARIABLE)
    forget_others(run, start)
    stop.ask_each_time(lambda: abandoned(run, start))


def _measure(session: Session, paths: Paths, start_bytes: int) -> None:
    """Note what the run cost, for `symbio plan`. Collective."""
    clock, saved = session.clock, session.last_checkpoint
    peak_bytes, start_bytes = max(group.gather((bytes_peak(session.device), start_bytes)))
    if not session.place.first or clock.steps < FEWEST_STEPS:
        return
    step_s = clock.median_step_s()
    measurement = Measurement(
        fingerprint=session.state.fingerprint,
        shape=shape_of(session.params, session.dataset),
        ranks=session.place.world,
        device=device_name(session.device),
        peak_bytes=peak_bytes,
        start_bytes=start_bytes,
        step_s=step_s,
        frames_per_s=session.params.train.batch / step_s,
        checkpoint_bytes=None if saved is None else saved.num_bytes,
        checkpoint_s=None if saved is None else saved.stall_s,
        steps=clock.steps,
    )
    append_measurement(paths.measured, measurement)


def _end(session: Session, paths: Paths, outcome: State) -> None:
    """Export a finished run's network, and leave the run's status."""
    session.pulse.beat("exporting")
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
