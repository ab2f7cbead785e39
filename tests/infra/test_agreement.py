"""Compose, Kubernetes and the local platform are one platform: same names, same places."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import yaml

from infra.images.identities import VARIABLES as identity_variables
from infra.images.identities import identities
from infra.local import postgres
from infra.local.ports import Ports
from infra.local.s3 import BUCKETS
from infra.local.secret import Secrets
from infra.local.surroundings import DATA_BUCKET, STUDIES, clients, plain
from infra.local.worker import POOL
from infra.register.pools import KUBERNETES_POOL, POOLS
from infra.tracking.accounts import PASSWORDS, WRITER
from symbio.reach.settings import PATIENT_S3
from tests.infra.files import FLOW_RUN, KUBERNETES, compose, manifests, one

PRIVATE = {
    "DO_NOT_TRACK", "DVC_NO_ANALYTICS", "MLFLOW_DISABLE_TELEMETRY",
    "PREFECT_SERVER_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY",
}  # fmt: skip


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def container(kind: str, name: str, which: str | None = None) -> dict[str, Any]:
    pod = one(manifests("base"), kind, name)["spec"]["template"]["spec"]
    (found,) = (
        each
        for each in [*pod.get("initContainers", []), *pod["containers"]]
        if each["name"] == (which or name)
    )
    made: dict[str, Any] = found
    return made


def configuration(name: str) -> dict[str, str]:
    data: dict[str, str] = one(manifests("base"), "ConfigMap", name)["data"]
    return data


def test_servers_are_started_alike() -> None:
    assert service("s3")["command"] == container("StatefulSet", "s3")["args"]
    for name in ("mlflow", "prefect"):
        assert service(name)["command"] == container("Deployment", name)["args"]
    assert service("register")["command"] == container("Job", "register")["args"]
    assert service("buckets")["command"] == container("Job", "register", "buckets")["args"]
    known = {each["source"]: each["target"] for each in service("postgres")["configs"]}
    assert known == {"databases": "/docker-entrypoint-initdb.d/databases.sql"}
    mounts = container("StatefulSet", "postgres")["volumeMounts"]
    assert {"/docker-entrypoint-initdb.d"} < {mount["mountPath"] for mount in mounts}
    base = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())
    assert {"name": "databases", "files": ["databases.sql"]} in base["configMapGenerator"]
    assert compose()["configs"]["databases"]["file"] == "kubernetes/base/databases.sql"


def test_environments_agree() -> None:
    worker = service("worker")["environment"]
    for name, text in (configuration("symbio-private") | configuration("symbio-servers")).items():
        assert worker[name] == text, name
    given = {each["name"]: each.get("value") for each in flow_run()["env"]}
    assert given["SYMBIO_HOME"] == worker["SYMBIO_HOME"] == flow_run()["workingDir"]
    heartbeat = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
    (frequency,) = (
        each["value"]
        for each in container("Deployment", "worker")["env"]
        if each["name"] == heartbeat
    )
    assert frequency == worker[heartbeat]


def flow_run() -> dict[str, Any]:
    spec = yaml.safe_load(FLOW_RUN.read_text())["spec"]["template"]["spec"]
    (found,) = spec["containers"]
    made: dict[str, Any] = found
    return made


def test_flows_are_told_what_the_local_platform_tells_them() -> None:
    told = clients(Ports(), Secrets(*[""] * len(fields(Secrets))))
    worker = service("worker")["environment"]
    kubernetes = configuration("symbio-servers") | {each["name"]: "" for each in flow_run()["env"]}
    assert set(told) | set(PATIENT_S3) <= set(worker)
    assert set(told) | set(PATIENT_S3) <= set(kubernetes)
    assert worker["SYMBIO_DVC_REMOTE"] == told["SYMBIO_DVC_REMOTE"]
    assert worker["AWS_DEFAULT_REGION"] == told["AWS_DEFAULT_REGION"]
    assert {name: worker[name] for name in PATIENT_S3} == PATIENT_S3


def test_nobody_is_told_of_our_use() -> None:
    local = plain({})
    dockerfile = (KUBERNETES.parent / "images" / "symbio.Dockerfile").read_text()
    for name in PRIVATE:
        assert configuration("symbio-private")[name] == local[name]
        assert re.search(rf"{name}={local[name]}\b", dockerfile)
        for service_ in compose()["services"].values():
            if service_["image"].startswith("symbio:"):
                assert service_["environment"][name] == local[name]
    assert "-master.telemetry=false" in service("s3")["command"]


def test_ports_databases_buckets_and_pools_are_the_local_ones() -> None:
    ports = Ports()
    worker = service("worker")["environment"]
    assert worker["PREFECT_API_URL"] == f"http://prefect:{ports.prefect}/api"
    assert worker["MLFLOW_TRACKING_URI"] == f"http://mlflow:{ports.mlflow}"
    assert worker["AWS_ENDPOINT_URL"] == f"http://s3:{ports.s3}"
    assert f"-s3.port={ports.s3}" in service("s3")["command"]
    assert f"--port={ports.mlflow}" in service("mlflow")["command"]
    assert (
        f"--allowed-hosts=mlflow:{ports.mlflow},127.0.0.1:{ports.mlflow},localhost:5000"
        in (service("mlflow")["command"])
    )
    assert f"--port={ports.prefect}" in service("prefect")["command"]
    assert tuple(service("buckets")["command"][-2:]) == BUCKETS
    assert worker["SYMBIO_DVC_REMOTE"] == f"s3://{DATA_BUCKET}/dvc"
    assert f"--default-artifact-root=s3://{BUCKETS[1]}/" in service("mlflow")["command"]
    made = re.findall(r"CREATE DATABASE (\w+)", (KUBERNETES / "base/databases.sql").read_text())
    expected = {"prefect", "mlflow", "mlflow_auth", "optuna"}
    assert {*postgres.DATABASES, STUDIES} == set(made) == expected
    assert f"--pool=${{SYMBIO_POOL:-{POOL}}}" in service("worker")["command"]
    assert f"--pool={KUBERNETES_POOL}" in container("Deployment", "worker")["args"]
    assert {POOL, KUBERNETES_POOL} <= set(POOLS)


def test_databases_are_named_alike_on_both_sides() -> None:
    for environment in (
        service("prefect")["environment"],
        {each["name"]: each.get("value") for each in container("Deployment", "prefect")["env"]},
    ):
        assert environment["PREFECT_SERVER_DATABASE_NAME"] == "prefect"
        assert environment["PREFECT_SERVER_DATABASE_USER"] == "prefect"
        assert environment["PREFECT_SERVER_DATABASE_HOST"] == "postgres"
    for environment in (
        service("mlflow")["environment"],
        {each["name"]: each.get("value") for each in container("Deployment", "mlflow")["env"]},
    ):
        url = "postgresql+psycopg2://mlflow@postgres:5432/mlflow"
        assert environment["MLFLOW_BACKEND_STORE_URI"] == url
        assert environment["SYMBIO_MLFLOW_ACCOUNTS"] == f"{url}_auth"
    local = clients(Ports(), Secrets(*[""] * len(fields(Secrets))))["SYMBIO_STUDIES"]
    studies = local.replace(f"@127.0.0.1:{Ports().postgres}/", "@postgres:5432/")
    assert configuration("symbio-servers")["SYMBIO_STUDIES"] == studies
    assert service("worker")["environment"]["SYMBIO_STUDIES"] == studies


def test_servers_know_their_accounts_alike() -> None:
    ours = service("mlflow")["environment"]
    theirs = container("Deployment", "mlflow")["env"]
    for account, variable in PASSWORDS.items():
        key = f"MLFLOW_{account.upper()}_PASSWORD"
        assert ours[variable].startswith(f"${{{key}:?")
        (found,) = (each for each in theirs if each["name"] == variable)
        assert found["valueFrom"]["secretKeyRef"]["key"] == key
    assert service("worker")["environment"]["MLFLOW_TRACKING_USERNAME"] == WRITER
    # The S3 store's: the text that compose fills in, and what the script writes in Kubernetes.
    text = compose()["configs"]["identities"]["content"]
    values = re.findall(r'"(\$\{(\w+):\?[^}]*\})"', text)
    assert tuple(name for _, name in values) == identity_variables
    assert json.loads(text) == json.loads(identities(*(whole for whole, _ in values)))
    mounted = {each["source"]: each["target"] for each in service("s3")["configs"]}
    assert f"-s3.config={mounted['identities']}" in service("s3")["command"]
    assert container("StatefulSet", "s3", "identities")["args"][-1] == mounted["identities"]
    given = {each["name"] for each in container("StatefulSet", "s3", "identities")["env"]}
    assert given == set(identity_variables)


def test_who_trains_gets_the_password_of_studies_and_no_other_of_postgresql() -> None:
    assert "OPTUNA_DB_PASSWORD" in service("worker")["environment"]["PGPASSWORD"]
    study = one(manifests("study"), "Job", "symbio-study")["spec"]["template"]["spec"]
    for trains in (flow_run(), study["containers"][0]):
        given = {
            each["name"]: each["valueFrom"]["secretKeyRef"]["key"]
            for each in trains["env"]
            if "secretKeyRef" in each.get("valueFrom", {})
        }
        assert given["PGPASSWORD"] == "OPTUNA_DB_PASSWORD"
        assert set(given.values()) == {
            "OPTUNA_DB_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
            "MLFLOW_WRITER_PASSWORD",
        }  # fmt: skip
