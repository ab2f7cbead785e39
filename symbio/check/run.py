"""The verb `symbio check`."""

from __future__ import annotations

from pathlib import Path

from symbio.check.check import check
from symbio.check.page import page_of
from symbio.check.terminal import tell
from symbio.check.verdict import as_json
from symbio.errors import SymbioError
from symbio.files import whole_folder, write_json
from symbio.params import Params
from symbio.progress import say

JSON = "check.json"
PAGE = "report.html"
FOUND_WRONG = 1


def run(
    params: Params,
    dataset: str,
    root: Path = Path("."),
    raw: Path | None = None,
    out: Path | None = None,
) -> int:
    """Check a raw folder, print what was found, and write check.json and report.html.

    Args:
        params: their section of the data set says layout, lists, depth and range.
        dataset: a data set of the params.
        root: the project's folder.
        raw: the folder to check; None: the one that the params name.
        out: folder to write, new or of an earlier check; None: checks/{dataset} below `root`.

    Returns:
        0 if `symbio prepare` can begin, 1 if something is wrong.

    Raises:
        SymbioError: there is nothing to check, as `check` says, or `out` holds something else.
    """
    section = params.dataset(dataset)
    out = root / "checks" / dataset if out is None else out
    _refuse_other(out)
    checked = check(section, dataset, root / section.raw if raw is None else raw)
    with whole_folder(out) as folder:
        write_json(folder / JSON, as_json(checked))
        page_of(checked).write(folder / PAGE)
    tell(checked)
    say(f"{out / PAGE}: pictures, histograms and every finding")
    return 0 if checked.fine else FOUND_WRONG


def _refuse_other(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise SymbioError(f"{out}: is a file; give a folder for the check with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / JSON).is_file():
        raise SymbioError(
            f"{out}: is not empty and holds no earlier check; give a new folder with --out"
        )
