"""infra/compose.yaml: valid, hardened, and closed to whom it does not concern."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.infra.files import COMPOSE, SECRETS, compose
from tests.infra.policy import compose_faults


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    """By the compose specification's schema, which the checker carries with it."""
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_is_a_compose_file() -> None:
    done = checked(COMPOSE)
    assert done.returncode == 0, done.stdout


def test_the_schema_sees_a_mistake(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("healthcheck:", "healtcheck:", 1))
    done = checked(wrong)
    assert done.returncode == 1
    assert "healtcheck" in done.stdout


def test_every_service_keeps_to_the_rules() -> None:
    assert compose_faults(compose()) == []


def put(path: str, value: Any) -> dict[str, Any]:
    """The compose file with one value changed, or taken out (None)."""
    document = compose()
    *parents, last = path.split("/")
    place: Any = document["services"]
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    # Anchors are shared when read: only the service in question is looked at.
    return {"services": {parents[0]: document["services"][parents[0]]}}


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("s3/image", "chrislusf/seaweedfs", "no exact version"),
        ("s3/image", "chrislusf/seaweedfs:latest", "no exact version"),
        ("s3/image", "postgres:16", "no exact version"),
        ("postgres/user", None, "may run as root"),
        ("postgres/user", "0:0", "may run as root"),
        ("worker/user", "${SYMBIO_UID}:${SYMBIO_GID}", "may run as root"),
        ("mlflow/read_only", None, "root file system"),
        ("mlflow/cap_add", ["SYS_ADMIN"], "keeps capabilities"),
        ("mlflow/cap_drop", ["NET_RAW"], "keeps capabilities"),
        ("mlflow/security_opt", [], "may gain privileges"),
        ("worker/privileged", True, "asks for privileged"),
        ("worker/network_mode", "host", "asks for network_mode"),
        ("worker/deploy/resources/limits/memory", None, "no limit on memory"),
        ("prefect/healthcheck", None, "whether it is well"),
        ("prefect/networks", None, "default network"),
        ("prefect/ports", ["4200:4200"], "open to other hosts"),
        ("prefect/ports", ["0.0.0.0:4200:4200"], "open to other hosts"),
        ("worker/volumes", ["/var/run/docker.sock:/var/run/docker.sock"], "container engine"),
        ("postgres/environment/POSTGRES_PASSWORD", "hunter2", "does not come from"),
        ("postgres/environment/POSTGRES_PASSWORD", "${POSTGRES_PASSWORD:-x}", "does not come from"),
        ("postgres/environment/POSTGRES_PASSWORD", "${POSTGRES_PASSWORD}", "does not come from"),
        ("mlflow/environment/MLFLOW_BACKEND_STORE_URI", "pg://a:b@c/d", "password in its URL"),
    ],
)
def test_a_fault_is_seen(path: str, value: Any, fault: str) -> None:
    (found,) = compose_faults(put(path, value))
    assert fault in found


def test_who_can_reach_whom() -> None:
    document = compose()
    shared = {
        tuple(sorted(pair))
        for pair in itertools.combinations(document["services"], 2)
        for network in set(document["services"][pair[0]]["networks"])
        & set(document["services"][pair[1]]["networks"])
        if network != "published"
    }
    assert shared == {
        ("mlflow", "postgres"), ("postgres", "prefect"),
        # The database's network holds them both.
        ("mlflow", "prefect"),
        ("buckets", "s3"), ("mlflow", "s3"), ("s3", "worker"),
        ("buckets", "mlflow"), ("buckets", "worker"),
        ("mlflow", "worker"), ("prefect", "register"), ("prefect", "worker"),
        ("register", "worker"),
        # Studies.
        ("postgres", "worker"),
    }  # fmt: skip
    open_to_the_world = {
        name
        for name, service in document["services"].items()
        if any(not (document["networks"][net] or {}).get("internal") for net in service["networks"])
    }
    assert open_to_the_world == {"mlflow", "prefect", "worker"}
    options = document["networks"]["published"]["driver_opts"]
    assert set(options.values()) == {"false"}
    assert {name.rpartition(".")[2] for name in options} == {"enable_ip_masquerade", "enable_icc"}


def test_only_two_ports_leave_the_containers() -> None:
    ports = {name: one["ports"] for name, one in compose()["services"].items() if "ports" in one}
    assert ports == {"mlflow": ["127.0.0.1:5000:5000"], "prefect": ["127.0.0.1:4200:4200"]}


def test_each_waits_for_what_it_needs() -> None:
    services = compose()["services"]
    waits = {
        (name, other, how["condition"])
        for name, service in services.items()
        for other, how in service.get("depends_on", {}).items()
    }
    assert waits == {
        ("mlflow", "postgres", "service_healthy"),
        ("prefect", "postgres", "service_healthy"),
        ("buckets", "s3", "service_healthy"),
        ("register", "prefect", "service_healthy"),
        ("worker", "mlflow", "service_healthy"),
        ("worker", "register", "service_completed_successfully"),
        ("worker", "buckets", "service_completed_successfully"),
    }
    for _, other, condition in waits:
        if condition == "service_healthy":
            assert "healthcheck" in services[other]
        else:
            assert services[other]["restart"] == "no"


def test_every_secret_is_named_in_the_example_and_has_no_default() -> None:
    asked = dict(re.findall(r"\$\{(\w+)(:[?-])", COMPOSE.read_text()))
    assert set(SECRETS) == {name for name, how in asked.items() if how == ":?"}
    assert {name for name, how in asked.items() if how == ":-"} == {
        "SYMBIO_UID", "SYMBIO_GID", "SYMBIO_POOL", "SYMBIO_CPUS", "SYMBIO_MEMORY",
        "SYMBIO_NOTIFY_URL",
    }  # fmt: skip


def test_every_volume_network_and_config_is_defined() -> None:
    document = compose()
    for service in document["services"].values():
        assert set(service["networks"]) <= set(document["networks"])
        for mount in service.get("volumes", []):
            if mount["type"] == "volume":
                assert mount["source"] in document["volumes"]
            else:
                assert (COMPOSE.parent / mount["source"]).resolve() == COMPOSE.parents[1]
        for config in service.get("configs", []):
            source = document["configs"][config["source"]]
            assert "content" in source or (COMPOSE.parent / source["file"]).is_file()
        if "build" in service:
            context = COMPOSE.parent / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()
