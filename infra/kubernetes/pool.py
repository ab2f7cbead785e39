"""The Prefect work pool `kubernetes`: every flow run becomes a Job as flow-run.yaml has it.

    python infra/kubernetes/pool.py flow-run.yaml

What a flow run gets by default is in SYMBIO_IMAGE, SYMBIO_NAMESPACE, SYMBIO_GPUS, SYMBIO_CPUS and
SYMBIO_MEMORY. A pool that is there already keeps everything but its template.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from symbio.errors import SymbioError
from symbio.ranks.ending import MISTAKE, RESUME_ME

POOL = "kubernetes"

_OWN: dict[str, dict[str, Any]] = {
    "gpus": {"title": "GPUs", "type": "integer", "minimum": 0},
    "cpus": {"title": "CPUs", "type": "string", "description": "Of a Job, e.g. 8 or 500m."},
    "memory": {"title": "Memory", "type": "string", "description": "Of a Job, e.g. 64Gi."},
}
_REPLACED = ("cpu_request", "cpu_limit", "memory_request", "memory_limit", "backoff_limit")
"""Variables of the library's own template that flow-run.yaml has no place for."""
_PULL_S = 1800
"""The image has several gigabytes; the library waits one minute for a pod to start."""
_KEEP_S = 7 * 24 * 3600
"""A finished Job, and with it its pod's log, stays for a week."""


def template(manifest: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The base job template of the pool.

    Args:
        manifest: the Job, with Prefect's placeholders.
        environment: where the defaults are read.

    Raises:
        SymbioError: a default is not set, or makes no sense.
    """
    from prefect_kubernetes.worker import KubernetesWorker

    made: dict[str, Any] = KubernetesWorker.get_default_base_job_template()
    made["job_configuration"]["job_manifest"] = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    variables = made["variables"]["properties"]
    for name in _REPLACED:
        del variables[name]
    variables |= {name: dict(schema) for name, schema in _OWN.items()}
    defaults = {
        "image": _set(environment, "SYMBIO_IMAGE"),
        "namespace": _set(environment, "SYMBIO_NAMESPACE"),
        "gpus": _count(environment, "SYMBIO_GPUS"),
        "cpus": _set(environment, "SYMBIO_CPUS"),
        "memory": _set(environment, "SYMBIO_MEMORY"),
        "service_account_name": "flow-run",
        "pod_watch_timeout_seconds": _PULL_S,
        "finished_job_ttl": _KEEP_S,
        # Prefect has the flow run's log by itself.
        "stream_output": False,
    }
    for name, value in defaults.items():
        variables[name]["default"] = value
    return made


def put(made: dict[str, Any]) -> None:
    """Make the pool, or give it this template.

    Raises:
        SymbioError: the server at PREFECT_API_URL does not answer.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            try:
                client.read_work_pool(POOL)
            except ObjectNotFound:
                client.create_work_pool(
                    WorkPoolCreate(name=POOL, type="kubernetes", base_job_template=made)
                )
            else:
                client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=made))
        except httpx.HTTPError as error:
            raise SymbioError(
                f"Prefect at {client.api_url}: {error}; is PREFECT_API_URL right?",
                exit_code=RESUME_ME,
            ) from None


def _set(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise SymbioError(f"{name} is not set; base/register.yaml does", exit_code=MISTAKE)
    return environment[name]


def _count(environment: Mapping[str, str], name: str) -> int:
    value = _set(environment, name)
    if not value.isdecimal():
        raise SymbioError(f"{name} is {value!r}: give a whole number", exit_code=MISTAKE)
    return int(value)


if __name__ == "__main__":
    try:
        put(template(Path(sys.argv[1]), os.environ))
    except SymbioError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"pool {POOL}: every flow run gets {os.environ['SYMBIO_IMAGE']}")
