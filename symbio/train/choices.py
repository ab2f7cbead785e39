"""The parts that params name, looked up before a run touches any folder."""

from __future__ import annotations

from symbio.data.mixing.registry import MIXES
from symbio.errors import SymbioError
from symbio.evaluate.metrics import metric_named
from symbio.evaluate.protocol import protocol_named
from symbio.model.network import SymbioticNetwork, build_network
from symbio.params import Params
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
    metric_named(resolved(params.train.select.metric))
    section = params.dataset(dataset)
    protocol_named(section.protocol)
    low, high = section.depth_range
    return build_network(params.model, section.image_size, high, low, seed=params.seed)
