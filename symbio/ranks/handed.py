"""The parameters of a rank: handed over by the process that started it, or params.yaml."""

from __future__ import annotations

import json
import os
from pathlib import Path

from symbio.params import Params, load_params, parse_params

PARAMS_VARIABLE = "SYMBIO_PARAMS"
"""Environment variable by which a command hands its parameters (JSON) to the ranks it starts."""


def handed_params(root: Path) -> Params:
    """The parameters in SYMBIO_PARAMS; without it, those in `root`/params.yaml.

    Raises:
        SymbioError: they do not hold, or there are none.
    """
    handed = os.environ.get(PARAMS_VARIABLE)
    if handed is not None:
        return parse_params(json.loads(handed), PARAMS_VARIABLE)
    return load_params(root / "params.yaml")
