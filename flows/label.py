"""Flow label: prepare a data set and write its pseudo-labels.

python -m flows.label nyu        # without any server
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    from flows.started import without_server

    without_server(Path.cwd())

from prefect import flow

from flows.forms import Dataset, Overrides, Preset, parsed
from flows.machines import Machines
from flows.pipeline_run import open_workspace, run_stages


@flow(name="label")
def label(dataset: Dataset, preset: Preset = None, overrides: Overrides = None) -> dict[str, Any]:
    """Prepare a data set and write its pseudo-labels with the teacher."""
    root = open_workspace(dataset, preset, overrides or {})
    return {"stages": run_stages(root, dataset, ("prepare", "label"), Machines())}


if __name__ == "__main__":
    label(**parsed(__doc__, sys.argv[1:]))
