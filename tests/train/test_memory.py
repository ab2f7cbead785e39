"""A training that needs more memory than a rank may have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from symbio.ranks.ending import OutOfMemory
from symbio.ranks.settings import Settings
from symbio.train.records.status import read_status
from symbio.train.run import run
from tests.train.project import make_project, tiny_params
from tests.train.test_ranks import RUN


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="caps the memory of ranks on a CPU")
def test_a_training_too_big_for_its_ranks_says_so_and_is_not_started_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, cap_bytes = make_project(tmp_path), 1200 * 2**20
    params = tiny_params(batch=12, micro_batch=6, model={"channels": 256})
    with pytest.raises(OutOfMemory, match=r"out of memory .*; lower train\.micro_batch") as caught:
        run(params, "nyu", root, Settings(ranks=2, rank_memory=cap_bytes))
    assert caught.value.exit_code == 1
    assert caught.value.peak_bytes is not None
    assert cap_bytes / 2 < caught.value.peak_bytes <= cap_bytes
    assert "restart" not in capfd.readouterr().err
    status = read_status(root / RUN)
    assert status is not None
    assert (status["state"], status["checkpoint"]) == ("failed", -1)
