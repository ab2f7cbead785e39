"""What every flow does first, and how a file of flows is started without a server."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

from symbio.environment import prepare_environment
from symbio.errors import SymbioError

SETTINGS = Path("prefect.toml")
"""Where Prefect itself looks for its server; `make platform` writes and removes it."""
STATE = Path(".platform")
"""Prefect's own files where no server runs; `make platform` keeps its state there too."""


def without_server(root: Path) -> None:
    """Prepare this process to run a flow with no server: call it before Prefect is imported.

    A server that PREFECT_API_URL or prefect.toml names is used, if it answers; where none is named,
    Prefect starts one for as long as the flow takes.

    Raises:
        SystemExit: the server that is named does not answer.
    """
    prepare_environment()
    url, source = _server(root)
    if url is not None and _answers(url):
        return
    if url is not None:
        sys.stderr.write(
            f"{source} names {url}, where no Prefect server answers; start it (`make platform`), "
            "or take the name away to run without one\n"
        )
        raise SystemExit(2)
    os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "true"
    home = (root / STATE / "prefect-alone").resolve()
    # Prefect's database driver makes no folders.
    home.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_HOME", str(home))
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "ERROR")


def checkout() -> Path:
    """The project's folder, in which flows run.

    Raises:
        SymbioError: this process was started elsewhere.
    """
    root = Path.cwd()
    if not (root / "dvc.yaml").is_file():
        raise SymbioError(f"{root}: is no symbio checkout (no dvc.yaml); start flows there")
    return root


def begin(dataset: str, root: Path) -> None:
    """Tag the run with data set, preset and commit of `root`; let it end with its worker."""
    from flows.orphan import end_with_the_worker
    from flows.page.tags import preset_name, tag_this_run

    prepare_environment()
    if os.environ.get("PREFECT__FLOW_RUN_ID"):
        end_with_the_worker()
    tag_this_run(dataset, preset_name(root), commit(root))


def commit(root: Path) -> str:
    """The commit that is checked out, abbreviated; "none" outside git."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "none"


def _server(root: Path) -> tuple[str | None, str]:
    """The server that Prefect will talk to, and what names it."""
    given = os.environ.get("PREFECT_API_URL")
    if given:
        return given, "PREFECT_API_URL"
    path = root / SETTINGS
    if not path.is_file():
        return None, ""
    named = tomllib.loads(path.read_text(encoding="utf-8")).get("api", {}).get("url")
    return named, str(path)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False
