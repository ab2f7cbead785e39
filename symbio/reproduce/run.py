"""The verb `reproduce`: a registered version, made again from what was recorded of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from symbio.errors import SymbioError
from symbio.lineage.recorded import Recorded, recorded
from symbio.progress import say
from symbio.ranks.ending import FAILED
from symbio.reproduce.book import Book, open_book, sole
from symbio.reproduce.checkout import make_checkout
from symbio.reproduce.environment import Environment, fresh_environment, this_environment
from symbio.reproduce.page import Finished, page_of, table_of
from symbio.reproduce.pipeline import STAGES, inputs_of, out_of
from symbio.reproduce.result import first_parted, verdict_of
from symbio.reproduce.scores import DIFFERENT, WITHIN
from symbio.reproduce.store import RecordedData
from symbio.tracking.models import tag_version
from symbio.tracking.outage import as_error
from symbio.tracking.scores import METRICS_TAG
from symbio.tracking.training import WEIGHTS_TAG

REPRODUCTIONS = Path("reproductions")
REPRODUCED_TAG = "symbio.reproduced"
"""Of a version: verdict and day of its newest reproduction."""
PAGE = "page.html"
BOUND = 0.01

_CHECKOUT = "checkout"


def run(
    uri: str,
    root: Path = Path("."),
    into: Path | None = None,
    first: str | None = None,
    same_environment: bool = False,
    bound: float = BOUND,
) -> int:
    """Make a registered version again in a worktree of its commit, and compare every stage.

    Each stage reads the recorded inputs, so each is judged by itself. Data and labels must be the
    recorded bytes; a training whose weights are not, is judged by its network's scores. Writes
    `reproductions/{name}-{version}/` (report.json, page.html, checkout/) and tags the version with
    the verdict. The same command goes on after an interruption and runs no finished stage again.

    Args:
        uri: `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        root: the project's folder, a git checkout.
        into: another folder for the reproduction; empty, not there, or of this reproduction.
        first: one of `symbio.reproduce.pipeline.STAGES`, the first to be made again; None: the
            first whose inputs can be had.
        same_environment: use the libraries that are installed here, not those of the commit.
        bound: by which share of its recorded value a metric may differ.

    Returns:
        0 where all is identical or within the bound, 1 where it is not.

    Raises:
        SymbioError: exit_code 2: there is no such version, or not enough was recorded of it; 1:
            recorded data was changed in the store, or a stage failed; 75: a store is away, or a
            stage was told to stop.
    """
    if first is not None and first not in STAGES:
        raise SymbioError(f"--from {first}: is no stage; there are {', '.join(STAGES)}")
    if not bound >= 0:
        raise SymbioError(f"--bound {bound}: give a share of a metric's value, 0 or more")
    record = recorded(root, uri)
    version = record.version
    folder = into or root / REPRODUCTIONS / f"{version.name}-{version.version}"
    with sole(folder):
        book = open_book(folder, _identity(record, same_environment))
        checkout = folder / _CHECKOUT
        if not book.facts.get("checked_out"):
            book.note(uri=version.uri, commit=record.commit)
            make_checkout(root, checkout, record)
            book.note(checked_out=True)
        data = RecordedData(root, checkout, record)
        stages = _stages(first, record, data)
        _verify(stages, record, data)
        environment = (
            this_environment(record.lineage)
            if same_environment
            else fresh_environment(checkout, record.lineage)
        )
        # It imports torch, which what is wrong with the command need not wait for.
        from symbio.reproduce.again import Again

        again = Again(root, folder, checkout, record, data, environment.python)
        for stage in stages:
            if stage in book.results:
                say(f"{stage}@{record.dataset}: was made again before; see {folder}")
            else:
                book.finish(again.make(stage))
        return _conclude(root, book, record, environment, stages, same_environment, bound)


def _identity(record: Recorded, same_environment: bool) -> dict[str, object]:
    tags = record.version.tags
    return {
        "uri": record.version.uri,
        "run_id": record.version.run_id,
        "weights_sha256": tags.get(WEIGHTS_TAG),
        "metrics_sha256": tags.get(METRICS_TAG),
        "commit": record.commit,
        "same_environment": same_environment,
    }


def _stages(first: str | None, record: Recorded, data: RecordedData) -> tuple[str, ...]:
    """The stages to be made again: from `first`, or from the first whose inputs can be had."""
    dataset, raw = record.dataset, str(record.params[record.dataset]["raw"])
    rendered = raw == out_of("sample", dataset)

    def lacking(stage: str) -> list[str]:
        if stage == "sample":
            return [] if rendered else [f"{raw} is no rendered sample"]
        return [
            f"{path} is not to be had as it was recorded"
            for path in inputs_of(stage, dataset, raw)
            if not path.startswith("models/")
            and not data.whole(path)
            and not (path == raw and data.raw_is_here())
        ]

    if first is not None:
        if problems := lacking(first):
            raise SymbioError(f"--from {first}: {'; '.join(problems)}; begin with another stage")
        return STAGES[STAGES.index(first) :]
    for stage in STAGES:
        if not lacking(stage):
            return STAGES[STAGES.index(stage) :]
    raise SymbioError(
        f"{record.version.uri}: none of its stages has inputs that are to be had as they were "
        f"recorded: {'; '.join(lacking('train'))}; put them into the project or its DVC remote"
    )


def _verify(stages: tuple[str, ...], record: Recorded, data: RecordedData) -> None:
    """Look at all that will be read or compared, before the first stage is run."""
    dataset, raw = record.dataset, str(record.params[record.dataset]["raw"])
    made = {out_of(stage, dataset) for stage in stages}
    read = {path for stage in stages for path in inputs_of(stage, dataset, raw)}
    for path in sorted(made | read):
        data.out(path)


def _notes(record: Recorded) -> list[str]:
    """What of the record makes a comparison less than it could be."""
    notes = [
        f"{one['path']} had been changed after DVC recorded it: what was trained on may not be in "
        "the store"
        for one in record.lineage["inputs"]
        if one["stale"]
    ]
    if not record.dvc_lock:
        notes.append("it was registered without a dvc.lock: outputs have no recorded hashes")
    if record.version.tags.get("symbio.stage") == "register":
        notes.append(
            "its training is not in this store: commit, params and ranks are those of its "
            "registration"
        )
    if record.threads is None:
        notes.append("OpenMP threads of a rank were not recorded; those of this machine were taken")
    return notes


def _conclude(
    root: Path,
    book: Book,
    record: Recorded,
    environment: Environment,
    stages: tuple[str, ...],
    same_environment: bool,
    bound: float,
) -> int:
    """Print, write and tag what came of it; the exit code."""
    from rich.console import Console

    results = [book.results[stage] for stage in stages]
    verdict, parted = verdict_of(results, bound), first_parted(results, bound)
    shown = f"within {bound:g}" if verdict == WITHIN else verdict
    done = Finished(
        uri=record.version.uri,
        commit=str(record.commit),
        dirty=record.diff is not None,
        verdict=shown,
        first_parted=parted,
        bound=bound,
        environment=(
            "the libraries that are installed here"
            if same_environment
            else "the libraries of its requirements.lock"
        ),
        differences=environment.differences,
        notes=_notes(record),
        results=results,
    )
    day = datetime.now(UTC).date().isoformat()
    told = f"{shown}, {day}, from {stages[0]}" + (f"; first parted: {parted}" if parted else "")
    book.note(
        verdict=shown,
        verdicts={one.stage: one.verdict(bound) for one in results},
        first_parted=parted,
        bound=bound,
        day=day,
        differences=list(environment.differences),
        notes=list(done.notes),
    )
    page_of(done).write(book.folder / PAGE)
    Console().print(table_of(done))
    if parted is not None:
        say(f"first parted: {parted}")
    _tag(root, record, told)
    say(f"{record.version.uri}: {told}; see {book.folder / PAGE}")
    return FAILED if verdict == DIFFERENT else 0


def _tag(root: Path, record: Recorded, told: str) -> None:
    """Tell the store; who may only read it keeps the report all the same."""
    try:
        tag_version(root, record.version, {REPRODUCED_TAG: told})
    except Exception as error:
        # Stores fail in many types (HTTP, database driver, MLflow's own).
        say(str(as_error(error, f"{record.version.uri}: is not tagged with the verdict")))
