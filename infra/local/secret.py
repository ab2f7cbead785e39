"""Passwords and keys of one platform: made at its first start, kept in its state folder."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from symbio.errors import SymbioError
from symbio.files import read_json, whole_file


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
        made = cls(
            postgres_password=secrets.token_hex(24),
            s3_key_id="symbio" + secrets.token_hex(8),
            s3_secret=secrets.token_hex(24),
            s3_inner=secrets.token_hex(24),
            studies_password=secrets.token_hex(24),
        )
        made._write(path)
        return made

    @classmethod
    def _kept(cls, path: Path, state: Path) -> Self:
        known = read_json(path, "the platform's secrets")
        # The state of a platform that had no database of studies goes on with one.
        added = {"studies_password": secrets.token_hex(24)}
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


def write_private(path: Path, text: str) -> None:
    """Write a file, whole, that only its owner can read."""
    with whole_file(path) as aside:
        aside.touch(mode=0o600)
        aside.write_text(text, encoding="utf-8")
