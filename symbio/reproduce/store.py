"""The recorded data: what the cache and the remote have of it, checked file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from symbio.errors import SymbioError
from symbio.lineage.recorded import Recorded, deps_of, outs_of
from symbio.ranks.ending import FAILED
from symbio.reach.remote import Remote, find_remote
from symbio.reach.transfer import pull
from symbio.reproduce.objects import Out, md5_of_folder, survey
from symbio.reproduce.pipeline import STAGES, out_of
from symbio.tracking.outage import told_as_error
from symbio.worktree import cache_of

_SHOWN = 20


class RecordedData:
    """Outputs that a version's dvc.lock names; each is looked at once, and pulled if need be."""

    def __init__(self, root: Path, checkout: Path, record: Recorded) -> None:
        self.cache = cache_of(root)
        self._root, self._checkout = root, checkout
        self._remote = find_remote(root)
        self._hashes = hashes_of(record)
        self._raw = str(record.params[record.dataset]["raw"])
        self._rendered = self._raw == out_of("sample", record.dataset)
        self._outs: dict[str, Out | None] = {}
        self._raw_here: bool | None = None

    def out(self, path: str) -> Out | None:
        """What is recorded of an output; None: nothing.

        Raises:
            SymbioError: its bytes in the store are not those of its hash (exit_code 1); the
                remote is away (75) or refuses.
        """
        if path not in self._outs:
            md5 = self._hashes.get(path)
            self._outs[path] = None if md5 is None else self._looked_at(path, md5)
        return self._outs[path]

    def whole(self, path: str) -> bool:
        """Whether all of an output's bytes are here. Raises as `out`."""
        out = self.out(path)
        return out is not None and out.whole

    def raw_is_here(self) -> bool:
        """Whether the project's own raw folder holds what was recorded; hashes all of it, once.

        Where no hash of it was recorded, its being there is all that can be asked.
        """
        if self._raw_here is None:
            folder, md5 = self._root / self._raw, self._hashes.get(self._raw)
            there = folder.is_dir()
            self._raw_here = there and (md5 is None or md5_of_folder(folder) == md5)
        return self._raw_here

    def _looked_at(self, path: str, md5: str) -> Out:
        found = survey(self.cache, path, md5)
        known = path != self._raw or self._rendered or (self._checkout / f"{path}.dvc").is_file()
        if found.missing and not found.damaged and known and self._remote is not None:
            pull(self._checkout, [path], self._remote)
            found = survey(self.cache, path, md5)
            _refuse(path, _damaged_in(self._remote, self._checkout, found), str(self._remote))
        _refuse(path, found.damaged, f"DVC's cache {self.cache}")
        return found


def hashes_of(record: Recorded) -> dict[str, str]:
    """Path -> DVC's hash of raw data and of the stages' outputs.

    What the training itself read counts before what dvc.lock said when it was registered.
    """
    found: dict[str, str] = {}
    for stage in STAGES:
        path = out_of(stage, record.dataset)
        told = outs_of(record.dvc_lock, f"{stage}@{record.dataset}").get(path, {})
        if "md5" in told:
            found[path] = str(told["md5"])
    raw = str(record.params[record.dataset]["raw"])
    told = deps_of(record.dvc_lock, f"prepare@{record.dataset}").get(raw, {})
    if "md5" in told:
        found.setdefault(raw, str(told["md5"]))
    for one in record.lineage["inputs"]:
        if one["md5"] is not None:
            found[str(one["path"])] = str(one["md5"])
    return found


def _damaged_in(remote: Remote, checkout: Path, out: Out) -> tuple[str, ...]:
    """Files that the remote has, and yet could not be brought: their bytes are others."""
    files = out.files or {}
    hashes = {f"{out.path}/{name}": md5 for name, md5 in files.items()}
    wanted = [(name, hashes.get(name, out.md5)) for name in out.missing]
    if not wanted:
        return ()
    there = _in_remote(remote, checkout)
    return tuple(name for name, md5 in wanted if there(md5))


def _in_remote(remote: Remote, checkout: Path) -> Callable[[str], bool]:
    """Tells whether the remote has an object."""
    from dvc.repo import Repo

    with told_as_error(f"{remote}: cannot be asked what it holds"):
        given = {"remote": {remote.name: {"url": remote.url, **remote.settings}}}
        with Repo(str(checkout), config=given) as repo:
            files = repo.cloud.get_remote_odb(remote.name)
    return lambda md5: bool(files.fs.exists(files.oid_to_path(md5)))


def _refuse(path: str, damaged: tuple[str, ...], where: str) -> None:
    if not damaged:
        return
    lines = [f"{name}: its bytes in the store are not those of its hash" for name in damaged]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    told = "\n  ".join(lines)
    raise SymbioError(
        f"{path}: was changed in {where}; nothing can be made again from it:\n  {told}\n"
        "remove these objects there and bring them back from another copy (`dvc pull`)",
        FAILED,
    )
