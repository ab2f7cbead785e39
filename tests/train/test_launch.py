"""Starting runs: locks, refusals before anything starts, signals, orphans, the whole stage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.errors import SymbioError
from symbio.ranks.settings import Settings, settings_from
from symbio.train.lock import run_lock
from symbio.train.records.status import read_status
from symbio.train.run import run
from tests.train.project import make_project, tiny_params
from tests.train.test_ranks import RUN, losses, weights

HOLD = "import sys, time\nfrom pathlib import Path\nfrom symbio.train.lock import run_lock\n" + (
    "with run_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
)


def test_a_second_run_is_refused_and_a_dead_ones_lock_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "nyu"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SymbioError, match=f"PID {holder.pid} on .* since 20"), run_lock(folder):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with run_lock(folder):
        pass


def test_mistakes_are_found_before_a_rank_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SymbioError, match="symbio prepare nyu"):
        run(tiny_params(), "nyu", tmp_path)
    make_project(tmp_path)
    with pytest.raises(SymbioError, match=r"train\.batch \(4\).*train\.micro_batch \(2\).*3 ranks"):
        run(tiny_params(), "nyu", tmp_path, Settings(ranks=3))
    with pytest.raises(SymbioError, match="--resume 'last'"):
        run(tiny_params(), "nyu", tmp_path, Settings(ranks=1), resume="last")
    monkeypatch.setenv("SYMBIO_RANKS", "none")
    with pytest.raises(SymbioError, match="SYMBIO_RANKS='none'"):
        settings_from()
    monkeypatch.setenv("SYMBIO_RANKS", "5")
    assert settings_from().ranks == 5
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_the_stage_from_start_to_export_and_again(tmp_path: Path) -> None:
    root, seen = make_project(tmp_path), []
    params, settings = tiny_params(validate_every=2), Settings(ranks=2)
    summary = run(params, "nyu", root, settings, on_metrics=seen.append)
    assert (summary["state"], summary["exit_code"], summary["step"]) == ("finished", 0, 4)
    assert [r["metrics"]["train/loss"] for r in seen if "train/loss" in r["metrics"]] == losses(
        root
    )
    assert [r["step"] for r in seen if "val/abs_rel" in r["metrics"]] == [2, 4]
    assert summary["selected"]["scores"]["abs_rel"] == min(
        r["metrics"]["val/abs_rel"] for r in seen if "val/abs_rel" in r["metrics"]
    )
    exported = weights(root)
    (root / "models" / "nyu" / "weights.safetensors").unlink()
    start, again = time.monotonic(), []
    assert run(params, "nyu", root, settings, on_metrics=again.append) == summary
    assert time.monotonic() - start < 2
    assert again == seen
    assert all(torch.equal(exported[name], value) for name, value in weights(root).items())


TRAIN = "import sys\nfrom pathlib import Path\nfrom symbio.train.run import run\n" + (
    "from symbio.ranks.settings import Settings\nfrom tests.train.project import tiny_params\n"
    "root, ranks = Path(sys.argv[1]), int(sys.argv[2])\n"
    "params, settings = tiny_params(steps=int(sys.argv[3])), Settings(ranks=ranks)\n"
    "sys.exit(run(params, 'nyu', root, settings)['exit_code'])\n"
)


def start(root: Path, ranks: int, steps: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TRAIN, str(root), str(ranks), str(steps)]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )


def wait_until(holds: Callable[[], Any], timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def trains(root: Path) -> bool:
    return (root / RUN / "journal.jsonl").exists() and len(losses(root)) > 1


@pytest.mark.slow
def test_sigterm_to_the_launcher_ends_with_75_and_a_checkpoint(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    launcher = start(root, 2, 1000)
    wait_until(lambda: trains(root))
    launcher.terminate()
    _, said = launcher.communicate(timeout=60)
    assert launcher.returncode == 75, said
    status = read_status(root / RUN)
    assert status is not None
    assert status["state"] == "preempted"
    assert status["checkpoint"] == status["step"] == len(losses(root))
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_killed_launcher_leaves_no_rank_behind(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    launcher = start(root, 2, 1000)
    wait_until(lambda: trains(root))
    status = read_status(root / RUN)
    assert status is not None
    launcher.kill()
    launcher.communicate()
    wait_until(lambda: not os.path.exists(f"/proc/{status['pid']}"), 10)
    with run_lock(root / RUN):
        pass


@pytest.mark.slow
def test_torchrun_serves_as_launcher_too(tmp_path: Path) -> None:
    import json

    root = make_project(tmp_path)
    (root / "params.yaml").write_text(json.dumps(tiny_params(steps=2).model_dump(mode="json")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "symbio.train", "nyu", "--root", str(root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    project = Path(__file__).parents[2]
    subprocess.run(command, env=environment, cwd=project, check=True, timeout=180)
    assert len(losses(root)) == 2
    assert weights(root)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_caller_of_the_stage_imports_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys, symbio.train.run; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 1.5, 3.0, 6.0])
def test_ctrl_c_while_the_ranks_start_is_no_failure(tmp_path: Path, seconds: float) -> None:
    root = make_project(tmp_path)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        params = tiny_params(steps=400, checkpoint_every=400)
        summary = run(params, "nyu", root, Settings(ranks=2))
    finally:
        timer.join()
    assert summary["exit_code"] == 75
    assert summary["model"] is None
    assert not (root / "models" / "nyu").exists()
