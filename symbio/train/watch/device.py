"""What a rank computes on: its name, how fast it could be, how much memory was taken."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from symbio.ranks.memory import resident_peak


class Peak(NamedTuple):
    """Highest rates in FLOP/s that a vendor states, dense: a sparse rate is twice as high."""

    bf16: float
    tf32: float
    fp32: float


_PEAKS: tuple[tuple[str, Peak], ...] = (
    # NVIDIA H200 Tensor Core GPU datasheet: SXM, and NVL.
    (r"H200 NVL", Peak(835e12, 418e12, 60e12)),
    (r"H200", Peak(989e12, 494e12, 67e12)),
    # NVIDIA H100 Tensor Core GPU datasheet: NVL, PCIe, and SXM ("H100 80GB HBM3").
    (r"H100 NVL", Peak(835e12, 418e12, 60e12)),
    (r"H100 PCIe", Peak(756e12, 378e12, 51e12)),
    (r"H100 80GB HBM3|H100 SXM", Peak(989e12, 494e12, 67e12)),
    # NVIDIA A100 Tensor Core GPU datasheet, all forms.
    (r"A100", Peak(312e12, 156e12, 19.5e12)),
    # NVIDIA A10 datasheet.
    (r"A10", Peak(125e12, 62.5e12, 31.2e12)),
    # NVIDIA L40S datasheet.
    (r"L40S", Peak(362e12, 183e12, 91.6e12)),
    # NVIDIA L4 datasheet.
    (r"L4", Peak(121e12, 60e12, 30.3e12)),
    # NVIDIA Ada GPU architecture whitepaper, appendix A: RTX 4090, sums in FP32.
    (r"RTX 4090$", Peak(165.2e12, 82.6e12, 82.6e12)),
    # NVIDIA Ampere GA102 whitepaper: RTX 3090, sums in FP32.
    (r"RTX 3090$", Peak(71e12, 35.6e12, 35.6e12)),
)


def device_name(device: torch.device) -> str:
    """The GPU's name, or "cpu: " and the processor's."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu: {_processor()}"


def peak_flops(name: str, precision: str) -> float | None:
    """FLOP/s that a device reaches at most in a run of this precision; None where not known.

    Under fp32 PyTorch runs convolutions in TF32 unless told not to
    (torch.backends.cudnn.allow_tf32), so the rate of TF32 is what bounds the run; with TF32
    switched off everywhere it is the rate of FP32.

    Args:
        name: from `device_name`.
        precision: `train.precision`, "bf16" or "fp32".
    """
    known = next((peak for pattern, peak in _PEAKS if re.search(rf"\b(?:{pattern})\b", name)), None)
    if known is None:
        return None
    if precision == "bf16":
        return known.bf16
    tf32 = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    return known.tf32 if tf32 else known.fp32


def bytes_now(device: torch.device) -> int:
    """GPU memory held by tensors of this process; on the CPU its resident memory."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def bytes_peak(device: torch.device) -> int:
    """The most that `bytes_now` has been in this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    # Not ru_maxrss: on Linux it starts with the memory of the process that started this one.
    return resident_peak() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")
