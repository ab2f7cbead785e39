"""Ports: free, taken, asked for."""

from __future__ import annotations

import os
import socket
from dataclasses import astuple
from pathlib import Path

import pytest

from infra.local.ports import Ports, free_ports, port_from
from infra.local.s3 import ObjectStore
from infra.local.secret import Secrets
from symbio.errors import SymbioError


def test_free_ports_are_different_and_can_be_listened_at() -> None:
    ports = Ports.free()
    ports.check()
    assert len(set(astuple(ports))) == 4
    assert all(0 < port < 32768 for port in astuple(ports))


def test_ports_of_servers_still_to_start_are_left_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eleven = free_ports(11)
    monkeypatch.setattr("infra.local.ports._TRIED", eleven)
    ports = Ports(prefect=eleven[3], mlflow=0, s3=0, postgres=eleven[7]).chosen()
    ports.check()
    command = ObjectStore(tmp_path, ports, Secrets.of(tmp_path)).prepare().command
    flags = dict(flag.split("=", 1) for flag in command if "=" in flag)
    of_s3 = [int(value) for name, value in flags.items() if ".port" in name and value != "0"]
    assert sorted([*of_s3, ports.prefect, ports.mlflow, ports.postgres]) == sorted(eleven)
    with pytest.raises(SymbioError, match="no 5 ports are free"):
        free_ports(5, besides=eleven[:7])


def test_a_taken_port_is_named_with_its_holder_and_the_flag() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(SymbioError) as refusal:
            Ports(prefect=0, mlflow=port, s3=0, postgres=0).chosen().check()
    message = str(refusal.value)
    assert f"port {port}" in message
    assert "--mlflow-port" in message
    assert "SYMBIO_MLFLOW_PORT" in message
    assert f"PID {os.getpid()}" in message
    assert refusal.value.exit_code == 2


def test_one_port_for_two_servers_is_refused() -> None:
    port = Ports.free().s3
    with pytest.raises(SymbioError, match=f"port {port} is asked for prefect and for s3"):
        Ports(prefect=port, mlflow=0, s3=port, postgres=0).chosen().check()


def test_the_environment_comes_before_the_defaults() -> None:
    ports = Ports.from_environment({"SYMBIO_S3_PORT": "9000", "SYMBIO_PREFECT_PORT": ""})
    assert ports == Ports(prefect=4200, mlflow=5000, s3=9000, postgres=5433)


@pytest.mark.parametrize("text", ["-1", "70000", "http", "4200.0", "²"])
def test_no_port(text: str) -> None:
    with pytest.raises(SymbioError, match="--s3-port is"):
        port_from(text, "--s3-port")
