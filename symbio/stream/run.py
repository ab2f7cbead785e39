"""The verb `stream`: a data set's shards stay in the DVC remote, their index comes here.

For hosts whose disk is smaller than the data set: `symbio train` then reads frames out of the
store and keeps what fits (`symbio.data.streamed`). `dvc pull` brings the shards themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import yaml

from symbio.data.shards import INDEX
from symbio.data.streamed import FORMAT, REMOTE, cache_bytes, cache_folder
from symbio.errors import SymbioError
from symbio.files import whole_folder, write_json
from symbio.progress import say
from symbio.reach.remote import REMOTE_VARIABLE, Remote, find_remote

_SHARD = ".tar"
_CLIENT = {"endpointurl": "endpoint_url", "region": "region_name"}
"""Settings of the remote that a reader needs; keys stay where they are, in the environment."""


def run(dataset: str, root: Path = Path(".")) -> list[Path]:
    """Make data/prepared/{d}, and data/pseudo/{d} where dvc.lock has it, folders without shards.

    Everything else of them (index, reports) is fetched and compared with its hash in DVC.

    Args:
        dataset: name of the data set.
        root: the project's folder.

    Returns:
        The folders written.

    Raises:
        SymbioError: the remote is no S3, does not answer (exit code 75) or lacks something;
            dvc.lock has no prepared data; shards lie there already.
    """
    remote = find_remote(root)
    if remote is None or not remote.url.startswith("s3://"):
        found = "none is configured" if remote is None else f"found {remote}"
        raise SymbioError(
            f"stream: needs a DVC remote in S3, {found}; set {REMOTE_VARIABLE}=s3://BUCKET/FOLDER, "
            "or `dvc pull` where the remote is a folder"
        )
    store = _Store(remote)
    recorded = _recorded(root / "dvc.lock")
    folders = [f"data/prepared/{dataset}", f"data/pseudo/{dataset}"]
    if folders[0] not in recorded:
        raise SymbioError(f"{root / 'dvc.lock'}: names no {folders[0]}; prepare it and push it")
    written = [_stream(root / name, recorded[name], store) for name in folders if name in recorded]
    kept = cache_folder(root / folders[0])
    say(f"frames that are read are kept in {kept}, up to {cache_bytes() / 2**30:.1f} GiB")
    return written


def _stream(folder: Path, md5: str, store: _Store) -> Path:
    if any(folder.glob(f"*{_SHARD}")):
        raise SymbioError(f"{folder}: its shards are here already; remove the folder to stream it")
    listed = _listed(store.get(md5), folder)
    objects = {name: store.key(each) for name, each in listed.items() if name.endswith(_SHARD)}
    with whole_folder(folder) as aside:
        for name, each in listed.items():
            if name not in objects:
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).write_bytes(store.get(each))
        index = json.loads((aside / INDEX).read_text(encoding="utf-8"))
        if any("crc32" not in frame for frame in index["frames"].values()):
            raise SymbioError(
                f"{folder}: its index has no checksums of frames, which reading from a store "
                "needs; prepare and label it again, and push it"
            )
        where = {"format": FORMAT, "url": store.url, "objects": objects, "client": store.client}
        write_json(aside / REMOTE, where)
    total = sum(shard["bytes"] for shard in index["shards"])
    say(f"{folder}: {len(objects)} shards of {total / 2**30:.2f} GiB stay in {store.url}")
    return folder


def _listed(data: bytes, folder: Path) -> dict[str, str]:
    """Path within an output -> MD5, from DVC's list of its files."""
    files = {str(one["relpath"]): str(one["md5"]) for one in json.loads(data)}
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name == REMOTE:
            raise SymbioError(f"{folder}: DVC's list of its files names {name!r}, which cannot be")
    return files


def _recorded(lock: Path) -> dict[str, str]:
    """Output -> MD5, of all stages that dvc.lock names."""
    try:
        read: Mapping[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8"))
        stages = read["stages"].values()
        return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", [])}
    except OSError as error:
        raise SymbioError(f"{lock}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise SymbioError(f"{lock}: is not readable ({error}); `git checkout dvc.lock`") from error


class _Store:
    """DVC's objects in a bucket."""

    def __init__(self, remote: Remote) -> None:
        import boto3

        self.url = remote.url.rstrip("/")
        settings = remote.settings
        self.client = {ours: settings[key] for key, ours in _CLIENT.items() if key in settings}
        self._s3 = boto3.session.Session().client("s3", **self.client)

    def key(self, md5: str) -> str:
        """Of an object, below the remote's URL."""
        return f"files/md5/{md5[:2]}/{md5[2:]}"

    def get(self, md5: str) -> bytes:
        """An object's bytes, as its hash says. Raises SymbioError."""
        from botocore.exceptions import BotoCoreError, ClientError

        place = urlsplit(f"{self.url}/{self.key(md5)}")
        try:
            answer = self._s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
            data: bytes = answer["Body"].read()
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise SymbioError(
                f"{self.url}: object {md5} cannot be read ({error}); was the data pushed?",
                75 if status >= 500 or status == 429 else 2,
            ) from error
        except (BotoCoreError, OSError) as error:
            raise SymbioError(f"{self.url}: does not answer ({error})", 75) from error
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5.removesuffix(".dir"):
            raise SymbioError(f"{self.url}: object {md5} has other bytes than its hash; push again")
        return data
