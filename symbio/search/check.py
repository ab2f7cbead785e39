"""Everything that can be refused, refused before the first trial starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.params import DimensionParams, Params
from symbio.ranks.settings import Settings
from symbio.search.keys import changed, check_key
from symbio.search.plan import Plan
from symbio.train.batching import accumulation
from symbio.train.claim import recipe_of
from symbio.train.paths import Paths


def check(plan: Plan, root: Path, settings: Settings) -> None:
    """Try what the trials will be made of, without training anything.

    Raises:
        SymbioError: a key names no parameter, the params refuse a value, a part that they name
            does not exist, the data is not there or holds no frames out; names which.
    """
    if settings.nodes > 1:
        raise SymbioError(
            "a study is led by one command: name the hosts in a file (--hostfile) instead of "
            "typing the command on each (--nodes)"
        )
    paths = Paths(root, plan.dataset)
    built = set()
    for source, params in _probes(plan):
        recipe_of(params, paths)
        section = params.dataset(plan.dataset)
        network = (params.model, section.image_size, section.depth_range, params.nearfarmix.mix)
        try:
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
    scored_metric(plan)


def scored_metric(plan: Plan) -> str:
    """The validation score by which trials are compared.

    Raises:
        SymbioError: validation gives no such score.
    """
    from symbio.evaluate.protocol import protocol_named
    from symbio.train.validate import resolved

    wanted = plan.params.search.metric
    protocol = protocol_named(plan.params.dataset(plan.dataset).protocol)
    known = [*protocol.metrics, "miou", "pixel_accuracy"]
    if wanted not in known:
        raise SymbioError(
            f"search.metric: validation gives no {wanted!r}; there are {', '.join(known)}"
        )
    return resolved(wanted)


def _probes(plan: Plan) -> Iterator[tuple[str, Params]]:
    """Params with each variant, or with each end of each range; and where that is written."""
    if plan.suite is not None:
        for name, changes in plan.params.ablations[plan.suite].variants.items():
            source = f"ablations.{plan.suite}.variants.{name}"
            for key in changes:
                check_key(key, plan.dataset, source)
            if "seed" in changes:
                raise SymbioError(f"{source}: seed comes from ablations.{plan.suite}.seeds")
            yield source, changed(plan.params, changes, source)
        return
    space = plan.params.search.space
    for key in space:
        check_key(key, plan.dataset, "search.space")
    for key, dimension in space.items():
        for value in _ends(dimension):
            source = f"search.space: {key} = {value!r}"
            yield source, changed(plan.params, {key: value}, source)


def _ends(dimension: DimensionParams) -> tuple[Any, ...]:
    if dimension.type == "categorical":
        return dimension.choices
    return dimension.low, dimension.high


def _check_parts(params: Params, dataset: str) -> None:
    """Look up mix, metric and protocol by name, and build the network without its weights."""
    import torch

    from symbio.train.choices import chosen_network

    model = params.model.model_copy(update={"pretrained": False})
    with torch.device("meta"):
        chosen_network(params.model_copy(update={"model": model}), dataset)
