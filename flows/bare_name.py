"""`prefect deployment run train-nyu`, typed in the project's folder, means `train-nyu/local`.

Prefect's own command wants FLOW/DEPLOYMENT. It calls the plugins of the installed packages before
it reads its arguments (entry point group `prefect.plugins` in pyproject.toml; switched on by
`[tool.prefect.plugins]` there, which Prefect reads in the current folder only). This one completes
a name without a slash where ./prefect.yaml deploys such a flow, and touches nothing else.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prefect.plugins import HookContext, SetupResult, register_hook

DEFAULT = "local"
"""Where a flow runs if nobody says."""


@register_hook
def setup_environment(*, ctx: HookContext) -> SetupResult | None:
    """Prefect's hook; sets no environment."""
    sys.argv[:] = completed(sys.argv, Path("prefect.yaml"))
    return None


def completed(arguments: list[str], deployments: Path) -> list[str]:
    """The command line, with a bare flow name after `deployment run` made FLOW/local."""
    if arguments[1:3] != ["deployment", "run"]:
        return arguments
    return [
        f"{argument}/{DEFAULT}" if place > 2 and argument in _names(deployments) else argument
        for place, argument in enumerate(arguments)
    ]


def _names(deployments: Path) -> set[str]:
    """Names of the flows that are deployed to the default place."""
    import yaml

    try:
        told = yaml.safe_load(deployments.read_text(encoding="utf-8"))["deployments"]
        # flows/train.py:train_nyu deploys the flow train-nyu.
        functions = {one["entrypoint"].split(":")[1] for one in told if one["name"] == DEFAULT}
        return {function.replace("_", "-") for function in functions}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return set()
