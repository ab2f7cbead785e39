"""What a store tells of a version, made by hand."""

from __future__ import annotations

from typing import Any

from symbio.lineage.history import History, Run
from symbio.lineage.recorded import Recorded
from symbio.tracking.models import Version

RAW, PREPARED, LABELS = ("0123456789abcdef" * 2 + ".dir", "1" * 32 + ".dir", "2" * 32 + ".dir")
COMMIT, WEIGHTS, RUN = "c0ffee00" * 5, "e" * 64, "ab" * 16
TAGS = {
    "symbio.git_commit": COMMIT,
    "symbio.git_dirty": "false",
    "symbio.params_sha256": "b" * 64,
    "symbio.config_sha256": "d" * 64,
    "symbio.lock_sha256": "9" * 64,
    "symbio.host": "node-a",
    "symbio.devices": "GPU, GPU",
    "symbio.ranks": "2",
    "symbio.threads": "4",
    "symbio.seed": "7",
    "symbio.python": "3.11.9",
    "symbio.weights_sha256": WEIGHTS,
    "symbio.metrics_sha256": "f" * 64,
    "symbio.data.data/raw/nyu": RAW,
    "symbio.data.data/prepared/nyu": PREPARED,
    "symbio.data.data/pseudo/nyu": LABELS,
    "symbio.teacher": "builtin:sample",
    "symbio.teacher_sha256": "8" * 64,
}
LOCK = {
    "stages": {
        "prepare@nyu": {
            "deps": [{"path": "data/raw/nyu", "md5": RAW, "size": 3 << 20, "nfiles": 12}],
            "outs": [{"path": "data/prepared/nyu", "md5": PREPARED, "size": 2048, "nfiles": 3}],
        }
    }
}
LINEAGE: dict[str, Any] = {
    "git": {"commit": COMMIT, "branch": "main", "remote": "git@host:lab.git", "dirty": False},
    "params": {"nyu": {"raw": "data/raw/nyu"}, "train": {"steps": 300, "batch": 8}},
    "versions": {"torch": "2.11.0"},
    "devices": ["GPU", "GPU"],
}
METRICS: dict[str, Any] = {
    "protocol": "nyu-eigen",
    "split": "test",
    "split_sha256": "5" * 64,
    "num_images": 64,
    "trained": {"rmse": 0.5, "abs_rel": 0.1234},
}
TRAINED = Run(RUN, "train-nyu-c0ffee", "train", "FINISHED", 1_700_000_000_000, 1_700_000_090_000,
              None)  # fmt: skip


def record(tags: dict[str, str] | None = None, **changed: Any) -> Recorded:
    """A version that was trained and registered as usual, but for what is changed."""
    version = Version("symbio-nyu", "3", RUN, "models:/m-1", TAGS if tags is None else tags)
    values = {"lineage": LINEAGE, "diff": None, "dvc_lock": LOCK, "metrics": METRICS, **changed}
    return Recorded(version, "nyu", **values)


def history(**changed: Any) -> History:
    return History(**{"run": TRAINED, **changed})
