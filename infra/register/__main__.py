"""`python -m infra.register [--project FOLDER]`: tell the server at PREFECT_API_URL."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from infra.register.automations import NOTIFY_VARIABLE, register_automations
from infra.register.deployments import register_deployments
from infra.register.limits import register_limits
from infra.register.pools import register_pools
from symbio.errors import SymbioError


def main() -> int:
    """Register everything. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.register", description=__doc__)
    parser.add_argument(
        "--project", type=Path, default=Path(), help="where prefect.yaml is (default: here)"
    )
    project = parser.parse_args().project
    try:
        print(register(project), flush=True)
    except SymbioError as error:
        print(error, file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def register(project: Path) -> str:
    """Register everything; returns in words what there is now.

    Raises:
        SymbioError: the server is not named or cannot be reached, or refuses a deployment.
    """
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise SymbioError(
            "PREFECT_API_URL is not set: name the Prefect server, http://HOST:4200/api"
        )
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        with get_client(sync_client=True) as client:
            pools = register_pools(client)
            limits = register_limits(client)
            automations = register_automations(client, os.environ.get(NOTIFY_VARIABLE) or None)
    except (httpx.TransportError, RuntimeError) as error:
        raise SymbioError(f"the Prefect server at {url} cannot be reached: {error}", 75) from error
    except PrefectHTTPStatusError as error:
        raise SymbioError(f"the Prefect server at {url} refused: {error}", 1) from error
    deployments = register_deployments(project)
    return f"{pools} pools, {limits} limits, {automations} automations, {deployments} deployments"


if __name__ == "__main__":
    sys.exit(main())
