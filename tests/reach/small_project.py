"""A DVC project of seconds: three stages, one of which makes a folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

PIPELINE = """\
stages:
  many:
    cmd: python make.py many
    outs: [many]
  one:
    cmd: python make.py one
    deps: [many]
    outs: [one]
  other:
    cmd: python make.py other
    outs: [other]
"""
MAKE = """\
import pathlib, random, sys
draw = random.Random(sys.argv[1])
if sys.argv[1] == "many":
    pathlib.Path("many").mkdir()
    for index in range(6):
        pathlib.Path("many", str(index)).write_bytes(draw.randbytes(100_000))
else:
    pathlib.Path(sys.argv[1]).write_bytes(draw.randbytes(3_000_000))
"""


def make_small_project(folder: Path, *stages: str) -> Path:
    """Write the project and run `stages`."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text(
        "[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n"
        "    site_cache_dir = .dvc/tmp/site\n"
    )
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "make.py").write_text(MAKE)
    if stages:
        dvc(folder, "repro", *stages)
    return folder


def copy_without_data(project: Path, folder: Path) -> Path:
    """What a clone on another machine has: the description and dvc.lock."""
    make_small_project(folder)
    (folder / "dvc.lock").write_bytes((project / "dvc.lock").read_bytes())
    return folder


def dvc(project: Path, *arguments: str) -> str:
    """Run a DVC command; what it printed. Fails on any exit code but 0."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        env={**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def contents(project: Path, *names: str) -> dict[str, str]:
    """SHA-256 of each file of these outputs."""
    roots = [project / name for name in names]
    files = [path for root in roots for path in (root.rglob("*") if root.is_dir() else [root])]
    return {
        str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }
