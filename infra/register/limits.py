"""Global concurrency limits: how many trainings run at once in one place."""

from __future__ import annotations

import contextlib
from typing import Any

from infra.register.pools import POOLS

TRAININGS = 1
"""A training takes all of its machines."""


def register_limits(client: Any) -> int:
    """Make the limits that are missing; returns how many there are meant to be.

    One that is there keeps its number: `prefect gcl update training-cluster --limit 2` lasts.
    """
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    for pool in POOLS:
        name = f"training-{pool}"
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            # Somebody else may register at the same time.
            with contextlib.suppress(ObjectAlreadyExists):
                client.create_global_concurrency_limit(
                    GlobalConcurrencyLimitCreate(name=name, limit=TRAININGS)
                )
    return len(POOLS)
