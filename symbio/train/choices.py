"""The parts that params name, looked up before a run touches any folder."""

from __future__ import annotations

from symbio.data.classes import class_space
from symbio.data.mixing.registry import MIXES
from symbio.errors import SymbioError
from symbio.evaluate.metrics import metric_named
from symbio.evaluate.protocol import protocol_named
from symbio.model.network import SymbioticNetwork, build_network
from symbio.params import Params
from symbio.train.claim import says_classes
from symbio.train.validate import resolved


def chosen_network(params: Params, dataset: str) -> SymbioticNetwork:
    """Build the network and look up mix, protocol and selection metric.

    A run with other parameters moves the checkpoints of the one before aside. A misspelt name
    must not do that, so everything that can be refused is refused here.

    Raises:
        SymbioError: something that params name does not exist or cannot be had.
    """
    mix = params.nearfarmix.mix
    if mix != "none" and mix not in MIXES:
        raise SymbioError(f"nearfarmix.mix: no mix {mix!r}; there are none, {', '.join(MIXES)}")
    metric = resolved(params.train.select.metric)
    metric_named(metric)
    if metric.startswith("pseudo_") and not says_classes(params):
        raise SymbioError(
            f"train.select.metric: {metric} is not scored, for the network learns no classes "
            "(model.semantics is false or labels.share is 0); choose a metric of depth"
        )
    section = params.dataset(dataset)
    protocol_named(section.protocol)
    return network_of(params, dataset)


def network_of(params: Params, dataset: str) -> SymbioticNetwork:
    """Build the network that params describe, with its initial weights.

    Raises:
        SymbioError: see `build_network`.
    """
    section = params.dataset(dataset)
    low, high = section.depth_range
    num_classes = len(class_space(params.labels.space).names)
    return build_network(
        params.model, section.image_size, high, low, num_classes=num_classes, seed=params.seed
    )
