"""Prefect, typed in the project's folder, finds the platform's server, and nothing else is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infra.local.named import name_server, unname_server


def test_prefect_itself_reads_the_address(tmp_path: Path) -> None:
    assert name_server(tmp_path, "http://127.0.0.1:4999/api")
    code = "from prefect.settings import PREFECT_API_URL; print(PREFECT_API_URL.value())"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PATH": "", "PREFECT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert told.stdout.strip() == "http://127.0.0.1:4999/api"
    unname_server(tmp_path)
    assert not (tmp_path / "prefect.toml").exists()


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text("[logging]\nlevel = 'DEBUG'\n")
    assert not name_server(tmp_path, "http://127.0.0.1:4999/api")
    unname_server(tmp_path)
    assert (tmp_path / "prefect.toml").read_text() == "[logging]\nlevel = 'DEBUG'\n"
