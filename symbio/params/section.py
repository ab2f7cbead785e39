"""YAML files, typed: read strictly, and every wrong key told with what is allowed."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from symbio.errors import SymbioError


class Section(BaseModel):
    """A frozen section of a file; unknown keys and lax conversions are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


T = TypeVar("T", bound=Section)


def read_yaml(path: Path, hint: str) -> Any:
    """What a file says, not yet checked; `hint` ends the message where it cannot be read.

    Raises:
        SymbioError: the file is missing, or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SymbioError(f"{path}: cannot be read ({error.strerror}); {hint}") from error
    except UnicodeDecodeError as error:
        raise SymbioError(f"{path}: is not a UTF-8 text file ({error})") from error
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise SymbioError(f"{path}: is not valid YAML: {error}") from error


def parse_section(kind: type[T], values: Any, source: str) -> T:
    """Check parsed YAML; `source` names it in messages. Raises SymbioError."""
    try:
        return kind.model_validate_json(_as_json(values), strict=True)
    except ValidationError as error:
        lines = [_explain(problem, kind) for problem in error.errors()]
        raise SymbioError(f"{source}: " + "\n  ".join(["does not hold:", *lines])) from error


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-4 is a number and `on` is a word, as everybody expects."""


_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(  # type: ignore[no-untyped-call]
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE)$"),
    list("yYnNtTfF"),
)
_Loader.add_implicit_resolver(  # type: ignore[no-untyped-call]
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _as_json(values: Any) -> str:
    return json.dumps(values, default=str)


def _explain(problem: Any, top: type[BaseModel]) -> str:
    location = problem["loc"]
    key = ".".join(str(part) for part in location) or "(top level)"
    kind, found = problem["type"], problem.get("input")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _known_keys(location, top), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{key}: unknown key (value {found!r}){hint}"
    if kind == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    told = "" if isinstance(found, dict) else f" (found {found!r})"
    return f"{key}: {message}{told}"


def _known_keys(location: tuple[Any, ...], top: type[BaseModel]) -> list[str]:
    section = top
    for part in location[:-1]:
        field = section.model_fields.get(str(part))
        if field is None or not (
            isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        ):
            return []
        section = field.annotation
    return list(section.model_fields)
