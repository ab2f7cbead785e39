"""infra/kubernetes: every manifest and what kustomize makes of them, by Kubernetes' own schemas."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.infra.files import ALONE, KUBERNETES, OVERLAYS, SECRETS, build, manifests, one, pods
from tests.infra.policy import kubernetes_faults, one_sided

VERSION = kubernetes_validate.latest_version()
BUILT = tuple(f"overlays/{name}" for name in OVERLAYS)


def validate(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[dict[str, Any]]]:
    """What `kubectl apply -k` sends for a folder; made once."""
    known: dict[str, list[dict[str, Any]]] = {}

    def made(folder: str) -> list[dict[str, Any]]:
        if folder not in known:
            known[folder] = build(folder, tmp_path_factory.mktemp("kustomize"))
        return copy.deepcopy(known[folder])

    return made


@pytest.mark.parametrize("folder", ["base", *ALONE])
def test_every_manifest_is_valid(folder: str) -> None:
    for document in manifests(folder):
        validate(document)


@pytest.mark.parametrize("folder", [*BUILT, *ALONE])
def test_what_kustomize_builds_is_valid(
    folder: str, built: Callable[[str], list[dict[str, Any]]]
) -> None:
    documents = built(folder)
    for document in documents:
        validate(document)
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == "symbio"
    assert kubernetes_faults(documents) == []


def test_the_schemas_see_a_mistake() -> None:
    document = one(manifests("base"), "Deployment", "mlflow")
    document["spec"]["template"]["spec"]["container"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="container"):
        validate(document)


def test_every_pod_keeps_to_the_rules() -> None:
    assert kubernetes_faults(manifests("base", *ALONE)) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("containers/0/image", "symbio", "no exact version"),
        ("containers/0/image", "symbio:latest", "no exact version"),
        ("containers/0/image", "symbio@sha256:" + "0" * 64, "no exact version"),
        ("containers/0/securityContext", None, "more rights"),
        ("containers/0/securityContext/readOnlyRootFilesystem", False, "more rights"),
        ("containers/0/securityContext/capabilities", {"add": ["SYS_ADMIN"]}, "more rights"),
        ("containers/0/resources/limits", {"cpu": "1"}, "no limits"),
        ("containers/0/livenessProbe", None, "no livenessProbe"),
        ("containers/0/startupProbe", None, "no startupProbe"),
        ("containers/0/readinessProbe", None, "no readinessProbe"),
        ("securityContext/runAsNonRoot", None, "may run as root"),
        ("securityContext/runAsUser", 0, "may run as root"),
        ("securityContext/seccompProfile", None, "no seccomp profile"),
        ("automountServiceAccountToken", None, "talks to Kubernetes"),
        ("enableServiceLinks", None, "MLFLOW_PORT"),
        ("hostNetwork", True, "asks for hostNetwork"),
        ("volumes/0", {"name": "temporary", "hostPath": {"path": "/"}}, "folder of the node"),
        ("volumes/0/emptyDir", {}, "has no limit"),
        ("containers/0/env/2", {"name": "PGPASSWORD", "value": "x"}, "come from a Secret"),
        ("containers/0/env/0/value", "postgresql://mlflow:x@postgres/mlflow", "password in its"),
    ],
)
def test_a_fault_is_seen(path: str, value: Any, fault: str) -> None:
    document = one(manifests("base"), "Deployment", "mlflow")
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split("/")]
    place: Any = document["spec"]["template"]["spec"]
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    (found,) = kubernetes_faults([document])
    assert fault in found


@pytest.mark.parametrize("folder", BUILT)
def test_every_name_leads_somewhere(
    folder: str, built: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Volumes, claims, configuration, secrets, accounts, selectors and ports."""
    documents = built(folder)
    names = {(each["kind"], each["metadata"]["name"]) for each in documents}
    secret = one(documents, "Secret", "symbio-secrets")
    assert set(secret["data"]) == set(SECRETS)
    for document, template in pods(documents):
        pod = template["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        volumes |= {
            claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])
        }
        if "serviceAccountName" in pod:
            assert ("ServiceAccount", pod["serviceAccountName"]) in names
        for volume in pod.get("volumes", []):
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in names
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= volumes
            # The root file system is read-only, and programs want a /tmp.
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
            for source in container.get("envFrom", []):
                assert ("ConfigMap", source["configMapRef"]["name"]) in names
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference and not reference.get("optional"):
                    assert reference["name"] == "symbio-secrets"
                    assert reference["key"] in SECRETS
    for service in (each for each in documents if each["kind"] == "Service"):
        (found,) = (
            template
            for _, template in pods(documents)
            if service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        )
        (port,) = service["spec"]["ports"]
        offered = {each["name"]: each for each in found["spec"]["containers"][0]["ports"]}
        assert offered[port["targetPort"]]["containerPort"] == port["port"]


def test_the_network_is_shut_but_for_what_both_sides_open() -> None:
    policies = [each for each in manifests("base", *ALONE) if each["kind"] == "NetworkPolicy"]
    nobody = one(policies, "NetworkPolicy", "nobody")["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert one_sided(policies) == []
    into_postgres = one(policies, "NetworkPolicy", "postgres")["spec"]["ingress"]
    assert [peer["podSelector"]["matchLabels"] for peer in into_postgres[0]["from"]] == [
        {"app.kubernetes.io/name": "mlflow"},
        {"app.kubernetes.io/name": "prefect"},
        {"app.kubernetes.io/component": "flow-run"},
        {"app.kubernetes.io/name": "symbio-study"},
    ]
    # Nobody goes everywhere: a rule names pods, addresses outside the cluster, or a few ports.
    for policy in policies:
        for rule in policy["spec"].get("egress", []):
            assert rule.get("to") or rule.get("ports")
            assert {"podSelector": {}} not in rule.get("to", [])


def test_a_door_with_one_side_is_seen() -> None:
    policies = [each for each in manifests("base") if each["kind"] == "NetworkPolicy"]
    worker = one(policies, "NetworkPolicy", "worker")
    worker["spec"]["egress"][0]["ports"][0]["port"] = 4201
    assert len(one_sided(policies)) == 2


def test_the_worker_may_do_what_prefect_asks_of_it_and_no_more() -> None:
    documents = manifests("base")
    rules = one(documents, "Role", "worker")["rules"]
    allowed = {
        (resource, verb)
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert {("jobs", verb) for verb in ("create", "delete", "get", "list", "watch")} <= allowed
    assert {("pods", verb) for verb in ("get", "list", "watch")} <= allowed
    assert ("pods/log", "get") in allowed
    assert not {resource for resource, _ in allowed} & {"secrets", "pods/exec", "*"}
    assert not {verb for _, verb in allowed} & {"*", "impersonate", "escalate", "bind"}
    assert not [each for each in documents if each["kind"].startswith("Cluster")]
    # Prefect looks at the whole cluster unless it is told one namespace.
    pod = one(documents, "Deployment", "worker")["spec"]["template"]["spec"]
    where = {each["name"]: each for each in pod["containers"][0]["env"]}
    field = where["PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES"]["valueFrom"]
    assert field == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    for document, template in pods(documents):
        talks = document["metadata"]["name"] == "worker"
        assert template["spec"]["automountServiceAccountToken"] is talks


@pytest.mark.parametrize(
    ("folder", "mode", "gpus"), [("lab", "ReadWriteOnce", "0"), ("gpu", "ReadWriteMany", "1")]
)
def test_an_overlay_fits_its_machines(
    folder: str, mode: str, gpus: str, built: Callable[[str], list[dict[str, Any]]]
) -> None:
    documents = built(f"overlays/{folder}")
    claim = one(documents, "PersistentVolumeClaim", "symbio-project")
    assert claim["spec"]["accessModes"] == [mode]
    given = variables(one(documents, "Job", "register"), "pool")
    assert given["SYMBIO_GPUS"] == gpus
    for name in ("postgres", "s3"):
        (template,) = one(documents, "StatefulSet", name)["spec"]["volumeClaimTemplates"]
        assert template["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert template["metadata"]["name"] == "data"


def test_flow_runs_get_the_image_of_the_worker(tmp_path: Path) -> None:
    documents = build("overlays/gpu", tmp_path, tag="9.8.7")
    assert variables(one(documents, "Job", "register"), "pool")["SYMBIO_IMAGE"] == "symbio:9.8.7"
    images = {
        container["image"]
        for _, template in pods(documents)
        for container in template["spec"]["containers"]
    }
    assert {image for image in images if image.startswith("symbio:")} == {"symbio:9.8.7"}


def variables(job: dict[str, Any], container: str) -> dict[str, str]:
    (found,) = (
        each for each in job["spec"]["template"]["spec"]["containers"] if each["name"] == container
    )
    return {each["name"]: each.get("value") for each in found["env"]}


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_overlay_builds_without_its_secrets(name: str, tmp_path: Path) -> None:
    kustomization = (KUBERNETES / "overlays" / name / "kustomization.yaml").read_text()
    (generator,) = yaml.safe_load(kustomization)["secretGenerator"]
    assert generator["envs"] == ["secrets.env"]
    assert "literals" not in generator
    with pytest.raises(AssertionError, match=r"secrets\.env"):
        build(f"overlays/{name}", tmp_path, secrets=())
