"""PostgreSQL alone: as root and as nobody, after a crash, after a start that was cut short."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra.local import lock
from infra.local.ordinary import Identity, identity
from infra.local.ports import Ports
from infra.local.postgres import Postgres
from infra.local.secret import Secrets
from infra.local.service import Service
from infra.local.surroundings import clients
from symbio.errors import SymbioError
from tests.platform.project import living


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can enter."""
    folder = Path(tempfile.mkdtemp(prefix="symbio-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def _service(program: Postgres) -> Iterator[Service]:
    """A service that is stopped in the end."""
    held = lock.take(program.state / "lock")
    service = Service(program, program.state / "logs", held)
    try:
        yield service
    finally:
        service.stop()
        os.close(held)


def _postgres(state: Path, who: Identity) -> Postgres:
    state.mkdir(exist_ok=True)
    return Postgres(state, Ports.free().postgres, Secrets.of(state), identity=who)


def _write_crash_read(program: Postgres) -> None:
    with _service(program) as service:
        service.start()
        with program.connected("mlflow") as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 42 AS value")
        assert service.pid is not None
        family = psutil.Process(service.pid).children(recursive=True)
        service.kill()
        assert not service.alive
        service.start()
        assert not living(family)
        with program.connected("mlflow") as cursor:
            cursor.execute("SELECT value FROM kept")
            assert cursor.fetchone() == (42,)
    assert not service.alive


def test_what_is_committed_survives_a_crash(tmp_path: Path) -> None:
    _write_crash_read(_postgres(tmp_path / "state", identity()))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_as_nobody_where_namespaces_are_forbidden(open_folder: Path) -> None:
    program = _postgres(open_folder / "state", Identity.NOBODY)
    _write_crash_read(program)
    assert (program.state / "postgres").stat().st_uid != 0
    # The same data under the other identity.
    if identity() is Identity.NAMESPACE:
        with _service(_postgres(open_folder / "state", Identity.NAMESPACE)) as service:
            service.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_folder_that_nobody_cannot_enter_is_refused_with_a_way_out(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    program = _postgres(closed / "state", Identity.NOBODY)
    with pytest.raises(SymbioError, match="Run it as an ordinary user instead"):
        program.prepare()
    assert not (closed / "state/postgres").exists()


def test_a_first_start_that_was_cut_short_is_no_obstacle(tmp_path: Path) -> None:
    program = _postgres(tmp_path / "state", identity())
    (program.state / "postgres.part/data/base").mkdir(parents=True)
    # Left by a server that was killed; some process has its number by now.
    program.prepare()
    (program.state / "postgres/postmaster.pid").write_text(f"{os.getpid()}\n")
    with _service(program) as service:
        service.start()
    assert not (program.state / "postgres.part").exists()


def test_without_the_password_nobody_gets_in(tmp_path: Path) -> None:
    import psycopg2

    program = _postgres(tmp_path / "state", identity())
    with _service(program) as service:
        service.start()
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(
                host="127.0.0.1",
                port=program.port,
                user="symbio",
                dbname="mlflow",
                password="wrong",
                passfile="",
            )


def test_workers_of_studies_get_into_their_database_and_no_other(tmp_path: Path) -> None:
    import optuna
    import psycopg2
    from sqlalchemy import make_url

    program = _postgres(tmp_path / "state", identity())
    ports = replace(Ports(), postgres=program.port)
    given = clients(ports, program.secrets)
    url, password = make_url(given["SYMBIO_STUDIES"]), given["PGPASSWORD"]

    def enter(database: str) -> None:
        psycopg2.connect(
            host=url.host, port=url.port, user=url.username, password=password, dbname=database
        ).close()

    with _service(program) as service:
        # The second start finds everything made.
        for _ in range(2):
            service.start()
            for other in ("prefect", "mlflow", "postgres"):
                with pytest.raises(psycopg2.OperationalError, match="permission denied"):
                    enter(other)
            study = optuna.create_study(
                storage=url.set(password=password).render_as_string(hide_password=False),
                study_name="x",
                load_if_exists=True,
            )
            study.tell(study.ask(), 1.0)
            told = len(study.trials)
            service.stop()
    assert told == 2
    log = (tmp_path / "state/logs/postgres.log").read_text()
    assert password not in log
