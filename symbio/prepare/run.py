"""The stage `prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symbio.params import Params
from symbio.prepare.prepare import prepare


def run(params: Params, dataset: str, root: Path = Path(".")) -> dict[str, Any]:
    """Read `params.dataset(dataset).raw` below `root` and write data/prepared/{dataset} there.

    Interrupted, it keeps the finished shards in data/.prepare-{dataset} and goes on after them,
    unless params or raw files have changed.

    Returns the content of report.json. Raises SymbioError as `prepare` does.
    """
    section = params.dataset(dataset)
    data = root / "data"
    out, work = data / "prepared" / dataset, data / f".prepare-{dataset}"
    return prepare(section, dataset, root / section.raw, out, work)
