"""Which official layout a raw folder has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from symbio.errors import SymbioError
from symbio.params import DatasetParams
from symbio.prepare import custom, kitti, kitti_selection, nyu_labelled, nyu_sync
from symbio.prepare.entry import Plan
from symbio.prepare.findings import Findings
from symbio.prepare.known import ORIGIN
from symbio.prepare.mat_file import NAME

LAYOUTS = {"nyu": ("labelled", "sync"), "kitti": ("annotated",)}
_EXPECTED = {
    "nyu": (
        f"{NAME} with {nyu_labelled.SPLITS} (layout labelled), or {nyu_sync.LISTS['train'][0]} "
        f"and {nyu_sync.LISTS['test'][0]} with the folders sync/ and official_splits/test/ "
        "(layout sync)"
    ),
    "kitti": (
        "drives <date>/<date>_drive_<number>_sync/image_02/data/, data_depth_annotated/, "
        f"{kitti.LISTS['train'][0]} and {kitti.LISTS['test'][0]} (layout annotated)"
    ),
}
_SHOWN = 12


@contextlib.contextmanager
def open_plan(
    dataset: str, section: DatasetParams, raw: Path, strict: bool = True
) -> Iterator[Plan]:
    """The plan of a raw folder; files it holds open are closed when the block ends.

    Args:
        dataset: nyu, kitti or a key of `custom`.
        section: its section of params.yaml.
        raw: the folder of the official files.
        strict: False collects missing files and problems in the plan wherever it can go on.

    Raises:
        SymbioError: the folder is missing, or holds no known layout, or not the one asked for;
            if strict, also whatever else is wrong with lists and listed files.
    """
    findings = Findings(strict)
    if dataset == "nyu" and section.depth == "velodyne":
        findings.problem(
            "nyu.depth: 'velodyne' was found; NYU has no laser scans: use raw or filled"
        )
    with contextlib.ExitStack() as stack:
        layout = detect(dataset, section, raw)
        if layout == "custom":
            yield custom.plan(dataset, raw, section, findings)
        elif layout == "annotated":
            yield kitti.plan(raw, section, findings)
        elif layout == "sync":
            yield nyu_sync.plan(raw, section, stack, findings)
        else:
            yield nyu_labelled.plan(raw, section.depth == "filled", stack)


def detect(dataset: str, section: DatasetParams, raw: Path) -> str:
    """The layout that params name, or the one whose files are there.

    An NYU folder with a training list or extracted training frames is "sync", also when the
    labelled file lies beside them; "labelled" is then chosen by params.

    Raises:
        SymbioError: says what is expected, what was found and where official files come from.
    """
    if dataset not in LAYOUTS:
        custom.refuse_without(dataset, section, raw)
        return "custom"
    if not raw.is_dir():
        hint = ". `symbio sample` makes it" if "sample" in raw.parts else ""
        raise SymbioError(
            f"{dataset}.raw: no folder {raw}{hint}; expected {_EXPECTED[dataset]}. "
            f"{_origin(dataset)}"
        )
    if section.layout != "auto":
        if section.layout not in LAYOUTS[dataset]:
            allowed = " or ".join(("auto", *LAYOUTS[dataset]))
            raise SymbioError(f"{dataset}.layout: {section.layout!r} was found, allowed: {allowed}")
        return section.layout
    if dataset == "kitti":
        listed = any(kitti.list_of(raw, section, split) for split in ("train", "test"))
        if listed or kitti_selection.folder_of(raw, section.test_list):
            return "annotated"
    elif nyu_sync.list_of(raw, section, "train") or nyu_sync.folder_of(raw, "train"):
        return "sync"
    elif (raw / NAME).is_file():
        return "labelled"
    names = sorted(p.name + "/" * p.is_dir() for p in raw.iterdir())
    found = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    raise SymbioError(
        f"{raw}: holds no known layout of {dataset}; expected {_EXPECTED[dataset]}; "
        f"found {found or 'nothing'}. {_origin(dataset)}"
    )


def _origin(dataset: str) -> str:
    return ". ".join(ORIGIN[layout] for layout in LAYOUTS[dataset])
