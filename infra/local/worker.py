"""The Prefect worker that runs flows on this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from infra.local.health import answer
from infra.local.ports import HOST, Ports
from infra.local.program import Launch
from infra.local.secret import Secrets
from infra.local.surroundings import clients, plain

POOL = "local"

_NAME = "platform"
_PATIENCE_S = 35.0
"""A training that is asked to stop writes a checkpoint: that takes as long as a flow allows it."""


@dataclass(frozen=True)
class Worker:
    """A process worker for the pool `local`; flows run in `root`."""

    root: Path
    state: Path
    ports: Ports
    secrets: Secrets
    name: str = "worker"
    title: str = "worker"
    _starts: list[datetime] = field(default_factory=list)

    @property
    def where(self) -> str:
        """What it does."""
        return f"pool {POOL}, flows in {self.root}"

    def prepare(self) -> Launch:
        """The platform's addresses and keys reach flows through the worker's environment."""
        self._starts.append(datetime.now(UTC))
        home = self.state / "prefect"
        home.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "prefect", "worker", "start"]
        command += ["--pool", POOL, "--type", "process", "--name", _NAME]
        environment = {
            "PREFECT_HOME": str(home),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "10",
            # Silence of three of these marks a run as crashed: infra/register/automations.py.
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "SYMBIO_HOME": str(self.root),
        }
        return Launch(
            [*command, "--install-policy", "never"],
            plain() | clients(self.ports, self.secrets) | environment,
            patience_s=_PATIENCE_S,
            # A flow run that is asked to stop says so to Prefect, and the worker has to be there.
            # The worker by itself ends them without a word.
            children_first=True,
        )

    def healthy(self) -> bool:
        """Whether Prefect has heard of it since it was started."""
        api = f"http://{HOST}:{self.ports.prefect}/api"
        known = answer(f"{api}/work_pools/{POOL}/workers/filter", {}) or []
        heard = [one["last_heartbeat_time"] for one in known if one["name"] == _NAME]
        return any(datetime.fromisoformat(when) > self._starts[-1] for when in heard if when)
