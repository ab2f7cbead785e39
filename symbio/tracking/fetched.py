"""Download of a logged model: what its registration vouches for, and nothing else.

The version's tag names the manifest, the manifest names every file. So neither the artifact server
nor whoever can write to its bucket decides what lands here: files are listed and judged before the
first is downloaded, and each is checked when it is here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.model.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Entry,
    added_by_loading,
    check_file,
    read_manifest,
    require_inside,
)
from symbio.progress import say, track
from symbio.tracking.models import Version, version_at, version_of
from symbio.tracking.outage import told_as_error
from symbio.tracking.store import global_store, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

MANIFEST_TAG = "symbio.manifest_sha256"
"""Tag of a version: SHA-256 of its package's manifest."""

MAX_FILES = 10_000
"""A package has about a hundred."""
MAX_BYTES = 16 * 2**30
"""Of all files of a package; the largest networks that fit one GPU have 8 GiB."""

_LOGGED = re.compile(r"models:/(?P<id>m-[0-9a-f]+)")
_OF_RUN = re.compile(r"runs:/(?P<run>[0-9a-f]+)/(?P<name>[^/]+)/?")
_AT_ONCE = 8

Sizes = Mapping[str, int | None]
"""Name of a file -> its bytes; None: the server does not say."""


def fetch_model(
    uri: str, root: Path, into: Path, wanted: Callable[[str], object] | None = None
) -> Path:
    """Download the package at `uri` into the folder `into`, and check it; returns `into`.

    A version that was registered before there were manifests is downloaded without that check,
    which is said.

    Args:
        uri: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `runs:/RUN_ID/model`, or a logged
            model's `models:/m-ID`.
        root: the project's folder.
        into: made if need be; holds nothing yet.
        wanted: which of the package's files are downloaded, by name; None: all. All are judged.

    Raises:
        SymbioError: there is no such model; it has a file that its manifest does not know, lacks
            one, or has other bytes; a name leaves the folder; it is too large; the store refuses,
            or is away (exit_code 75).
    """
    with (
        told_as_error(f"{uri}: cannot be had from the store {tracking_uri(root)}"),
        global_store(root) as client,
    ):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        source, version = _resolved(uri, root, client)
        repository = get_artifact_repository(source)
        into.mkdir(parents=True, exist_ok=True)
        sizes = _listed(uri, repository)
        entries = _vouched(uri, repository, into, sizes, version)
        names = [name for name in sorted(sizes) if wanted is None or wanted(name)]
        _require_room(uri, into, sum(sizes[name] or 0 for name in names))
        for name in track(_downloaded(repository, names, into), f"fetch {uri}", len(names)):
            if name in entries:
                check_file(into / name, entries[name])
    return into


def _resolved(uri: str, root: Path, client: MlflowClient) -> tuple[str, Version | None]:
    """Where the package lies, and the registered version that vouches for it, if there is one.

    An alias is resolved once: it may move while the package is downloaded.
    """
    run = _OF_RUN.fullmatch(uri)
    if run is not None:
        logged = _logged_model(client, run["run"], run["name"])
        if logged is None:
            raise SymbioError(f"{uri}: that run has logged no model {run['name']!r}")
        return f"models:/{logged.model_id}", _version_of(root, client, logged)
    identity = _LOGGED.fullmatch(uri)
    if identity is not None:
        return uri, _version_of(root, client, client.get_logged_model(identity["id"]))
    version = version_at(root, uri)
    return version.uri, version


def _logged_model(client: MlflowClient, run_id: str, name: str) -> Any:
    """The newest model that a run has logged under this name, or None."""
    experiment = client.get_run(run_id).info.experiment_id
    found, token = [], None
    while True:
        page = client.search_logged_models(
            [experiment], filter_string=f"source_run_id = '{run_id}'", page_token=token
        )
        found += [one for one in page if one.name == name]
        token = page.token
        if not token:
            return max(found, key=lambda one: int(one.creation_timestamp), default=None)


def _version_of(root: Path, client: MlflowClient, logged: Any) -> Version | None:
    source = f"models:/{logged.model_id}"
    for one in client.search_model_versions(f"run_id = '{logged.source_run_id}'"):
        if one.source == source:
            return version_of(root, one.name, str(one.version))
    return None


def _listed(uri: str, repository: Any) -> dict[str, int | None]:
    """All files of the package, their names judged.

    What loading in place has added to a package in a folder of this machine is left out.
    """
    sizes: dict[str, int | None] = {}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for one in _entries_of(uri, repository, folder):
            name = require_inside(one.path, uri)
            if folder and not name.startswith(f"{folder}/"):
                raise SymbioError(f"{uri}: lists {name!r} in its folder {folder!r}; it is refused")
            if one.is_dir:
                waiting.append(name)
            elif not added_by_loading(name):
                sizes[name] = one.file_size
            if len(sizes) + len(waiting) > MAX_FILES:
                raise SymbioError(f"{uri}: lists more than {MAX_FILES} files; it is refused")
    total = sum(size or 0 for size in sizes.values())
    if total > MAX_BYTES:
        raise SymbioError(f"{uri}: has {total} bytes, a package has {MAX_BYTES} at most; refused")
    return sizes


def _entries_of(uri: str, repository: Any, folder: str) -> Iterable[Any]:
    from mlflow.exceptions import MlflowException

    try:
        return list(repository.list_artifacts(folder))
    except MlflowException as error:
        # Said by MLflow of names that a server lists, without the name.
        if "Invalid path" not in error.message:
            raise
        raise SymbioError(
            f"{uri}: its store lists a file in {folder or 'its folder'!r} whose name leaves the "
            "package's folder; it is refused"
        ) from error


def _vouched(
    uri: str, repository: Any, into: Path, sizes: Sizes, version: Version | None
) -> dict[str, Entry]:
    """The manifest's entries, against which the listing has been compared."""
    sha256 = None if version is None else version.tags.get(MANIFEST_TAG)
    if MANIFEST not in sizes:
        if sha256 is not None:
            raise SymbioError(f"{uri}: its {MANIFEST} is missing from the store; it is refused")
        say(
            f"{uri}: was registered without a {MANIFEST}: of its files only the weights are "
            "checked, and when they are loaded"
        )
        return {}
    if (sizes[MANIFEST] or 0) > MAX_MANIFEST_BYTES:
        raise SymbioError(f"{uri}: its {MANIFEST} has {sizes[MANIFEST]} bytes; it is refused")
    repository.download_artifacts(MANIFEST, str(into))
    entries = read_manifest(into, sha256)
    if sha256 is None:
        say(f"{uri}: no registered version vouches for its {MANIFEST}; it is taken as it is")
    _compare(uri, sizes, entries)
    return entries


def _compare(uri: str, sizes: Sizes, entries: Mapping[str, Entry]) -> None:
    for name in sorted(sizes.keys() - entries.keys() - {MANIFEST}):
        raise SymbioError(
            f"{uri}: {name} lies in its package and not in its {MANIFEST}: somebody has added it; "
            "nothing was downloaded"
        )
    for name, entry in sorted(entries.items()):
        if name not in sizes:
            raise SymbioError(f"{uri}: {name} is missing from its package; nothing was downloaded")
        if sizes[name] not in (None, entry.size):
            raise SymbioError(
                f"{uri}: {name} has {sizes[name]} bytes in the store, {MANIFEST} says "
                f"{entry.size}: it was changed; nothing was downloaded"
            )


def _require_room(uri: str, into: Path, needed: int) -> None:
    free = shutil.disk_usage(into).free
    if needed > free:
        raise SymbioError(
            f"{into}: {uri} needs {needed / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free"
        )


def _downloaded(repository: Any, names: list[str], into: Path) -> Iterator[str]:
    """Download files, a few at once; each name when its file is here."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = {
            name: pool.submit(repository.download_artifacts, name, str(into)) for name in names
        }
        try:
            for name, job in waiting.items():
                job.result()
                yield name
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
