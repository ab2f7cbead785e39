"""What the machine does while a run trains, sampled into a journal of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import psutil

SAMPLE_EVERY_S = 10.0

_GPU_QUERY = "utilization.gpu,memory.used,memory.total,power.draw"
_MIB = 2**20


class SystemSampler:
    """Appends a line of `system/...` metrics every SAMPLE_EVERY_S; the step is the sample's number.

    Numbering goes on where an earlier part of the same run stopped.
    """

    def __init__(self, journal: Path, disk: Path) -> None:
        self._journal = journal
        self._disk = disk
        # From 1: what a run has at step 0 (its evaluation) is taken for its model's scores.
        self._step = _num_lines(journal) + 1
        self._due = 0.0
        self._has_gpu = shutil.which("nvidia-smi") is not None
        psutil.cpu_percent()

    def sample_if_due(self) -> None:
        """Take a sample when it is time; a full disk is passed over (the training will say so)."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + SAMPLE_EVERY_S
        record = {"step": self._step, "time": time.time(), "metrics": self.measure()}
        try:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError:
            return
        self._step += 1

    def measure(self) -> dict[str, float]:
        """The machine now: percent, MiB, watts."""
        memory = psutil.virtual_memory()
        values = {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": memory.used / _MIB,
            "system/system_memory_usage_percentage": memory.percent,
            "system/disk_usage_percentage": psutil.disk_usage(str(self._disk)).percent,
        }
        for index, gpu in enumerate(self._gpus()):
            used, size = gpu[1], gpu[2]
            values[f"system/gpu_{index}_utilization_percentage"] = gpu[0]
            values[f"system/gpu_{index}_memory_usage_megabytes"] = used
            values[f"system/gpu_{index}_memory_usage_percentage"] = 100.0 * used / max(size, 1.0)
            values[f"system/gpu_{index}_power_usage_watts"] = gpu[3]
        return values

    def _gpus(self) -> list[tuple[float, ...]]:
        if not self._has_gpu:
            return []
        command = ["nvidia-smi", f"--query-gpu={_GPU_QUERY}", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            return [tuple(_number(cell) for cell in row.split(",")) for row in _rows(done.stdout)]
        except (OSError, subprocess.SubprocessError):
            self._has_gpu = False
            return []


def _rows(text: str) -> list[str]:
    return [row for row in text.splitlines() if row.count(",") == 3]


def _number(cell: str) -> float:
    """A cell of nvidia-smi; "[N/A]" is NaN."""
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _num_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0
