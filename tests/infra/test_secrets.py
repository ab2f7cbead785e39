"""Secrets: made by one command of docs/cluster.md, ignored by git, in no file of ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.files import INFRA, OVERLAYS, ROOT, SECRETS

GUIDE = ROOT / "docs" / "cluster.md"


def test_the_example_holds_names_only() -> None:
    lines = (INFRA / "secrets.env.example").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [f"{name}=" for name in SECRETS]
    assert len(SECRETS) == 12


def test_the_guide_s_command_fills_it(tmp_path: Path) -> None:
    (command,) = re.findall(r"^umask 077(?:.*\n)+?(?=```)", GUIDE.read_text(), re.MULTILINE)
    (tmp_path / "infra").mkdir()
    for overlay in OVERLAYS:
        (tmp_path / "infra" / "kubernetes" / "overlays" / overlay).mkdir(parents=True)
    shutil.copy(INFRA / "secrets.env.example", tmp_path / "infra")
    subprocess.run(["sh", "-eu", "-c", command], cwd=tmp_path, check=True, timeout=30)
    made = tmp_path / "infra" / ".env"
    assert made.stat().st_mode & 0o077 == 0
    values = dict(line.split("=") for line in made.read_text().splitlines())
    assert set(values) == set(SECRETS)
    # Long enough, all different, and no character that means anything to compose or to a URL.
    assert len(set(values.values())) == len(values)
    assert all(re.fullmatch(r"[0-9a-f]{40,}", value) for value in values.values())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
@pytest.mark.parametrize(
    "path", ["infra/.env", *(f"infra/kubernetes/overlays/{one}/secrets.env" for one in OVERLAYS)]
)
def test_git_ignores_it(path: str) -> None:
    done = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, timeout=30)
    assert done.returncode == 0


def test_the_guide_has_the_real_commands() -> None:
    text = GUIDE.read_text()
    assert "docker compose -f infra/compose.yaml up --build --detach" in text
    assert "kubectl apply -k infra/kubernetes/overlays/lab" in text
