"""What Slurm says of nodes and ranks.

The variables of the job *step* are read, which only `srun` sets: those of the job stand in a batch
script too, and a batch script is no task.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from symbio.errors import SymbioError

_FIRST_PORT = 20000
_PORTS = 20000


def nodes_from(environment: Mapping[str, str]) -> dict[str, str]:
    """`nodes`, `node_rank` and `master` of a step with one task a node; {} outside a step.

    Raises:
        SymbioError: the step has several tasks on a node, or its first host cannot be found.
    """
    if "SLURM_STEP_NUM_TASKS" not in environment:
        return {}
    nodes, tasks = environment["SLURM_STEP_NUM_NODES"], environment["SLURM_STEP_NUM_TASKS"]
    if nodes != tasks:
        raise SymbioError(
            f"srun started {tasks} tasks on {nodes} nodes; `symbio train` starts the ranks of a "
            "node itself: use --ntasks-per-node=1 (or let each task run `python -m symbio.train`)"
        )
    found = {"nodes": nodes, "node_rank": environment.get("SLURM_NODEID", "0")}
    if int(nodes) > 1 and "SYMBIO_MASTER" not in environment:
        found["master"] = f"{_first_host(environment)}:{_port(environment)}"
    return found


def rank_from(environment: Mapping[str, str]) -> dict[str, str]:
    """RANK, WORLD_SIZE ... of a step whose tasks are ranks; {} outside a step, or if they are set.

    Raises:
        SymbioError: the step's first host cannot be found.
    """
    if "RANK" in environment or "SLURM_STEP_NUM_TASKS" not in environment:
        return {}
    if environment["SLURM_STEP_NUM_TASKS"] == "1":
        return {}
    return {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "GROUP_RANK": environment["SLURM_NODEID"],
        "MASTER_ADDR": environment.get("MASTER_ADDR") or _first_host(environment),
        "MASTER_PORT": environment.get("MASTER_PORT") or str(_port(environment)),
    }


def _port(environment: Mapping[str, str]) -> int:
    """The same on all nodes of a job, and another for the next job."""
    return _FIRST_PORT + int(environment["SLURM_JOB_ID"]) % _PORTS


def _first_host(environment: Mapping[str, str]) -> str:
    command = ["scontrol", "show", "hostnames", environment["SLURM_STEP_NODELIST"]]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise SymbioError(
            f"`{' '.join(command)}` failed ({error}); set SYMBIO_MASTER=HOST:PORT (or, for tasks "
            "that are ranks, MASTER_ADDR and MASTER_PORT) in the batch script, HOST being the "
            "first node"
        ) from error
    return told.stdout.split()[0]
