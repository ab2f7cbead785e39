"""Passwords and keys of one platform: made at its first start, kept in its state folder."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from symbio.errors import SymbioError
from symbio.files import read_json, whole_file

_LATER = (
    "studies_password",
    "s3_reader_key_id",
    "s3_reader_secret",
    "mlflow_admin",
    "mlflow_writer",
    "mlflow_reader",
    "mlflow_signing",
)
"""Those that a platform of an earlier version has not made."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Random text without characters that a URL or a shell would read otherwise."""

    postgres_password: str
    s3_key_id: str
    s3_secret: str
    s3_inner: str
    """Signs what the parts of the S3 store ask of each other."""
    studies_password: str
    """Of the one role in PostgreSQL that workers of studies log in as."""
    s3_reader_key_id: str
    s3_reader_secret: str
    """Of the identity of the S3 store that reads only."""
    mlflow_admin: str
    mlflow_writer: str
    mlflow_reader: str
    """Passwords of MLflow's accounts."""
    mlflow_signing: str
    """Signs the forms of MLflow's pages."""

    def __repr__(self) -> str:
        return "Secrets(...)"

    @classmethod
    def of(cls, state: Path) -> Self:
        """Those of a state folder; made now if it is new.

        Raises:
            SymbioError: they are gone or unreadable, but the data that they open is there.
        """
        path = state / "secrets.json"
        if path.exists():
            return cls._kept(path, state)
        if (state / "postgres").exists():
            raise SymbioError(
                f"{path} is missing, and without it nothing opens {state / 'postgres'}: put it "
                f"back, or remove {state} to start anew"
            )
        made = cls(**_random())
        made._write(path)
        return made

    @classmethod
    def _kept(cls, path: Path, state: Path) -> Self:
        known = read_json(path, "the platform's secrets")
        # The state of a platform from before one of them goes on with it.
        added = {name: text for name, text in _random().items() if name in _LATER}
        try:
            made = cls(**{**added, **known})
        except TypeError as error:
            raise SymbioError(
                f"{path}: not the secrets of this platform; remove {state} to start anew"
            ) from error
        if not added.keys() <= known.keys():
            made._write(path)
        return made

    def _write(self, path: Path) -> None:
        write_private(path, json.dumps(asdict(self), indent=1) + "\n")


def _random() -> dict[str, str]:
    """A new value for each."""
    made = {one.name: secrets.token_hex(24) for one in fields(Secrets)}
    names = {name: f"symbio{secrets.token_hex(8)}" for name in ("s3_key_id", "s3_reader_key_id")}
    return made | names


def write_private(path: Path, text: str) -> None:
    """Write a file, whole, that only its owner can read."""
    with whole_file(path) as aside:
        aside.touch(mode=0o600)
        aside.write_text(text, encoding="utf-8")
