"""How the global batch is dealt out. Imports nothing heavy: checked before any rank starts."""

from __future__ import annotations

from symbio.errors import SymbioError
from symbio.params import TrainParams


def accumulation(params: TrainParams, world: int) -> int:
    """Micro-batches that each of `world` ranks takes in one step.

    Raises:
        SymbioError: the global batch cannot be dealt out evenly.
    """
    share = params.micro_batch * world
    if params.batch % share:
        raise SymbioError(
            f"train.batch ({params.batch}) must be a multiple of train.micro_batch "
            f"({params.micro_batch}) x {world} ranks = {share}; change one of them, "
            "or the number of ranks (SYMBIO_RANKS)"
        )
    return params.batch // share
