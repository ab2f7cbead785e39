"""What a rank on a CPU takes before its own network: `python -m symbio.plan.baseline`.

A process imports what a rank imports, opens a process group and DeepSpeed's engine around a
network of a few numbers, takes one step with a convolution and an attention in it, and says how
much memory it has then: libraries, engine, and the kernels that are made on first use.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from symbio.errors import SymbioError
from symbio.params import Params, parse_params

STAGES = (0, 1, 2, 3)
_TIMEOUT_S = 120.0


class Baseline:
    """The measurement, running beside other work."""

    def __init__(self, params: Params) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "symbio.plan.baseline"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**_without_launcher(), "CUDA_VISIBLE_DEVICES": ""},
        )
        assert self._process.stdin is not None
        self._process.stdin.write(params.model_dump_json())
        self._process.stdin.close()
        self._process.stdin = None

    def result(self) -> dict[int, int]:
        """Bytes by ZeRO stage, once it is done.

        Raises:
            SymbioError: the process failed.
        """
        try:
            printed, said = self._process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self.close()
            raise SymbioError(f"an empty rank did not start within {_TIMEOUT_S:.0f} s") from error
        if self._process.returncode != 0:
            raise SymbioError(f"an empty rank could not be started:\n{said[-2000:]}")
        return {int(stage): held for stage, held in json.loads(printed.splitlines()[-1]).items()}

    def close(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def main() -> None:
    """Measure the engine of every ZeRO stage in turn and print bytes by stage as JSON."""
    params = parse_params(json.load(sys.stdin), "the params handed over")
    import torch
    from torch import Tensor, nn

    # Imported for what it brings with it: all that a rank of training imports.
    import symbio.train.rank  # noqa: F401
    from symbio.ranks import group
    from symbio.ranks.place import Place
    from symbio.train.engine import build_engine
    from symbio.train.watch.device import bytes_now

    class Small(nn.Module):
        """A convolution, a norm, an attention and a linear layer."""

        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 16, 3, padding=1)
            self.norm = nn.BatchNorm2d(16)
            self.linear = nn.Linear(16, 16)

        def forward(self, image: Tensor) -> Tensor:
            image = image.contiguous(memory_format=torch.channels_last)
            tokens = self.norm(self.convolution(image)).flatten(2).transpose(1, 2)
            mixed = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
            loss: Tensor = self.linear(mixed).square().mean()
            return loss

    device = torch.device("cpu")
    group.join(Place(0, 1, 0), device)
    held = {}
    for stage in STAGES:
        one = {"batch": 1, "micro_batch": 1, "zero_stage": stage}
        engine, _ = build_engine(Small(), params.train.model_copy(update=one), 1, False)
        engine.backward(engine(torch.zeros(1, 3, 16, 16)))
        engine.step()
        held[stage] = bytes_now(device)
    sys.stdout.write(json.dumps(held) + "\n")
    sys.stdout.flush()
    # Interpreter shutdown would wait for communication threads.
    os._exit(0)


def _without_launcher() -> dict[str, str]:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    return {name: value for name, value in os.environ.items() if name not in names}


if __name__ == "__main__":
    main()
