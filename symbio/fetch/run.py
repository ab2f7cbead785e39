"""The verb `fetch`."""

from __future__ import annotations

from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import whole_folder
from symbio.model.manifest import MANIFEST, check_manifest
from symbio.progress import say
from symbio.tracking import fetch_model

_PACKAGE = "MLmodel"
"""Every package that MLflow can serve has this file."""


def run(model: str, out: Path, root: Path = Path(".")) -> Path:
    """Download a registered version's package to `out`, whole or not at all, every file checked.

    What is there can be served: `mlflow models serve -m OUT --env-manager local`. Its code runs
    when it is served; it is the code that was registered.

    Args:
        model: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, or another address that `fetch_model`
            takes.
        out: must not exist, be empty, or hold an earlier package, which is replaced.
        root: the project's folder, whose store holds registered models.

    Returns:
        `out`.

    Raises:
        SymbioError: `out` holds something else; the package is not what was registered, or cannot
            be had.
    """
    _check_out(out)
    with whole_folder(out) as aside:
        fetch_model(model, root, aside)
        if not (aside / _PACKAGE).is_file():
            raise SymbioError(f"{model}: is no package, there is no {_PACKAGE} in it")
        if (aside / MANIFEST).is_file():
            check_manifest(aside, None)
    say(f"{out}: {model}, ready for `mlflow models serve -m {out} --env-manager local`")
    return out


def _check_out(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise SymbioError(f"{out}: is no folder; choose another --out")
    if out.is_dir() and any(out.iterdir()) and not (out / _PACKAGE).is_file():
        raise SymbioError(f"{out}: holds something else than a package; choose another --out")
