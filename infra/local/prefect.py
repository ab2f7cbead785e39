"""The Prefect server, its state in PostgreSQL."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from infra.local.health import answer
from infra.local.ports import HOST
from infra.local.postgres import USER, Postgres
from infra.local.program import Launch
from infra.local.surroundings import plain
from infra.register.automations import DEAD_RUNS, SILENCE_S
from symbio.errors import SymbioError


@dataclass(frozen=True)
class Prefect:
    """The server with its pages and services."""

    state: Path
    port: int
    postgres: Postgres
    name: str = "prefect"
    title: str = "Prefect"

    @property
    def where(self) -> str:
        """Address."""
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> Launch:
        """Its home and the copy of its pages are in the state folder."""
        home = self.state / "prefect"
        home.mkdir(exist_ok=True)
        self._reprieve()
        command = [sys.executable, "-m", "prefect", "server", "start"]
        environment = {
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "pages"),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": (
                f"postgresql+asyncpg://{USER}@{self.postgres.where}/prefect"
            ),
            "PGPASSFILE": str(self.postgres.password_file),
            # On disk: of leases in memory that are lost with a killed server, the places in the
            # limits would never be given back.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                "prefect.server.concurrency.lease_storage.filesystem"
            ),
            # Without it a notification has no link to the run.
            "PREFECT_UI_URL": self.where,
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        }
        return Launch(
            [*command, "--host", HOST, "--port", str(self.port)],
            plain() | environment,
            patience_s=8.0,
        )

    def healthy(self) -> bool:
        """Whether it is ready, its database included."""
        return answer(f"{self.where}/api/ready") is not None

    def _reprieve(self) -> None:
        """Give flow runs a whole new time to be heard of.

        A server that was away longer than that calls them silent as soon as it is back, and marks
        as crashed who lives and could not reach it.
        """
        import psycopg2  # type: ignore[import-untyped]

        try:
            with self.postgres.connected("prefect") as cursor:
                cursor.execute("SELECT to_regclass('automation_bucket') IS NOT NULL")
                if cursor.fetchone() == (True,):
                    cursor.execute(
                        "UPDATE automation_bucket SET \"end\" = now() + %s * interval '1 second' "
                        "FROM automation WHERE automation.id = automation_id AND name = %s",
                        (SILENCE_S, DEAD_RUNS),
                    )
        except psycopg2.Error as error:
            raise SymbioError(f"PostgreSQL does not answer: {error}", 75) from error
