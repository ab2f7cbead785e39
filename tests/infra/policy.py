"""What every container of the platform keeps to. A check returns what is wrong, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.infra.files import pods

_PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
_SECRET = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|AUTH_STRING|NOTIFY_URL")
_FROM_OUTSIDE = re.compile(r"\$\{(\w+):\?[^}]+\}")
_MAY_BE_EMPTY = {"SYMBIO_NOTIFY_URL": "${SYMBIO_NOTIFY_URL:-}"}
_PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_ID = re.compile(r"(?:\$\{\w+:-)?([1-9]\d*)\}?:(?:\$\{\w+:-)?([1-9]\d*)\}?")


def not_pinned(images: Iterable[str]) -> Iterator[str]:
    """Images without an exact version."""
    for image in images:
        if not _PINNED.fullmatch(image):
            yield f"{image}: no exact version"


def compose_faults(document: Mapping[str, Any]) -> list[str]:
    """Everything in a compose file that goes against the rules."""
    return [
        f"{name}: {fault}"
        for name, service in document["services"].items()
        for fault in _service_faults(service)
    ]


def _service_faults(service: Mapping[str, Any]) -> Iterator[str]:
    yield from not_pinned([service.get("image", "no image")])
    if not _ID.fullmatch(str(service.get("user", ""))):
        yield "may run as root"
    if service.get("read_only") is not True:
        yield "writes to its root file system"
    if service.get("cap_drop") != ["ALL"] or "cap_add" in service:
        yield "keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may gain privileges"
    for key in ("privileged", "network_mode", "pid", "ipc", "devices"):
        if key in service:
            yield f"asks for {key}"
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    for what in ("cpus", "memory", "pids"):
        if what not in limits:
            yield f"no limit on {what}"
    if service.get("restart") != "no" and "healthcheck" not in service:
        yield "nobody sees whether it is well"
    if not service.get("networks"):
        yield "is on the default network"
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            yield f"port {port} is open to other hosts"
    for mount in service.get("volumes", []):
        if "docker.sock" in str(mount):
            yield "is given the container engine"
    yield from _literal_secrets(service.get("environment", {}))


def _literal_secrets(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if _PASSWORD_IN_URL.search(str(value)):
            yield f"{name} has a password in its URL"
        if not _SECRET.search(name):
            continue
        if not _FROM_OUTSIDE.fullmatch(str(value)) and value != _MAY_BE_EMPTY.get(name, 0):
            yield f"{name} does not come from the environment, with a word on what to set"


def kubernetes_faults(documents: list[dict[str, Any]]) -> list[str]:
    """Everything in Kubernetes objects that goes against the rules."""
    faults = []
    for document, template in pods(documents):
        name = f"{document['kind']} {document['metadata'].get('name')}"
        faults += [f"{name}: {fault}" for fault in _pod_faults(template["spec"])]
        lasting = document["kind"] in ("Deployment", "StatefulSet")
        for container in template["spec"].get("initContainers", []):
            faults += [f"{name}: {fault}" for fault in _container_faults(container, lasting=False)]
        for container in template["spec"]["containers"]:
            faults += [f"{name}: {fault}" for fault in _container_faults(container, lasting)]
    return faults


def _pod_faults(pod: Mapping[str, Any]) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "may run as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    if "automountServiceAccountToken" not in pod:
        yield "does not say whether it talks to Kubernetes"
    if pod.get("enableServiceLinks") is not False:
        yield "gets PREFECT_PORT and MLFLOW_PORT from Kubernetes"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"asks for {key}"
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for name, volume in volumes.items():
        if "hostPath" in volume:
            yield f"volume {name} is a folder of the node"
        if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
            yield f"volume {name} has no limit"


def _container_faults(container: Mapping[str, Any], lasting: bool) -> Iterator[str]:
    name = container["name"]
    for fault in not_pinned([container["image"]]):
        yield f"{name}: {fault}"
    security = container.get("securityContext", {})
    if security != {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }:
        yield f"{name}: has more rights than it needs"
    resources = container.get("resources", {})
    if "memory" not in resources.get("limits", {}) or "cpu" not in resources.get("requests", {}):
        yield f"{name}: no limits"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if lasting and probe not in container:
            yield f"{name}: no {probe}"
    for variable in container.get("env", []):
        if _PASSWORD_IN_URL.search(str(variable.get("value", ""))):
            yield f"{name}: {variable['name']} has a password in its URL"
        if _SECRET.search(variable["name"]) and "secretKeyRef" not in variable.get("valueFrom", {}):
            yield f"{name}: {variable['name']} does not come from a Secret"


Side = tuple[frozenset[tuple[str, str]], int]
"""Labels and port at one end."""


def one_sided(policies: list[dict[str, Any]]) -> list[str]:
    """Ways that one side's NetworkPolicy opens and the other's does not, within the namespace."""
    goes, comes = set(), set()
    for policy in policies:
        spec = policy["spec"]
        here = frozenset(spec["podSelector"].get("matchLabels", {}).items())
        for rule in spec.get("egress", []):
            goes |= {(here, there, port) for there, port in _ends(rule, "to")}
        for rule in spec.get("ingress", []):
            comes |= {(there, here, port) for there, port in _ends(rule, "from")}
    shut = {frozenset(p["spec"]["podSelector"].get("matchLabels", {}).items()) for p in policies}
    return [
        f"{dict(one)} -> {dict(two)}:{port}"
        for one, two, port in goes ^ comes
        # Whose policy is in another folder (trainings, studies) is not looked at here.
        if one in shut and two in shut
    ]


def _ends(rule: Mapping[str, Any], key: str) -> Iterator[Side]:
    for peer in rule.get(key, []):
        if "podSelector" in peer:
            labels = frozenset(peer["podSelector"]["matchLabels"].items())
            for port in rule.get("ports", [{"port": 0}]):
                yield labels, port["port"]
