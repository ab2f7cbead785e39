"""Secrets: made once, for their owner only, and never where others look."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from infra.local.mlflow import Mlflow
from infra.local.ports import Ports
from infra.local.postgres import Postgres
from infra.local.prefect import Prefect
from infra.local.s3 import ObjectStore
from infra.local.secret import Secrets, write_private
from infra.local.service import Service
from infra.local.surroundings import clients, plain, readers
from infra.local.worker import Worker
from symbio.errors import SymbioError


def test_secrets_are_random_and_stay(tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    made = Secrets.of(first)
    assert Secrets.of(first) == made
    assert Secrets.of(other).s3_secret != made.s3_secret
    assert (first / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert made.s3_secret not in repr(made)


def test_lost_secrets_are_not_made_anew_beside_their_data(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    with pytest.raises(SymbioError, match="put it back, or remove"):
        Secrets.of(tmp_path)


def test_a_platform_from_before_studies_gets_a_password_for_them_and_keeps_it(
    tmp_path: Path,
) -> None:
    made = asdict(Secrets.of(tmp_path))
    added = made.pop("studies_password")
    reader = made.pop("mlflow_reader")
    (tmp_path / "secrets.json").write_text(json.dumps(made))
    (tmp_path / "postgres").mkdir()
    again = Secrets.of(tmp_path)
    assert again.postgres_password == made["postgres_password"]
    assert again.studies_password != added
    assert again.mlflow_reader not in (reader, again.mlflow_writer)
    assert len(set(asdict(again).values())) == len(asdict(again))
    assert Secrets.of(tmp_path) == again
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_private_file_is_private_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "environment"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_command_line_holds_a_secret(tmp_path: Path) -> None:
    secrets, ports = Secrets.of(tmp_path), Ports.free()
    postgres = Postgres(tmp_path, ports.postgres, secrets)
    programs = [
        postgres,
        ObjectStore(tmp_path, ports, secrets),
        Mlflow(ports, secrets, postgres),
        Prefect(tmp_path, ports.prefect, postgres),
        Worker(tmp_path, tmp_path, ports, secrets),
    ]
    kept = os.open(os.devnull, os.O_RDONLY)
    running = Service(postgres, tmp_path / "logs", kept)
    running.start()
    try:
        launches = [program.prepare() for program in programs[1:]]
    finally:
        running.stop()
        os.close(kept)
    launches.append(postgres.prepare())
    hidden = [secrets.postgres_password, secrets.s3_secret, secrets.s3_inner]
    hidden += [secrets.studies_password, secrets.s3_reader_secret, secrets.mlflow_admin]
    hidden += [secrets.mlflow_writer, secrets.mlflow_reader, secrets.mlflow_signing]
    for launch in launches:
        assert not [text for text in hidden if text in " ".join(launch.command)]
    # The administrator's password is in no variable either: only in a file for its owner.
    assert not any(secrets.postgres_password in str(launch.environment) for launch in launches)
    assert postgres.password_file.stat().st_mode & 0o777 == 0o600


def test_no_setting_of_another_platform_gets_through() -> None:
    shell = {
        "PATH": "/bin",
        "PREFECT_API_URL": "https://elsewhere",
        "AWS_PROFILE": "work",
        "PGHOST": "elsewhere",
        "MLFLOW_TRACKING_URI": "https://elsewhere",
        "https_proxy": "http://proxy:3128",
        "no_proxy": "intranet",
        "SYMBIO_RANKS": "2",
    }
    given = plain(shell)
    assert not {"PREFECT_API_URL", "AWS_PROFILE", "PGHOST", "MLFLOW_TRACKING_URI"} & set(given)
    assert given["SYMBIO_RANKS"] == "2"
    assert given["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert given["PATH"].endswith(":/bin")


def test_clients_get_addresses_keys_and_the_dvc_remote(tmp_path: Path) -> None:
    secrets = Secrets.of(tmp_path)
    given = clients(Ports(1, 2, 3, 4), secrets)
    assert given["PREFECT_API_URL"] == "http://127.0.0.1:1/api"
    assert given["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:2"
    assert given["AWS_ENDPOINT_URL_S3"] == given["MLFLOW_S3_ENDPOINT_URL"] == "http://127.0.0.1:3"
    assert given["AWS_SECRET_ACCESS_KEY"] == secrets.s3_secret
    assert given["SYMBIO_DVC_REMOTE"] == "s3://symbio-data/dvc"
    assert given["SYMBIO_STUDIES"] == "postgresql+psycopg2://optuna@127.0.0.1:4/optuna"
    assert given["PGPASSWORD"] == secrets.studies_password
    assert given["MLFLOW_TRACKING_USERNAME"] == "writer"
    assert given["MLFLOW_TRACKING_PASSWORD"] == secrets.mlflow_writer
    assert secrets.postgres_password not in str(given)
    assert secrets.mlflow_admin not in str(given)


def test_readers_get_nothing_that_writes(tmp_path: Path) -> None:
    secrets = Secrets.of(tmp_path)
    given = readers(Ports(1, 2, 3, 4), secrets)
    assert given.keys() < clients(Ports(1, 2, 3, 4), secrets).keys()
    own = {"s3_reader_key_id", "s3_reader_secret", "mlflow_reader"}
    told = {name for name, text in asdict(secrets).items() if text in given.values()}
    assert told == own
    assert not {"PREFECT_API_URL", "PGPASSWORD"} & given.keys()
