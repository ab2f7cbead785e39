"""The MLflow server: runs and models in PostgreSQL, artifacts in the S3 store."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from infra.local.health import answer
from infra.local.ports import HOST, Ports
from infra.local.postgres import USER, Postgres
from infra.local.program import Launch
from infra.local.secret import Secrets
from infra.local.surroundings import ARTIFACT_BUCKET, plain, s3_client


@dataclass(frozen=True)
class Mlflow:
    """The server. Clients write artifacts to S3 themselves; it reads them for its pages."""

    ports: Ports
    secrets: Secrets
    postgres: Postgres
    name: str = "mlflow"
    title: str = "MLflow"

    @property
    def where(self) -> str:
        """Address."""
        return f"http://{HOST}:{self.ports.mlflow}"

    def prepare(self) -> Launch:
        """One process, no job runner, no log line for every request."""
        command = [sys.executable, "-m", "mlflow", "server"]
        command += ["--host", HOST, "--port", str(self.ports.mlflow), "--workers", "1"]
        command += ["--default-artifact-root", f"s3://{ARTIFACT_BUCKET}/", "--no-serve-artifacts"]
        command += ["--uvicorn-opts", "--log-level=warning"]
        environment = {
            "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg2://{USER}@{self.postgres.where}/mlflow",
            "PGPASSFILE": str(self.postgres.password_file),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        return Launch(command, plain() | s3_client(self.ports, self.secrets) | environment)

    def healthy(self) -> bool:
        """Whether it answers a question that only its database can."""
        url = f"{self.where}/api/2.0/mlflow/experiments/search"
        return answer(url, {"max_results": 1}) is not None
