"""The stage `label` as a run: which teacher wrote which labels, and how good they are."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import whole_file
from symbio.lineage.collect import Lineage
from symbio.progress import say
from symbio.tracking.record import FINISHED, JOURNAL, flatten, lineage_files
from symbio.tracking.runs import record_run, send_quietly
from symbio.tracking.store import experiment_name

STAGE = "label"


def log_labels(root: Path, dataset: str, quality: Mapping[str, Any], lineage: Lineage) -> None:
    """Store labels that were just written; a store that is away, or refuses, costs one line.

    They may have taken hours, and DVC throws away what a failed stage has written.

    The tag `symbio.index.data/pseudo/{d}` names them; a training that read them has it too.

    Args:
        root: the project's folder.
        dataset: nyu, kitti or a key of `custom`.
        quality: content of quality.json; its numbers become metrics `labels/...`.
        lineage: collected after they were written.
    """
    try:
        _log_labels(root, dataset, quality, lineage)
    except SymbioError as error:
        say(f"The labels are whole, and not tracked: {error}")


def _log_labels(root: Path, dataset: str, quality: Mapping[str, Any], lineage: Lineage) -> None:
    out = root / "data" / "pseudo" / dataset
    folder = root / "checkpoints" / "tracking" / f"{STAGE}-{dataset}-{_identity(lineage, dataset)}"
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / JOURNAL
    if not journal.is_file():
        record = {"step": 0, "time": time.time(), "metrics": _numbers(quality)}
        with whole_file(journal) as aside:
            aside.write_text(f"{json.dumps(record)}\n", encoding="utf-8")
    record_run(
        folder,
        root,
        experiment=experiment_name(dataset),
        name=f"{STAGE}-{dataset}",
        status=FINISHED,
        params={"teacher": lineage.params["teacher"]},
        tags={
            **lineage.tags(),
            "symbio.stage": STAGE,
            "symbio.dataset": dataset,
            "mlflow.source.name": f"symbio {STAGE} {dataset}",
            "mlflow.source.type": "LOCAL",
        },
        journals=(journal,),
        artifacts={
            **{Path(path): place for path, place in lineage_files(folder, lineage).items()},
            **{path: "labels" for path in sorted(out.glob("quality.*"))},
        },
    )
    send_quietly(folder, root)


def _identity(lineage: Lineage, dataset: str) -> str:
    """Twelve digits that name the labels, and settings that a store would refuse to change."""
    path = f"data/pseudo/{dataset}"
    found = [one.index_sha256 for one in lineage.inputs if one.path == path]
    return str(found[0])[:12] if found and found[0] else "unnamed"


def _numbers(quality: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"labels/{key.replace('.', '/')}": float(value)
        for key, value in flatten(quality).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
