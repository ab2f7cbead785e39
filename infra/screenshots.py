"""Pictures of Prefect's and MLflow's pages for the documentation, from a platform that runs.

    python -m infra.screenshots --out docs/figures

PREFECT_API_URL and MLFLOW_TRACKING_URI say where, MLFLOW_TRACKING_USERNAME and _PASSWORD as whom; a
train flow must have come to its end there.
Needs Chromium.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from infra.browser import Page, browser
from symbio.environment import prepare_environment

_WIDTH, _HEIGHT, _TALL = 1400, 1000, 1350
_SETTLE_S = 3.0
"""For what moves or is drawn bit by bit: graphs, charts."""
_COLOURS = 256
_CHARTS = "^(train/(loss|silog|semantic|lr)|val/(abs_rel|rmse|pseudo_miou))$"
"""What is typed into the search for charts, which takes regular expressions."""
_MLFLOW_VIEW = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}
"""Local storage of MLflow's pages: training, not chat; nobody to assist."""


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(prog="infra.screenshots", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("--dataset", default="nyu")
    arguments = parser.parse_args()
    prepare_environment()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with browser(_WIDTH, _HEIGHT) as page:
        _prefect(page, arguments.dataset, arguments.out)
        _mlflow(page, arguments.dataset, arguments.out)


def _prefect(page: Page, dataset: str, out: Path) -> None:
    """The newest run's page with its artifacts, and the summary among them."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowFilter,
        FlowFilterName,
        FlowRunFilter,
        FlowRunFilterId,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.settings import PREFECT_UI_URL

    name, done = f"train-{dataset}", FlowRunFilterStateType(any_=[StateType.COMPLETED])
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[name])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=done)),
            sort=FlowRunSort.START_TIME_DESC,
            limit=1,
        )
        if not runs:
            raise SystemExit(f"{client.api_url}: no {name} run is completed")
        here = FlowRunFilter(id=FlowRunFilterId(any_=[runs[0].id]))
        found = client.read_artifacts(flow_run_filter=here)
    address = PREFECT_UI_URL.value()
    page.resize(_WIDTH, _TALL)
    page.open(f"{address}/runs/flow-run/{runs[0].id}")
    _need(page, f"document.body?.innerText.includes({runs[0].name!r})", "the run's page")
    _need(page, _click("Artifacts"), "the tab Artifacts")
    _take(page, out / "prefect-run.png")
    summary = next((one.id for one in found if one.key == f"{dataset}-summary"), None)
    if summary is None:
        raise SystemExit(f"run {runs[0].name} has no artifact {dataset}-summary")
    page.open(f"{address}/artifacts/artifact/{summary}")
    _need(page, "document.querySelectorAll('table').length > 0", "the summary")
    _take(page, out / "prefect-summary.png")
    page.resize(_WIDTH, _HEIGHT)


def _mlflow(page: Page, dataset: str, out: Path) -> None:
    """The experiment, the curves of the run behind the newest version, and that version."""
    from symbio.tracking import open_store
    from symbio.tracking.store import experiment_name

    address = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    if not address.startswith("http"):
        raise SystemExit("MLFLOW_TRACKING_URI: expected the address of an MLflow server")
    name, client = experiment_name(dataset), open_store(Path())
    versions = client.search_model_versions(f"name = '{name}'")
    if not versions:
        raise SystemExit(f"{address}: no version of {name} is registered")
    version = max(versions, key=lambda one: int(one.version))
    run = client.get_run(version.run_id).info
    _log_in(page, address)
    page.open(f"{address}/#/")
    _need(page, "document.querySelectorAll('button').length > 0", "MLflow's first page")
    for key, value in _MLFLOW_VIEW.items():
        page.run(f"localStorage.setItem({key!r}, {value!r})")
    page.open(f"{address}/#/experiments/{run.experiment_id}/runs")
    _need(page, f"document.body?.innerText.includes({run.run_name!r})", "the experiment's runs")
    _take(page, out / "mlflow-experiment.png")
    page.open(f"{address}/#/experiments/{run.experiment_id}/runs/{run.run_id}/model-metrics")
    _need(page, "!!document.querySelector('.js-plotly-plot')", "the charts")
    page.run(_type("Search metric charts", _CHARTS))
    _take(page, out / "mlflow-run.png")
    page.open(f"{address}/#/models/{quote(name)}/versions/{version.version}")
    _need(page, "document.body?.innerText.includes('Source Run')", "the version's page")
    _take(page, out / "mlflow-model.png")


def _log_in(page: Page, address: str) -> None:
    """Let the browser remember the account, where MLflow asks for one."""
    account = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if account:
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        scheme, _, place = address.partition("://")
        # Not MLflow's own page: one whose address holds a password may not ask for anything.
        question = "api/2.0/mlflow/experiments/search?max_results=1"
        page.open(f"{scheme}://{quote(account)}:{quote(password)}@{place}/{question}")


def _need(page: Page, script: str, what: str) -> None:
    if not page.wait(script):
        raise SystemExit(f"{page.run('location.href')}: {what} did not appear")


def _take(page: Page, path: Path) -> None:
    """Write the picture with few colours, which is a third of the size."""
    time.sleep(_SETTLE_S)
    page.run("document.querySelectorAll('.modebar').forEach(bar => bar.remove())")
    with Image.open(io.BytesIO(page.picture())) as opened:
        few = opened.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _click(text: str) -> str:
    """Script: click the innermost element that says just `text`; whether there is one."""
    return (
        "(() => { const found = [...document.querySelectorAll('body *')].find(one => "
        f"!one.children.length && one.textContent.trim() === {text!r});"
        "found?.click(); return !!found; })()"
    )


def _type(placeholder: str, text: str) -> str:
    """Script: type `text` into a field, in the way that React takes note of."""
    return (
        f"(() => {{ const field = document.querySelector('[placeholder=\"{placeholder}\"]');"
        "const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;"
        f"setter.call(field, {text!r});"
        "field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


if __name__ == "__main__":
    main()
