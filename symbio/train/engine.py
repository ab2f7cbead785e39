"""The DeepSpeed engine: its configuration from `train` of params.yaml, and its optimiser.

DeepSpeed 0.19 imports MLflow for its autotuner (two seconds a rank) and would compile a
shared-memory extension for inference at start; neither is wanted here. An entry None in
sys.modules makes `import mlflow` raise ImportError, which DeepSpeed expects and survives.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from symbio.params import TrainParams
from symbio.train.batching import accumulation

_BUCKET_NUMBERS = int(5e8)
_ALIGNMENT = 1024


def import_deepspeed() -> Any:
    """Import DeepSpeed without MLflow, without compiled extensions and without its chatter."""
    if "deepspeed" not in sys.modules:
        had_mlflow = "mlflow" in sys.modules
        if not had_mlflow:
            sys.modules["mlflow"] = None  # type: ignore[assignment]
        if not torch.cuda.is_available():
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
        os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "error")
        import deepspeed

        if not had_mlflow:
            del sys.modules["mlflow"]
        logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return sys.modules["deepspeed"]


def engine_config(params: TrainParams, world: int, num_weights: int, universal: bool) -> Any:
    """DeepSpeed's configuration.

    bf16 is torch's autocast: DeepSpeed's own bf16 mode casts the module itself and breaks
    MaxViT's fused norm layers.

    Args:
        params: section `train`.
        world: number of ranks.
        num_weights: trainable numbers of the network; buckets need not be larger.
        universal: load a checkpoint that was converted for another number of ranks.

    Raises:
        SymbioError: see `accumulation`.
    """
    bucket = min(_BUCKET_NUMBERS, -(-num_weights // _ALIGNMENT) * _ALIGNMENT)
    zero: dict[str, Any] = {
        "stage": params.zero_stage,
        "reduce_bucket_size": bucket,
        "allgather_bucket_size": bucket,
        # Gloo has no reduce-scatter: DeepSpeed would reduce piece by piece, rank by rank.
        "reduce_scatter": torch.cuda.is_available(),
    }
    if params.zero_stage == 3:
        # Every weight partitioned, none kept whole: the averaged weights rely on it (ema.py).
        zero |= {"stage3_param_persistence_threshold": 0, "stage3_prefetch_bucket_size": bucket}
    config: dict[str, Any] = {
        "train_batch_size": params.batch,
        "train_micro_batch_size_per_gpu": params.micro_batch,
        "gradient_accumulation_steps": accumulation(params, world),
        "gradient_clipping": params.clip_norm if params.zero_stage > 0 else 0.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "checkpoint": {"load_universal": universal},
    }
    if params.precision == "bf16":
        config["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
    return config


class GatedAdamW(torch.optim.AdamW):
    """AdamW whose next update can be withheld, whatever the ZeRO stage around it does."""

    withheld = False

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update, unless `withheld`: then weights, moments and step count stay as they are."""
        return None if self.withheld else super().step(closure)


def decaying_and_not(module: nn.Module) -> tuple[list[str], list[str]]:
    """The names of the optimiser's two groups of weights, in its order.

    Norms, biases and tables of position biases (fewer than two axes) do not decay. For a module
    outside an engine: ZeRO-3 flattens weights.
    """
    weights = [(name, w) for name, w in module.named_parameters() if w.requires_grad]
    return [name for name, w in weights if w.ndim > 1], [n for n, w in weights if w.ndim <= 1]


def build_optimizer(module: nn.Module, params: TrainParams) -> GatedAdamW:
    """AdamW over the two groups of `decaying_and_not`."""
    decaying, others = (
        [module.get_parameter(name) for name in names] for names in decaying_and_not(module)
    )
    return GatedAdamW(
        [
            {"params": decaying, "weight_decay": params.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=params.lr,
    )


def build_engine(
    module: nn.Module, params: TrainParams, world: int, universal: bool
) -> tuple[Any, GatedAdamW]:
    """Wrap `module` (on the rank's device) in DeepSpeed; the process group is open.

    Returns:
        DeepSpeed's engine and the optimiser inside it.
    """
    deepspeed = import_deepspeed()
    num_weights = sum(w.numel() for w in module.parameters() if w.requires_grad)
    config = engine_config(params, world, num_weights, universal)
    deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)
    optimizer = build_optimizer(module, params)
    engine, *_ = deepspeed.initialize(model=module, optimizer=optimizer, config=config)
    if world == 1 and params.zero_stage == 0:
        engine.enable_backward_allreduce = False  # it would copy every gradient there and back
    return engine, optimizer


def communication_backend() -> Any:
    """The object through which DeepSpeed makes its exchanges, once an engine is built."""
    return import_deepspeed().comm.comm.cdb


def clip_gradients(engine: Any, clip_norm: float) -> float | None:
    """Clip the reduced gradients where DeepSpeed does not: at stage 0, each rank holds all of them.

    Its own clipping would compute the norm a second time and exchange it among the ranks.

    Returns:
        Their norm before, which is not finite where a gradient is not; None at other stages,
        where DeepSpeed clips and withholds what is not finite.
    """
    if engine.zero_optimization_stage() > 0:
        return None
    weights = [weight for weight in engine.module.parameters() if weight.grad is not None]
    gradients: list[Tensor] = [weight.grad for weight in weights]
    norm = torch.nn.utils.get_total_norm(gradients)
    torch.nn.utils.clip_grads_with_norm_(weights, clip_norm, norm)
    return float(norm)
