"""The exchanges by name. A new one is a module of this package and a line here.

Each makes two steps, with the same pre-norm, residual and MLP around each, and the steps of all
have the same number of parameters, so that they are compared at equal size: at C=128, h=4, w=7 and
both directions 796,816 for `full`, `local`, `global` and `both`, and 796,652 for `convolution`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from symbio.model.exchanges.convolution import convolution
from symbio.model.exchanges.grid import grid
from symbio.model.exchanges.local import local
from symbio.model.exchanges.plain import plain
from symbio.params import SymbiosisParams

MixerBuilder = Callable[[int, SymbiosisParams], nn.Module]
"""(C, params) -> a module that maps (query, context), both (B,H,W,C), to (B,H,W,C).

Whatever weights it draws come from torch's default generator, on the CPU.
"""

EXCHANGES: dict[str, tuple[MixerBuilder, ...]] = {
    "none": (),
    "convolution": (convolution, convolution),
    "full": (plain, plain),
    "local": (local, local),
    "global": (grid, grid),
    "both": (local, grid),
}
"""Name (`model.symbiosis.exchange`) -> the mixer of each successive step."""
