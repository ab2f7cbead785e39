"""The MLflow server: runs, models and accounts in PostgreSQL, artifacts in the S3 store."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from infra.local.health import answer
from infra.local.ports import HOST, Ports
from infra.local.postgres import USER, Postgres
from infra.local.program import Launch
from infra.local.secret import Secrets
from infra.local.surroundings import ARTIFACT_BUCKET, plain, s3_client
from infra.tracking.accounts import ADMIN, PASSWORDS, READER, WRITER


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
        command = [sys.executable, "-m", "infra.tracking"]
        command += ["--host", HOST, "--port", str(self.ports.mlflow), "--workers", "1"]
        command += ["--default-artifact-root", f"s3://{ARTIFACT_BUCKET}/", "--no-serve-artifacts"]
        command += ["--uvicorn-opts", "--log-level=warning"]
        database = f"postgresql+psycopg2://{USER}@{self.postgres.where}"
        environment = {
            "MLFLOW_BACKEND_STORE_URI": f"{database}/mlflow",
            "SYMBIO_MLFLOW_ACCOUNTS": f"{database}/mlflow_auth",
            "PGPASSFILE": str(self.postgres.password_file),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self.secrets.mlflow_signing,
            PASSWORDS[ADMIN]: self.secrets.mlflow_admin,
            PASSWORDS[WRITER]: self.secrets.mlflow_writer,
            PASSWORDS[READER]: self.secrets.mlflow_reader,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }
        keys = s3_client(self.ports, self.secrets.s3_key_id, self.secrets.s3_secret)
        return Launch(command, plain() | keys | environment)

    def healthy(self) -> bool:
        """Whether it answers a question that only its database can."""
        url = f"{self.where}/api/2.0/mlflow/experiments/search"
        login = (READER, self.secrets.mlflow_reader)
        return answer(url, {"max_results": 1}, login) is not None
