"""Tags by which runs are found on Prefect's pages."""

from __future__ import annotations

from pathlib import Path

from flows.page.quietly import shown_if_possible
from symbio.errors import SymbioError
from symbio.params import load_params
from symbio.presets import PRESETS

_TIMEOUT_S = 5.0

OWN = "own"
"""The preset of params that equal none that ships."""


def tag_this_run(dataset: str, preset: str, commit: str) -> None:
    """Add symbio, dataset:..., preset:... and commit:... to the tags of the running flow.

    Outside a flow, or while the server is away, nothing is added.

    Args:
        dataset: nyu, kitti or a key of `custom`.
        preset: as `preset_name` says.
        commit: abbreviated.
    """
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    wanted = {"symbio", f"dataset:{dataset}", f"preset:{preset}", f"commit:{commit}"}
    # A client of its own fails at once where the run's would wait for a minute.
    own = {"timeout": _TIMEOUT_S}
    with shown_if_possible("tags"), get_client(own, sync_client=True) as client:
        there = client.read_flow_run(context.flow_run.id).tags
        client.update_flow_run(context.flow_run.id, tags=sorted({*there, *wanted}))


def preset_name(root: Path) -> str:
    """Which preset holds the values of `root`/params.yaml; "own" if none does, or it is broken."""
    try:
        params = load_params(root / "params.yaml")
    except SymbioError:
        return OWN
    for path in sorted(PRESETS.glob("*.yaml")):
        if load_params(path) == params:
            return path.stem
    return OWN
