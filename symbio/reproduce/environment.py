"""The libraries that a version is made again with: of its own commit, or those that are here."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.lineage.collect import machine_devices
from symbio.progress import say
from symbio.ranks.ending import FAILED

_LIST = """
import importlib.metadata, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_OF_THIS_ONE = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter, and what is not as it was."""

    python: Path
    differences: tuple[str, ...]
    """"torch 2.13.0 instead of 2.12.1"; libraries, Python, devices."""


def this_environment(lineage: Mapping[str, Any]) -> Environment:
    """The interpreter of this process."""
    return _compared(Path(sys.executable), lineage)


def fresh_environment(checkout: Path, lineage: Mapping[str, Any]) -> Environment:
    """`make setup` in the checkout: what its own lock names, checked by hashes; minutes.

    Raises:
        SymbioError: it failed; its own messages stand above.
    """
    say(f"{checkout}: `make setup` installs what its requirements.lock names")
    done = subprocess.run(
        ["make", "setup", f"PYTHON={_python(lineage)}"],
        cwd=checkout,
        env={key: one for key, one in os.environ.items() if key not in _OF_THIS_ONE},
        check=False,
    )
    if done.returncode:
        raise SymbioError(
            f"{checkout}: `make setup` failed (its message is above); the same command goes on "
            "from here, --same-environment uses the libraries that are installed here",
            FAILED,
        )
    return _compared((checkout / ".venv" / "bin" / "python").absolute(), lineage)


def _python(lineage: Mapping[str, Any]) -> str:
    """The Python of the training where there is one, else this process's."""
    minor = ".".join(str(lineage["python"]).split(".")[:2])
    if minor == ".".join(platform.python_version_tuple()[:2]):
        return sys.executable
    return shutil.which(f"python{minor}") or sys.executable


def _compared(python: Path, lineage: Mapping[str, Any]) -> Environment:
    recorded = {"python": lineage["python"], **lineage["versions"]}
    command = [str(python), "-c", _LIST, *lineage["versions"]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    told = [
        f"{name} {found.get(name, 'is not installed')} instead of {version}"
        for name, version in recorded.items()
        if found.get(name) != version
    ]
    devices, before = machine_devices(), list(lineage["devices"])
    if devices != before:
        told.append(f"{', '.join(devices)} instead of {', '.join(before)}")
    return Environment(python, tuple(told))
