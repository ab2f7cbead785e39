"""What one rank knows of itself before a run starts: host, device, code, libraries, data."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

import symbio
from symbio.errors import SymbioError
from symbio.files import sha256_of
from symbio.lineage.collect import LOCK_FILE, git_state
from symbio.params import Params
from symbio.ranks.place import Place
from symbio.train.claim import recipe_of
from symbio.train.paths import Paths
from symbio.train.watch.device import device_name

LIBRARIES = ("torch", "deepspeed", "timm", "numpy")

_NODE_VARIABLE = "GROUP_RANK"
_BYTES_A_PARAMETER = 24
"""Weights, a master copy and two moments in float32; and the weights of two exports."""
_SPARE_BYTES = 16 * 2**20
_DATA = {"data.prepared": "prepared", "data.pseudo": "pseudo"}


Host = tuple[str, str | None]
"""Name, and which of the launcher's hosts: names need not differ."""


@dataclass(frozen=True, slots=True)
class Code:
    """The code of a host; None where it cannot be told."""

    commit: str | None
    """Of the project, where that is a git checkout."""
    changes: str | None
    """Digest of what is not committed; None: nothing."""
    package: str
    """Digest of the source files of the `symbio` that runs."""
    lock: str | None
    """Digest of requirements.lock."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One rank's."""

    rank: int
    host: str
    node: str | None
    """Which host of the launcher's, where it says so."""
    device: str
    memory_free: int
    """Bytes, of the GPU; on the CPU of the host."""
    memory_total: int
    checkpoints: str
    """Folder of the checkpoints, as this rank calls it."""
    disk_free: int
    """Bytes, there."""
    disk_needed: int
    """Bytes of a checkpoint and of the networks that are exported."""
    versions: dict[str, str]
    settings: dict[str, Any]
    """What must be the same on all ranks: dotted key of params.yaml, or flag -> value."""
    data: dict[str, str | None]
    """Folder -> digest; None where the run does not read it."""
    problem: str | None
    """Why settings and data are empty."""
    code: Code | None
    """From one rank of each host."""
    clock: float = 0.0
    """Seconds since 1970, at the same moment on all ranks."""


def facts_of(
    params: Params,
    paths: Paths,
    resume: str,
    network: nn.Module,
    place: Place,
    device: torch.device,
) -> Facts:
    """Collect this rank's facts, its clock left out; takes a tenth of a second.

    Args:
        params: as this rank has them.
        paths: of this rank.
        resume: this rank's `--resume`.
        network: that will be trained.
        place: which rank this is.
        device: the rank's.
    """
    settings, data, problem = _run_facts(params, paths, resume)
    free, total = _memory(device)
    return Facts(
        rank=place.rank,
        host=socket.gethostname(),
        node=os.environ.get(_NODE_VARIABLE),
        device=device_name(device),
        memory_free=free,
        memory_total=total,
        checkpoints=str(paths.run.parent),
        disk_free=_disk_free(paths.run),
        disk_needed=_SPARE_BYTES
        + _BYTES_A_PARAMETER * sum(weight.numel() for weight in network.parameters()),
        versions=_versions(),
        settings=settings,
        data=data,
        problem=problem,
        code=_code(paths.root) if place.local_rank == 0 else None,
    )


def hosts_of(every: Sequence[Facts]) -> dict[Host, list[Facts]]:
    """The ranks of each host, in the order of their lowest ranks."""
    hosts: dict[Host, list[Facts]] = {}
    for facts in every:
        hosts.setdefault((facts.host, facts.node), []).append(facts)
    return hosts


def ranks_text(ranks: Sequence[int]) -> str:
    """Numbers in words: 0,1 or 0-7,9."""
    parts: list[list[int]] = []
    for rank in sorted(ranks):
        if parts and rank == parts[-1][-1] + 1:
            parts[-1].append(rank)
        else:
            parts.append([rank])
    return ",".join(
        f"{part[0]}-{part[-1]}" if len(part) > 2 else ",".join(map(str, part)) for part in parts
    )


def _run_facts(
    params: Params, paths: Paths, resume: str
) -> tuple[dict[str, Any], dict[str, str | None], str | None]:
    try:
        recipe = recipe_of(params, paths)
    except SymbioError as error:
        return {}, {}, str(error)
    data = {str(getattr(paths, name)): recipe.pop(key) for key, name in _DATA.items()}
    # Keys that change no result count too: ranks that checkpoint at other steps wait for ever.
    train = params.train.model_dump(mode="json").items()
    numbers = {f"train.{key}": value for key, value in train if not isinstance(value, dict)}
    return {**recipe, **numbers, "--resume": resume}, data, None


def _code(root: Path) -> Code:
    git, lock = git_state(root), root / LOCK_FILE
    return Code(
        commit=git.commit,
        changes=hashlib.sha256(git.diff.encode("utf-8", "surrogateescape")).hexdigest()
        if git.dirty
        else None,
        package=_package_digest(Path(symbio.__file__).parent),
        lock=sha256_of(lock) if lock.is_file() else None,
    )


def _package_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}:{sha256_of(path)};".encode())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {"symbio": symbio.__version__, "python": platform.python_version()}
    for library in LIBRARIES:
        # torch's own word names its build (+cu130), which the package's metadata does not.
        found[library] = (
            str(torch.__version__) if library == "torch" else importlib.metadata.version(library)
        )
    return found


def _memory(device: torch.device) -> tuple[int, int]:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return int(free), int(total)
    memory = psutil.virtual_memory()
    return int(memory.available), int(memory.total)


def _disk_free(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
