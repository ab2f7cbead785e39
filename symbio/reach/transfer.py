"""Data from and to the DVC remote.

DVC runs as a process of its own: its locks, caches and signals are its own too. Both directions
skip what is there already, so trying again costs only what is left.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.ending import FAILED, MISTAKE, RESUME_ME
from symbio.reach.remote import ENV_REMOTE, REMOTE_VARIABLE, Remote, find_remote
from symbio.reach.settings import CONNECT_TIMEOUT_S, PATIENT_S3, READ_TIMEOUT_S
from symbio.tracking.outage import as_error, without_secrets

LOCK_PATIENCE_S = 600.0
"""How long another DVC process may hold the project's lock."""
OUTAGE_PATIENCE_S = 90.0
"""How long after the first failure a remote that is away is tried again."""

_ATTEMPTS = "5"
"""Of one request; then DVC begins anew, which also brings new connections."""
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
_LOCKED = re.compile(r"Unable to acquire lock|is busy, it is being blocked by")
_MISTAKES = re.compile(r"does not exist as an output or a stage name|Permission denied")
_UNSAVED, _NOT_WHOLE = "unsaved files", "failed to download"
_CHATTER = ("WARNING", "Having any troubles?")
_LACKING = "NoSuchKey"
"""S3's word for an object that is not there: for `pull` neither an outage nor a mistake."""


class DvcFailed(Exception):
    """What DVC wrote when it failed."""


def pull(root: Path, targets: Sequence[str] = (), remote: Remote | None = None) -> tuple[str, ...]:
    """Bring outputs that dvc.lock names from the remote, where they are not here already.

    Files that differ from dvc.lock and are saved nowhere else are left alone; so is what the remote
    lacks or holds damaged (every file is compared with its hash). The stage will run instead.

    Args:
        root: the project's folder.
        targets: stages or outputs; none: all of dvc.lock.
        remote: another than the project's own.

    Returns:
        Outputs that are not here now.

    Raises:
        SymbioError: exit code 75: the remote is away, or DVC is locked, for too long; 2: it
            refuses, or no remote is configured.
    """
    remote = remote or _remote(root)
    outs = _recorded(root, targets)
    if not outs:
        say(f"dvc.lock names no output of {' '.join(targets) or 'any stage'}: nothing to pull")
    if outs and not _pull(root, remote, outs) and len(outs) > 1:
        # DVC gives up as a whole because of one output: one by one, then.
        for out in outs:
            _pull(root, remote, [out])
    missing = tuple(out for out in outs if not (root / out).exists())
    if missing:
        say(f"{remote} has no {', '.join(missing)}; the stages that make them will run")
    return missing


def push(root: Path, targets: Sequence[str] = ()) -> None:
    """Store the outputs of stages in the remote.

    Args:
        root: the project's folder.
        targets: stages or outputs; none: all of dvc.lock.

    Raises:
        SymbioError: as `pull`; 2 also where dvc.yaml has no such stage.
    """
    _dvc(root, _remote(root), "push", targets)


def _remote(root: Path) -> Remote:
    remote = find_remote(root)
    if remote is None:
        raise SymbioError(
            f"no DVC remote: set {REMOTE_VARIABLE} to its URL, or `dvc remote add --default`"
        )
    return remote


def _recorded(root: Path, targets: Sequence[str]) -> list[str]:
    """Paths of the outputs that dvc.lock names for these stages, or that are named themselves."""
    lock = root / "dvc.lock"
    try:
        read = yaml.safe_load(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SymbioError(f"{lock}: is not readable ({error}); `git checkout dvc.lock`") from error
    stages: dict[str, Any] = (read or {}).get("stages") or {}
    outs = {name: [one["path"] for one in stage.get("outs", [])] for name, stage in stages.items()}
    found = (outs.get(one) or _out(root, outs, one) for one in targets)
    wanted = found if targets else outs.values()
    return list(dict.fromkeys(path for paths in wanted for path in paths))


def _out(root: Path, outs: dict[str, list[str]], target: str) -> list[str]:
    """`target` as an output, or as added by hand; a stage that was never run has none."""
    added = (root / f"{target}.dvc").is_file()
    return [target] if added or any(target in paths for paths in outs.values()) else []


def _pull(root: Path, remote: Remote, outs: Sequence[str]) -> bool:
    """Whether DVC brought all of them, or told in order that the remote lacks some."""
    try:
        _dvc(root, remote, "pull", ["--allow-missing", *outs])
    except SymbioError as error:
        text = str(error.__cause__)
        ours = _UNSAVED in text
        if error.exit_code != FAILED or not (ours or _NOT_WHOLE in text):
            raise
        if len(outs) == 1:
            why = "differs from dvc.lock" if ours else f"is not whole in {remote}"
            say(f"{outs[0]}: {why}; left as it is")
        return False
    return True


def _dvc(root: Path, remote: Remote, verb: str, arguments: Sequence[str]) -> None:
    """Run a DVC command until it succeeds, fails for good, or patience ends."""
    what = f"`dvc {verb}` with {remote}"
    begun, pause, away_since, waited = time.monotonic(), _PAUSE_S, None, False
    while True:
        failure = _try(root, remote, verb, arguments)
        now = time.monotonic()
        if failure is None:
            say(f"{what}: done ({now - begun:.1f} s)")
            return
        if _LOCKED.search(str(failure)):
            error = SymbioError(
                f"{what}: another DVC process has held {root / '.dvc'} for {now - begun:.0f} s; "
                "the same command goes on when it has ended",
                RESUME_ME,
            )
            pause, left = _PAUSE_S, now - begun < LOCK_PATIENCE_S
            if left and not waited:
                say(
                    f"{what}: another DVC process works here; waiting up to {LOCK_PATIENCE_S:.0f} s"
                )
            waited = True
        else:
            error = _judged(failure, f"{what} failed")
            away_since = away_since or now
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            left = error.exit_code == RESUME_ME and now - away_since < OUTAGE_PATIENCE_S
            if left:
                say(f"{error}; trying again in {pause:.0f} s")
        if not left:
            raise error from failure
        time.sleep(pause)


def _try(root: Path, remote: Remote, verb: str, arguments: Sequence[str]) -> DvcFailed | None:
    with _configured(remote) as environment:
        command = [sys.executable, "-m", "dvc", verb, "--remote", remote.name, *arguments]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    lines = [one.removeprefix("ERROR: ").strip() for one in done.stderr.splitlines()]
    told = " ".join(one for one in lines if one and not one.startswith(_CHATTER))
    return DvcFailed(without_secrets(told) or f"exit code {done.returncode}")


def _judged(failure: DvcFailed, what: str) -> SymbioError:
    error = as_error(DvcFailed(str(failure).replace(_LACKING, "")), what)
    if error.exit_code == FAILED and _MISTAKES.search(str(failure)):
        return SymbioError(f"{what}: {failure}", MISTAKE)
    return error


@contextlib.contextmanager
def _configured(remote: Remote) -> Iterator[dict[str, str]]:
    """The environment for DVC, in which it knows the remote of SYMBIO_DVC_REMOTE.

    It stands in a system-wide configuration of this one process: the project's files stay as
    they are, and what they say goes before. Keys are not written anywhere: DVC takes them from
    the environment as boto3 does.
    """
    from configobj import ConfigObj
    from dvc.dirs import system_config_dir

    section = {"verify": "true"}
    if remote.name == ENV_REMOTE:
        section["url"] = remote.url
    if remote.url.startswith("s3://"):
        section["connect_timeout"] = str(CONNECT_TIMEOUT_S)
        section["read_timeout"] = str(READ_TIMEOUT_S)
    config = ConfigObj(str(Path(system_config_dir()) / "config"), interpolation=False)
    name = f'remote "{remote.name}"'
    config[name] = {**section, **config.get(name, {})}
    with tempfile.TemporaryDirectory(prefix="symbio-dvc-") as folder:
        config.filename = str(Path(folder) / "config")
        config.write()
        yield {
            **os.environ,
            **PATIENT_S3,
            "AWS_MAX_ATTEMPTS": _ATTEMPTS,
            "DVC_NO_ANALYTICS": "1",
            "DVC_SYSTEM_CONFIG_DIR": folder,
        }
