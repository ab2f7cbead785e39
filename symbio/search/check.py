"""Everything that can be refused, refused before the first trial starts."""

from __future__ import annotations

from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.params import Params
from symbio.ranks.settings import Settings
from symbio.search.objectives import check_comparable, check_reported, objectives_of
from symbio.search.plan import Plan
from symbio.search.probes import probes
from symbio.search.pruners import check_pruner
from symbio.search.samplers import check_sampler
from symbio.train.batching import accumulation
from symbio.train.claim import recipe_of
from symbio.train.paths import Paths


def check(plan: Plan, root: Path, settings: Settings) -> None:
    """Try what the trials will be made of, without training anything.

    Args:
        plan: of the study.
        root: the project's folder.
        settings: on which ranks and hosts each trial trains.

    Raises:
        SymbioError: a key names no parameter, the params refuse a value, a part that they name
            does not exist, a condition never holds; sampler or pruner do not go with the space or
            the objectives; a trial would not give an objective; the data is not there or holds no
            frames out. Names which.
    """
    if settings.nodes > 1:
        raise SymbioError(
            "a study is led by one command: name the hosts in a file (--hostfile) instead of "
            "typing the command on each (--nodes)"
        )
    objectives = objectives_of(plan)
    tried = list(probes(plan))
    if plan.suite is None:
        check_comparable(objectives, plan.params.search.space)
        check_sampler(plan)
        check_pruner(plan)
    paths = Paths(root, plan.dataset)
    built = set()
    for source, params in tried:
        recipe_of(params, paths)
        section = params.dataset(plan.dataset)
        network = (
            params.model, params.labels.space, section.image_size, section.depth_range,
            params.nearfarmix.mix,
        )  # fmt: skip
        try:
            check_reported(objectives, params)
            if settings.hostfile is None:
                accumulation(params.train, settings.ranks)
            if network not in built:
                _check_parts(params, plan.dataset)
            built.add(network)
        except SymbioError as error:
            raise SymbioError(f"{source}: {error}") from error
    if not read_json(paths.prepared / "index.json", "the prepared frames")["splits"].get("val"):
        raise SymbioError(
            f"{paths.prepared}: no frames are held out to compare trials by; give "
            f"{plan.dataset}.val_share more and run `symbio prepare {plan.dataset}`"
        )


def _check_parts(params: Params, dataset: str) -> None:
    """Look up mix, metric and protocol by name, and build the network without its weights."""
    import torch

    from symbio.train.choices import chosen_network

    model = params.model.model_copy(update={"pretrained": False})
    with torch.device("meta"):
        chosen_network(params.model_copy(update={"model": model}), dataset)
