"""What libraries read from the environment when they are first imported; what the user set stays.

No library reports usage to anybody. Idle OpenMP threads sleep instead of spinning: beside other
work on the same cores, spinning made an evaluation ten times slower.
"""

from __future__ import annotations

import os

_DEFAULTS = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def prepare_environment() -> None:
    """Call it first in every process that a person or a launcher starts."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
