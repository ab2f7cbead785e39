"""The pool `kubernetes`: what Prefect's own worker makes of flow-run.yaml."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from infra.kubernetes.pool import POOL, template
from infra.register.pools import KUBERNETES_POOL
from symbio.errors import SymbioError
from tests.infra.files import FLOW_RUN, ROOT, manifests
from tests.infra.policy import kubernetes_faults

GIVEN = {
    "SYMBIO_IMAGE": "symbio:0.1.0",
    "SYMBIO_NAMESPACE": "symbio",
    "SYMBIO_GPUS": "0",
    "SYMBIO_CPUS": "2",
    "SYMBIO_MEMORY": "8Gi",
}
SERVER = "http://prefect:4200/api"


def job(**variables: Any) -> dict[str, Any]:
    """The Job that Prefect's worker would send to Kubernetes for a flow run."""
    from prefect.client.schemas.objects import FlowRun
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    made = template(FLOW_RUN, GIVEN)
    # A server that is named, so that Prefect starts none; it is not asked.
    with temporary_settings({PREFECT_API_URL: SERVER}):
        configuration = asyncio.run(
            KubernetesWorkerJobConfiguration.from_template_and_values(made, variables)
        )
        configuration.prepare_for_flow_run(FlowRun(flow_id=uuid.uuid4(), name="a-run"))
    manifest: dict[str, Any] = configuration.job_manifest
    # Prefect insists on these two, and Kubernetes drops them.
    for name in ("parallelism", "completions"):
        assert manifest["spec"]["template"]["spec"].pop(name) == 1
    return manifest


def test_a_flow_run_becomes_a_valid_job_that_keeps_to_the_rules() -> None:
    manifest = job(env={"SYMBIO_WHERE": "kubernetes"})
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    assert kubernetes_faults([manifest]) == []
    assert manifest["metadata"]["namespace"] == "symbio"
    pod = manifest["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    accounts = {
        each["metadata"]["name"] for each in manifests("base") if each["kind"] == "ServiceAccount"
    }
    assert pod["serviceAccountName"] in accounts
    (container,) = pod["containers"]
    assert container["image"] == "symbio:0.1.0"
    assert container["args"][0] == "prefect"
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "8Gi"},
        "limits": {"memory": "8Gi", "nvidia.com/gpu": 0},
    }
    environment = {each["name"]: each for each in container["env"]}
    assert environment["SYMBIO_WHERE"]["value"] == "kubernetes"
    assert environment["PREFECT_API_URL"]["value"] == SERVER
    assert "secretKeyRef" in environment["AWS_SECRET_ACCESS_KEY"]["valueFrom"]
    # An evicted pod's run is started again by Prefect.
    assert environment["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"]["value"] == "reschedule"
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    claims = {
        each["name"]: each["persistentVolumeClaim"]["claimName"]
        for each in pod["volumes"]
        if "persistentVolumeClaim" in each
    }
    assert claims[mounts[container["workingDir"]]] == "symbio-project"


def test_network_policies_know_its_pods() -> None:
    labels = job()["spec"]["template"]["metadata"]["labels"].items()
    into = {
        policy["metadata"]["name"]
        for policy in manifests("base")
        if policy["kind"] == "NetworkPolicy"
        for rule in policy["spec"].get("ingress", [])
        for peer in rule["from"]
        if peer["podSelector"]["matchLabels"].items() <= labels
    }
    assert into == {"prefect", "mlflow", "s3", "postgres"}


def test_a_deployment_asks_for_more() -> None:
    manifest = job(gpus=4, memory="256Gi", image="registry.example/symbio:0.2.0")
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "256Gi", "nvidia.com/gpu": 4}
    assert container["image"] == "registry.example/symbio:0.2.0"


@pytest.mark.parametrize(
    ("name", "value"), [("SYMBIO_IMAGE", ""), ("SYMBIO_GPUS", "two"), ("SYMBIO_GPUS", "-1")]
)
def test_a_default_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SymbioError, match=name):
        template(FLOW_RUN, GIVEN | {name: value})


def run_pool(url: str, **changed: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **GIVEN, **changed, "PREFECT_API_URL": url}
    return subprocess.run(
        [sys.executable, "infra/kubernetes/pool.py", str(FLOW_RUN)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.slow
def test_the_pool_is_made_and_later_changed(tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolUpdate
    from prefect.settings import PREFECT_API_URL, temporary_settings

    assert POOL == KUBERNETES_POOL
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    away = run_pool(url)
    assert away.returncode == 75, away.stderr
    assert url in away.stderr
    assert "Traceback" not in away.stderr
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
        env={**os.environ, "PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"{url}/ready")
        assert run_pool(url).returncode == 0
        with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
            made = client.read_work_pool(POOL)
            assert made.type == "kubernetes"
            assert made.base_job_template == template(FLOW_RUN, GIVEN)
            client.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=3))
            assert run_pool(url, SYMBIO_GPUS="8").returncode == 0
            changed = client.read_work_pool(POOL)
        assert changed.id == made.id
        assert changed.concurrency_limit == 3
        variables = changed.base_job_template["variables"]["properties"]
        assert variables["gpus"]["default"] == 8
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert time.monotonic() < until, url
            time.sleep(0.5)
