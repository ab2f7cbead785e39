"""Work pools: the places where flows run."""

from __future__ import annotations

import contextlib
from typing import Any

PROCESS_POOLS = ("local", "cluster", "slurm")
"""Workers of these pools start flows as processes beside themselves."""
KUBERNETES_POOL = "kubernetes"
POOLS = (*PROCESS_POOLS, KUBERNETES_POOL)


def register_pools(client: Any) -> int:
    """Make the pools that are missing; returns how many there are meant to be.

    One that is there keeps its settings: they may have been changed on purpose.
    """
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
    from prefect.exceptions import ObjectAlreadyExists

    known = client.read_work_pools(
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=list(POOLS)))
    )
    for name in set(POOLS) - {pool.name for pool in known}:
        kind = "process" if name in PROCESS_POOLS else "kubernetes"
        # Its worker may have been quicker.
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(
                WorkPoolCreate(name=name, type=kind, base_job_template=_template(kind))
            )
    return len(POOLS)


def _template(kind: str) -> dict[str, Any]:
    """How a run is started if its deployment says nothing else: that of the installed worker."""
    if kind == "process":
        from prefect.workers.process import ProcessWorker

        return ProcessWorker.get_default_base_job_template()
    from prefect_kubernetes.worker import (
        KubernetesWorker,
    )

    return dict(KubernetesWorker.get_default_base_job_template())
