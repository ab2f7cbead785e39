"""Imported once by the fork server, so that ranks of a test start in about a second."""

from __future__ import annotations

import torch
import torch._dynamo

from symbio.train.engine import import_deepspeed

torch.set_num_threads(1)
import_deepspeed()
