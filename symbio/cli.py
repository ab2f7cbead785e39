"""The command `symbio`: one verb a stage, and what people do around the stages.

Nothing heavy is imported here: each verb imports what it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from symbio import __version__
from symbio.environment import prepare_environment
from symbio.errors import SymbioError
from symbio.interrupt import spare_imports
from symbio.params import dataset_argument, load_params
from symbio.tell import tell_ending

if TYPE_CHECKING:
    from symbio.ranks.settings import Settings

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it."""

_RANK_MEMORY = "the most memory of a rank, as 4GiB: one that needs more ends (default: no cap)"

_DATASET = "nyu, kitti, or a key of the section custom of params.yaml"
_VERSION = "models:/NAME/VERSION or models:/NAME@ALIAS"
STAGES = ("sample", "prepare", "label", "train", "evaluate")
"""That `reproduce` can begin with."""

_ROOT = Path(".")
_Run = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (2 for bad input, 75: again, 130 for Ctrl-C)."""
    prepare_environment()
    spare_imports()
    parsed = _parser().parse_args(arguments)
    code, message = _outcome(parsed)
    if message:
        sys.stderr.write(f"symbio {parsed.verb}: {message}\n")
    tell_ending(parsed.verb, code, message)
    return code


def _outcome(parsed: argparse.Namespace) -> tuple[int, str]:
    """Run the verb: its exit code, and what there is to say of a bad end."""
    run: _Run = parsed.run
    try:
        return run(parsed), ""
    except SymbioError as error:
        return error.exit_code, str(error)
    except KeyboardInterrupt:
        return INTERRUPTED, "interrupted; nothing is half-written, run it again"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="symbio", description="Joint depth and semantics: render, train, compare, ship."
    )
    parser.add_argument("--version", action="version", version=f"symbio {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, run: _Run) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    def stage(name: str, text: str, run: _Run) -> argparse.ArgumentParser:
        added = verb(name, text, run)
        added.add_argument("dataset", type=dataset_argument, metavar="DATASET", help=_DATASET)
        return added

    stage("sample", "render the sample in the data set's official file formats", _sample)
    check = stage("check", "what is missing or wrong in the official files", _check)
    check.add_argument("--raw", type=Path, help="another folder than the params' own")
    check.add_argument("--out", type=Path, help="folder of the report (default: checks/{dataset})")
    prepare = stage("prepare", "read the official files, check them and write shards", _prepare)
    prepare.add_argument("--check", action="store_true", help="only verify the prepared shards")
    _add_hosts(stage("label", "write pseudo-labels with the teacher", _label))
    train = stage("train", "train the network under DeepSpeed", _train)
    train.add_argument(
        "--resume", default="auto", help="auto (default) or the step of a checkpoint"
    )
    train.add_argument(
        "--profile",
        type=int,
        nargs="?",
        const=3,
        metavar="STEPS",
        help="write a torch trace of a few steps (default: 3)",
    )
    _add_hosts(train)
    plan = stage("plan", "what a run will do, take and cost, before it starts", _plan)
    plan.add_argument("--ranks", help="processes on each host (default: one a GPU)")
    plan.add_argument("--nodes", type=int, help="number of hosts")
    plan.add_argument("--hostfile", help="the hosts of a file")
    plan.add_argument("--price", type=float, metavar="PER_HOUR", help="of one host: tell the cost")
    plan.add_argument("--probe", action="store_true", help="time a few micro-batches if need be")
    plan.add_argument("--json", action="store_true", help="print JSON")
    evaluate = stage("evaluate", "score the model by a named protocol", _evaluate)
    evaluate.add_argument(
        "--protocol", help="another protocol than the params' own; all: every one that applies"
    )
    evaluate.add_argument(
        "--flip", action="store_true", help="also with mirrored views averaged in, beside it"
    )
    evaluate.add_argument("--split", default="test", choices=("train", "val", "test"))
    evaluate.add_argument("--ranks", help="processes on this host (default: one a GPU, or one)")
    evaluate.add_argument(
        "--model", metavar="URI", help="a registered version (models:/NAME@ALIAS) instead"
    )
    stage("register", "put the model into the MLflow registry", _register)
    promote = stage("promote", "make the candidate the champion, if the rules hold", _promote)
    which = promote.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="URI", help="another version than the candidate")
    which.add_argument(
        "--back", action="store_true", help="make the champion before this one champion again"
    )
    lineage = verb("lineage", "where a version comes from, as a tree and as a picture", _lineage)
    lineage.add_argument("model", metavar="MODEL", help=_VERSION)
    lineage.add_argument("--svg", type=Path, help="the picture (default: below lineage/)")
    reproduce = verb("reproduce", "make a version anew, and say what came out alike", _reproduce)
    reproduce.add_argument("model", metavar="MODEL", help=_VERSION)
    reproduce.add_argument("--into", type=Path, help="folder of the worktree")
    reproduce.add_argument(
        "--from", dest="first", choices=STAGES, help="the first stage that is run again"
    )
    reproduce.add_argument(
        "--same-environment", action="store_true", help="with the libraries that are here"
    )
    reproduce.add_argument(
        "--bound", type=float, default=0.01, help="metrics this close, relatively, count as equal"
    )
    compare = verb("compare", "versions or runs beside each other, frame by frame", _compare)
    compare.add_argument("models", nargs="+", metavar="MODEL", help=f"{_VERSION}, or runs:/ID")
    compare.add_argument("--out", type=Path, help="folder (default: below comparisons/)")
    table = stage("table", "registered models beside published results", _table)
    table.add_argument("--out", type=Path, help="folder (default: tables/{dataset})")
    fetch = verb("fetch", "download a version and check every byte of it", _fetch)
    fetch.add_argument("model", metavar="MODEL", help=_VERSION)
    fetch.add_argument("--out", type=Path, required=True, help="folder to write")
    gc = verb("gc", "what nothing points to, in runs, models, checkpoints and DVC's cache", _gc)
    gc.add_argument("--sweep", action="store_true", help="remove it (default: only tell)")

    search = stage("search", "try params: trainings of a sampled space, compared on val", _search)
    search.add_argument("--trials", type=int, help="in all, instead of search.trials")
    ablate = stage("ablate", "train every variant of a suite with every seed", _ablate)
    ablate.add_argument("suite", help="a key of the section ablations")
    for study in (search, ablate):
        study.add_argument("--study", metavar="NAME", help="another name than the default")
        study.add_argument(
            "--workers", type=int, default=1, help="trials trained at once by this command"
        )
        study.add_argument("--ranks", help="processes of a trial on each host")
        study.add_argument("--hostfile", help="start every host of this file over ssh")
        study.add_argument("--rank-memory", metavar="SIZE", help=_RANK_MEMORY)

    predict = verb("predict", "depth and semantics of any picture", _predict)
    predict.add_argument("model", help="a folder, or models:/NAME/VERSION, or models:/NAME@ALIAS")
    predict.add_argument("images", nargs="+", type=Path, help="pictures or folders of pictures")
    predict.add_argument("--out", type=Path, default=Path("predictions"))
    predict.add_argument("--ply", action="store_true", help="also write a coloured point cloud")
    predict.add_argument("--focal", type=float, help="focal length in pixels, for --ply")

    stage("stream", "read prepared shards from S3 while training asks for them", _stream)
    verb("reach", "whether what a run needs can be reached and written", _reach)
    status = verb("status", "what training runs are really doing, rank by rank", _status)
    status.add_argument("dataset", nargs="?", type=dataset_argument, help=_DATASET)
    preset = verb("preset", "write params.yaml from a preset", _preset)
    preset.add_argument("name", choices=_preset_names())
    demo = verb("demo", "a page that shows what a model sees in a picture", _demo)
    demo.add_argument("model", metavar="MODEL", help=f"a folder, or {_VERSION}")
    demo.add_argument("--host", default="127.0.0.1")
    demo.add_argument("--port", type=int, default=8000)
    verb("tour", "the whole pipeline for both data sets, and where to look", _tour)
    verb("sync", "send what the tracking store missed while it was away", _sync)
    ui = verb("ui", "browse runs and models in MLflow", _ui)
    ui.add_argument("--port", type=int, default=5000)
    return parser


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    """Flags of `symbio.ranks.settings`; each has a SYMBIO_* variable."""
    hosts = parser.add_argument_group("processes and hosts (docs/hosts.md)")
    hosts.add_argument("--ranks", help="processes on this host (default: one a GPU)")
    hosts.add_argument(
        "--hostfile", help="start every host of this file over ssh (default: infra/hosts, if there)"
    )
    hosts.add_argument("--nodes", help="number of hosts, when the command is typed on each")
    hosts.add_argument("--node-rank", help="which of them this is, from 0")
    hosts.add_argument("--master", metavar="HOST:PORT", help="address of node 0")
    hosts.add_argument("--min-nodes", help="go on with no fewer hosts (default: all)")
    hosts.add_argument("--restarts", help="new starts after a loss (default: 2)")
    hosts.add_argument(
        "--step-timeout", metavar="S", help="a rank without progress is hung (default: 300)"
    )
    hosts.add_argument("--host-timeout", metavar="S", help="a silent host is lost (default: 30)")
    hosts.add_argument(
        "--grace", metavar="S", help="from a request to stop to the end by force (default: 120)"
    )
    hosts.add_argument("--rank-memory", metavar="SIZE", help=_RANK_MEMORY)


def _sample(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.sample.run import run

    run(params, arguments.dataset, _ROOT)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.check.run import run

    return run(params, arguments.dataset, _ROOT, arguments.raw, arguments.out)


def _prepare(arguments: argparse.Namespace) -> int:
    if arguments.check:
        from symbio.data.shards import Shards
        from symbio.progress import say

        folder = _ROOT / "data" / "prepared" / arguments.dataset
        counts = {split: len(keys) for split, keys in Shards(folder).splits.items()}
        say(f"{folder}: every shard matches its checksum; frames {counts}")
        return 0
    params = load_params()
    from symbio.prepare.run import run

    run(params, arguments.dataset, _ROOT)
    return 0


def _label(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.stages import label

    label(params, arguments.dataset, _ROOT, _host_settings(arguments))
    return 0


def _train(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.ranks.settings import PROFILE_VARIABLE
    from symbio.stages import train

    if arguments.profile is not None:
        os.environ[PROFILE_VARIABLE] = str(arguments.profile)
    return train(params, arguments.dataset, _ROOT, _host_settings(arguments), arguments.resume)


def _host_settings(arguments: argparse.Namespace) -> Settings:
    """What the flags of `_add_hosts` mean."""
    from symbio.ranks.settings import STEP_TIMEOUT_VARIABLE, settings_from, step_timeout_s

    if arguments.step_timeout is not None:
        os.environ[STEP_TIMEOUT_VARIABLE] = arguments.step_timeout
    step_timeout_s()
    flags = {
        **vars(arguments),
        "host_timeout_s": arguments.host_timeout,
        "grace_s": arguments.grace,
    }
    return settings_from(flags, root=_ROOT)


def _plan(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.plan.run import run
    from symbio.ranks.settings import settings_from

    flags = {"ranks": arguments.ranks, "hostfile": arguments.hostfile}
    settings = settings_from(flags, root=_ROOT)
    if arguments.nodes is not None:
        settings = replace(settings, nodes=arguments.nodes, hostfile=None)
    dataset, price = arguments.dataset, arguments.price
    return run(params, dataset, _ROOT, settings, price, arguments.probe, arguments.json)


def _evaluate(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.stages import evaluate, evaluate_version

    how = (arguments.protocol, arguments.split, arguments.ranks, arguments.flip)
    if arguments.model is None:
        evaluate(params, arguments.dataset, _ROOT, *how)
    else:
        evaluate_version(params, arguments.dataset, _ROOT, arguments.model, *how)
    return 0


def _register(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.register.run import run

    run(params, arguments.dataset, _ROOT)
    return 0


def _promote(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.promote.run import back, run

    if arguments.back:
        back(arguments.dataset, _ROOT)
    else:
        run(params, arguments.dataset, _ROOT, arguments.model)
    return 0


def _table(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.table.run import run

    return run(params, arguments.dataset, _ROOT, arguments.out)


def _search(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.search.run import search

    return search(
        params,
        arguments.dataset,
        _ROOT,
        _trial_settings(arguments),
        arguments.trials,
        arguments.study,
        arguments.workers,
    )


def _ablate(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.search.run import ablate

    return ablate(
        params,
        arguments.dataset,
        arguments.suite,
        _ROOT,
        _trial_settings(arguments),
        arguments.study,
        arguments.workers,
    )


def _trial_settings(arguments: argparse.Namespace) -> Settings:
    """Settings of each trial; unless told otherwise, workers share what one training takes."""
    from symbio.ranks.settings import RANKS_VARIABLE, default_ranks, settings_from

    flags = dict(vars(arguments))
    if flags["ranks"] is None and RANKS_VARIABLE not in os.environ:
        flags["ranks"] = max(1, default_ranks() // max(1, arguments.workers))
    return settings_from(flags, root=_ROOT)


def _predict(arguments: argparse.Namespace) -> int:
    from symbio.predict.run import run

    run(arguments.model, arguments.images, arguments.out, arguments.ply, arguments.focal)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from symbio.status.run import run

    return run(arguments.dataset, _ROOT)


def _stream(arguments: argparse.Namespace) -> int:
    from symbio.stream.run import run

    run(arguments.dataset, _ROOT)
    return 0


def _reach(arguments: argparse.Namespace) -> int:
    from symbio.reach.run import run

    return run(_ROOT)


def _preset(arguments: argparse.Namespace) -> int:
    from symbio.presets import write_preset

    write_preset(arguments.name, _ROOT / "params.yaml")
    return 0


def _preset_names() -> list[str]:
    return sorted(path.stem for path in Path(__file__).with_name("presets").glob("*.yaml"))


def _lineage(arguments: argparse.Namespace) -> int:
    from symbio.lineage.run import run

    run(arguments.model, _ROOT, arguments.svg)
    return 0


def _reproduce(arguments: argparse.Namespace) -> int:
    from symbio.reproduce.run import run

    return run(
        arguments.model,
        _ROOT,
        into=arguments.into,
        first=arguments.first,
        same_environment=arguments.same_environment,
        bound=arguments.bound,
    )


def _compare(arguments: argparse.Namespace) -> int:
    params = load_params()
    from symbio.compare.run import run

    run(params, arguments.models, _ROOT, arguments.out)
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    from symbio.fetch.run import run

    run(arguments.model, arguments.out, _ROOT)
    return 0


def _gc(arguments: argparse.Namespace) -> int:
    from symbio.gc.run import run

    run(_ROOT, arguments.sweep)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from symbio.demo.run import run

    return run(arguments.model, _ROOT, arguments.host, arguments.port)


def _tour(arguments: argparse.Namespace) -> int:
    load_params()
    from symbio.tour import tour

    return tour(_ROOT)


def _sync(arguments: argparse.Namespace) -> int:
    from symbio.progress import say
    from symbio.tracking import sync

    say(f"{sync(_ROOT)} runs sent; the tracking store is up to date")
    return 0


def _ui(arguments: argparse.Namespace) -> int:
    from symbio.tracking import open_ui

    return open_ui(_ROOT, arguments.port)


if __name__ == "__main__":
    sys.exit(main())
