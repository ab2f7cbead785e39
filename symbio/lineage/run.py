"""The verb `lineage`: what a registered version was made of, printed and drawn."""

from __future__ import annotations

import tempfile
from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import whole_file
from symbio.lineage.draw import svg_of
from symbio.lineage.history import history_of
from symbio.lineage.printed import print_tree
from symbio.lineage.recorded import Recorded, recorded_of
from symbio.lineage.tree import Tree, tree_of
from symbio.progress import say
from symbio.tracking.mirror import log_artifact
from symbio.tracking.models import Version, tag_version, version_at
from symbio.tracking.outage import told_as_error
from symbio.tracking.store import open_store, tracking_uri

FOLDER = Path("lineage")


def run(uri: str, root: Path = Path("."), svg: Path | None = None) -> None:
    """Print a version's lineage, and draw it.

    Args:
        uri: `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        root: the project's folder.
        svg: file of the drawing; None: `lineage/NAME-VERSION.svg`.

    Raises:
        SymbioError: there is no such version; the store refuses, or is away (exit_code 75).
    """
    with told_as_error(f"{uri}: its lineage cannot be had from {tracking_uri(root)}"):
        version = version_at(root, uri)
        tree = lineage_of(root, version)
    drawing = svg or root / FOLDER / f"{version.name}-{version.version}.svg"
    with whole_file(drawing) as aside:
        aside.write_text(svg_of(tree), encoding="utf-8")
    print_tree(tree)
    say(f"{drawing}: the same as a drawing")


def lineage_of(root: Path, version: Version) -> Tree:
    """What a version was made of, as far as the store knows.

    Raises what MLflow raises when the store is away.
    """
    record, gap = _recorded(root, version)
    return tree_of(record, history_of(root, record), gap)


def log_lineage(root: Path, version: Version) -> None:
    """Keep the drawing with the version's run, and tag the version with the runs that made it.

    Tags are `symbio.run.labels`, `symbio.run.study`, `symbio.run.trial` and `symbio.run.training`,
    those that the store has. Raises what MLflow raises when the store is away.
    """
    tree = lineage_of(root, version)
    with tempfile.TemporaryDirectory(prefix="symbio-lineage-") as folder:
        drawing = Path(folder) / f"{version.name}-{version.version}.svg"
        drawing.write_text(svg_of(tree), encoding="utf-8")
        log_artifact(open_store(root), version.run_id, drawing, "lineage")
    tags = {f"symbio.run.{key}": run_id for key, run_id in tree.runs().items()}
    tag_version(root, version, tags)


def _recorded(root: Path, version: Version) -> tuple[Recorded, str | None]:
    """The record; where nothing was recorded what the tags say, and why there is no more."""
    from mlflow.exceptions import MlflowException

    try:
        return recorded_of(root, version), None
    except (SymbioError, MlflowException) as error:
        if isinstance(error, MlflowException) and error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        commit = version.tags.get("symbio.git_commit", "none")
        lineage = {"git": {"commit": None if commit == "none" else commit}, "params": {}}
        dataset = version.tags.get("symbio.dataset", version.name.removeprefix("symbio-"))
        return Recorded(version, dataset, lineage, None, {}, {}), _gap(error)


def _gap(error: Exception) -> str:
    return str(error) if isinstance(error, SymbioError) else "its run is not in this store"
