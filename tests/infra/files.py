"""The files in infra/, read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
COMPOSE = INFRA / "compose.yaml"
KUBERNETES = INFRA / "kubernetes"
OVERLAYS = ("lab", "gpu")
ALONE = ("train", "study")
"""Jobs that are applied beside an overlay."""
FLOW_RUN = KUBERNETES / "base" / "flow-run.yaml"
SECRETS = tuple(
    line.removesuffix("=")
    for line in (INFRA / "secrets.env.example").read_text().splitlines()
    if line and not line.startswith("#")
)


def compose() -> dict[str, Any]:
    """compose.yaml, its merges done, its variables as they stand."""
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return read


def manifests(*folders: str) -> list[dict[str, Any]]:
    """Every Kubernetes object in the files of these folders; kustomize's own files are none."""
    return [
        document
        for folder in folders
        for path in sorted((KUBERNETES / folder).glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if path != FLOW_RUN and document["kind"] != "Kustomization"
    ]


def build(
    folder: str, aside: Path, tag: str | None = None, secrets: tuple[str, ...] = SECRETS
) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send, made by the same kustomize, with secrets that are none.

    Args:
        folder: overlays/lab, say.
        aside: an empty folder, where the files are copied to.
        tag: in place of the images' in the overlay.
        secrets: names in secrets.env; none: there is no such file.
    """
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl here")
    copy = aside / "kubernetes"
    shutil.copytree(KUBERNETES, copy, ignore=shutil.ignore_patterns("secrets.env"))
    if folder.startswith("overlays/") and secrets:
        text = "".join(f"{name}=not-a-secret\n" for name in secrets)
        (copy / folder / "secrets.env").write_text(text)
    if tag is not None:
        path = copy / folder / "kustomization.yaml"
        changed = path.read_text().replace("newTag: 0.1.0", f"newTag: {tag}")
        path.write_text(changed)
    done = subprocess.run(
        ["kubectl", "kustomize", str(copy / folder)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The only object of this kind and name."""
    (found,) = (
        each for each in documents if each["kind"] == kind and each["metadata"].get("name") == name
    )
    return found


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(object, template of its pods) of everything that has pods."""
    for document in documents:
        if "template" in document.get("spec", {}):
            yield document, document["spec"]["template"]
